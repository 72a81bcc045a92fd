package service

import (
	"context"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// restrictionServer tells what devices are to enforce.
type restrictionServer struct {
	teishiv1.UnsafeRestrictionServiceServer
	*Server
}

// GetRestrictions tells the restrictions of a platform. Its pages are of one revision and one instant.
func (s *restrictionServer) GetRestrictions(ctx context.Context, req *teishiv1.GetRestrictionsRequest) (*teishiv1.GetRestrictionsResponse, error) {
	t, err := termsOf(&teishiv1.CheckRequest{MinRevision: req.MinRevision, Epoch: req.Epoch, MaxStaleness: req.MaxStaleness})
	if err != nil {
		return nil, err
	}
	a, err := s.asking(ctx, &t)
	if err == nil {
		err = a.about(req.Organization)
	}
	if err != nil {
		return nil, err
	}
	p, err := s.openAnswers(ctx, teishiv1.RestrictionService_GetRestrictions_FullMethodName, req, &t)
	if err != nil {
		return nil, err
	}
	d := newDevices(req.Organization, req.Platform, req.Device, req.Languages)
	if err := d.registered(&p.view); err != nil {
		return nil, err
	}
	return p.restrict(ctx, d, &t)
}

// restrict tells the restrictions of the page.
func (p *page) restrict(ctx context.Context, d *devices, t *terms) (*teishiv1.GetRestrictionsResponse, error) {
	resp := &teishiv1.GetRestrictionsResponse{
		Revision:     p.revision(),
		Epoch:        p.token.epoch,
		DecisionTime: timestamp(&timestamppb.Timestamp{}, t.at),
		Freshness:    freshnessMessage(&p.view.Freshness),
	}
	resp.Others, _ = d.restriction(&p.view, d.question(d.others), t)
	for _, identifier := range p.view.Identifiers(d.platform) {
		if identifier <= p.token.cursor {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, _ := d.restriction(&p.view, d.question(identifier), t)
		if !p.take(identifier, m) {
			break
		}
		resp.Restrictions = append(resp.Restrictions, m)
	}
	resp.NextPageToken = p.next
	return resp, nil
}

// devices are those that ask what they are to enforce: whose they are, and what is known of them.
type devices struct {
	organization string
	platform     string
	device       string            // their class; empty: not known
	attributes   map[string]string // of every question about them
	languages    []string          // in which they are told why
	others       string            // an identifier that stands for all that are not registered
}

// unregistered is an identifier that no app can have meant to hold: its top-level domain is reserved for that.
const unregistered = "unregistered.invalid"

func newDevices(organization, platform, device string, languages []string) *devices {
	d := &devices{organization: organization, platform: platform, device: device, attributes: map[string]string{"platform": platform}, languages: languages}
	if d.others = platform + ":" + unregistered; platform == "web" {
		d.others = domainScheme + unregistered
	}
	if device != "" {
		d.attributes["device"] = device
	}
	if len(languages) == 0 {
		d.languages = []string{""}
	}
	return d
}

// registered refuses an organization that there is not, and a class of device that nobody can have meant.
func (d *devices) registered(v *policystore.View) error {
	if _, held := v.Holder(policy.KindOrganization, d.organization); !held && v.Organization(d.organization) == nil {
		return &absentError{"organization", d.organization + " is not registered"}
	}
	if a := v.Attribute("device"); d.device != "" && (a == nil || !slices.Contains(a.Values, d.device)) {
		return &policy.ReferenceError{Field: "device", Key: policy.Key{Kind: policy.KindAttribute, ID: "device=" + d.device}}
	}
	return nil
}

var restrictionStates = [...]teishiv1.Restriction_State{
	policy.Allowed:       teishiv1.Restriction_STATE_ALLOWED,
	policy.Indeterminate: teishiv1.Restriction_STATE_RESTRICTED,
	policy.Denied:        teishiv1.Restriction_STATE_BLOCKED,
}

var deviceActions = [...]teishiv1.DeviceAction{
	policy.DeviceAllow: teishiv1.DeviceAction_DEVICE_ACTION_ALLOW,
	policy.DeviceBlock: teishiv1.DeviceAction_DEVICE_ACTION_BLOCK,
}

// question returns what is asked about an identifier.
func (d *devices) question(identifier string) policy.Query {
	return policy.Query{Organization: d.organization, App: identifier, Attributes: d.attributes}
}

// restriction tells what Check answers to a question of the devices, and the first later instant at which that may be another by
// the passing of time alone.
func (d *devices) restriction(v *policystore.View, q policy.Query, t *terms) (m *teishiv1.Restriction, edge policy.Instant) {
	q.At = t.at
	resolved := v.Resolve(q)
	decision, doubted, edge := settle(v, q, &resolved, t)
	holder, _ := v.Holder(policy.KindApp, q.App)
	_, bare, _ := strings.Cut(q.App, ":")
	if q.App == d.others {
		bare = ""
	}
	m = &teishiv1.Restriction{
		Identifier:        bare,
		App:               holder.ID,
		State:             restrictionStates[decision.Outcome],
		DeviceAction:      deviceActions[decision.DeviceAction()],
		PermittedPurposes: doubted.always(decision.PermittedPurposes()),
		ValidUntilTime:    timestamp(&timestamppb.Timestamp{}, decision.ValidUntil),
	}
	if decision.Outcome != policy.Allowed { // what is cited then releases
		cited, _ := decision.Citations()
		m.Directives, m.Messages = restrictors(cited), d.messages(cited)
	}
	return m, edge
}

// restrictors returns the directives cited, each once.
func restrictors(cited []policy.Citation) []string {
	ids := make([]string, len(cited))
	for i := range cited {
		ids[i] = cited[i].Directive.ID
	}
	return slices.Compact(ids)
}

// messages returns what the provisions cited say in the languages, by language. A message for which there is no room is left
// out.
func (d *devices) messages(cited []policy.Citation) []*teishiv1.RestrictionMessage {
	lines, room := make(map[string][]string), maxTexts
	for i := range cited {
		for _, language := range d.languages {
			w := cited[i].Provision.Message.Wording(language)
			if w.Text == "" || len(w.Text) > room || slices.Contains(lines[w.Language], w.Text) {
				continue
			}
			room -= len(w.Text)
			lines[w.Language] = append(lines[w.Language], w.Text)
		}
	}
	var all []*teishiv1.RestrictionMessage
	for _, language := range slices.Sorted(maps.Keys(lines)) {
		all = append(all, &teishiv1.RestrictionMessage{Language: language, Text: strings.Join(lines[language], "\n")})
	}
	return all
}
