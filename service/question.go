package service

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// terms is what is asked beside the question itself: for when, of which policy, and in what form.
type terms struct {
	stated       bool             // the instant is stated; otherwise it is what the clock shows once the policy is at hand
	at           policy.Instant   // to decide for
	instead      []policy.Instant // that it may be, where the clock is in doubt
	past         bool             // the instant was pinned by a former page: the clock may show any other by now
	demand       policystore.Demand
	asOf         policy.Revision // 0: not asked
	asOfTime     policy.Instant  // Beginning: not asked
	hypothetical bool
	explain      bool
	sees         *policy.Powers // of explanations, that which these see; nil: all
	language     string
}

// former reports whether a former policy is asked.
func (t *terms) former() bool { return t.asOf != 0 || t.asOfTime != policy.Beginning }

// moment is what the server's clock shows.
type moment struct {
	now     policy.Instant
	instead []policy.Instant // that it may be, after the clock was set
}

func (s *Server) moment() moment {
	now, instead := s.clock()
	m := moment{now: policy.InstantOf(now)}
	for _, other := range instead {
		m.instead = append(m.instead, policy.InstantOf(other))
	}
	return m
}

// termsOf checks and takes what a request asks beside its question.
func termsOf(req *teishiv1.CheckRequest) (terms, error) {
	t := terms{
		demand:   policystore.Demand{MinRevision: policy.Revision(req.MinRevision), Epoch: req.Epoch},
		asOf:     policy.Revision(req.AsOfRevision),
		asOfTime: policy.Beginning,
		explain:  req.Explain,
		language: req.Language,
	}
	switch {
	case req.MinRevision < 0:
		return t, negative("min_revision")
	case req.Epoch < 0:
		return t, negative("epoch")
	case req.AsOfRevision < 0:
		return t, negative("as_of_revision")
	}
	if req.At == nil && req.AsOfTime == nil && req.MaxStaleness == nil && req.AsOfRevision == 0 {
		return t, nil
	}
	return t, t.rest(req)
}

// rest takes what few requests ask.
func (t *terms) rest(req *teishiv1.CheckRequest) (err error) {
	if req.At != nil {
		if t.at, err = queryInstant("at", req.At); err != nil {
			return err
		}
		t.stated = true
	}
	if req.AsOfTime != nil {
		if t.asOfTime, err = queryInstant("as_of_time", req.AsOfTime); err != nil {
			return err
		}
	}
	if req.MaxStaleness != nil {
		if err := req.MaxStaleness.CheckValid(); err != nil || req.MaxStaleness.AsDuration() < 0 {
			return &policy.InvalidError{Field: "max_staleness", Problem: "not a duration of zero or more"}
		}
		t.demand.MaxStaleness = max(req.MaxStaleness.AsDuration(), 1) // a demand of 0 would be none
	}
	t.hypothetical = req.At != nil || t.former()
	return t.exclusive(req)
}

// exclusive refuses what makes no sense together.
func (t *terms) exclusive(req *teishiv1.CheckRequest) error {
	problem := "a former policy is asked: it is as it was"
	switch {
	case !t.former():
		return nil
	case req.AsOfRevision != 0 && req.AsOfTime != nil:
		return &policy.InvalidError{Field: "as_of_time", Problem: "as_of_revision is given: give one of them"}
	case req.MinRevision != 0:
		return &policy.InvalidError{Field: "min_revision", Problem: problem}
	case req.MaxStaleness != nil:
		return &policy.InvalidError{Field: "max_staleness", Problem: problem}
	}
	return nil
}

func negative(field string) error {
	return &policy.InvalidError{Field: field, Problem: "negative"}
}

// The seconds that a timestamp may have: years 1 to 9999.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

// queryInstant returns the instant of a question, taken down to the microsecond.
func queryInstant(field string, t *timestamppb.Timestamp) (policy.Instant, error) {
	switch {
	case t.Seconds < minSeconds || t.Seconds > maxSeconds:
		return 0, &policy.InvalidError{Field: field, Problem: "not an instant of the years 1 to 9999"}
	case t.Nanos < 0 || t.Nanos > 999_999_999:
		return 0, &policy.InvalidError{Field: field, Problem: "nanos must be 0 to 999999999"}
	}
	return policy.Instant(t.Seconds*1e6 + int64(t.Nanos)/1000), nil
}

// What a question may measure, in characters.
const (
	maxOrganization = 128 // or an alias
	maxApp          = 255 // or an identifier
	maxPurpose      = 255
	maxAttributes   = 32
)

// queryOf checks and takes a question. What it names need not exist: that is for the policy to answer.
func queryOf(organization, app, purpose string, attributes map[string]string) (policy.Query, error) {
	q := policy.Query{Organization: organization, App: ascii(app), Purpose: purpose, Attributes: attributes}
	if err := named("organization", organization, maxOrganization); err != nil {
		return q, err
	}
	if err := named("app", counted(app), maxApp); err != nil {
		return q, err
	}
	switch {
	case len(purpose) > maxPurpose:
		return q, tooLong("purpose", maxPurpose)
	case len(attributes) > maxAttributes:
		return q, &policy.InvalidError{Field: "attributes", Problem: fmt.Sprintf("more than %d", maxAttributes)}
	}
	return q, nil
}

func named(field, name string, most int) error {
	switch {
	case name == "":
		return &policy.InvalidError{Field: field, Problem: "must be stated"}
	case len(name) > most && utf8.RuneCountInString(name) > most:
		return tooLong(field, most)
	}
	return nil
}

// counted returns what of an app is counted: a domain loses its trailing dot first, in any of the forms in which IDNA reads one.
func counted(app string) string {
	if len(app) <= maxApp || !hasDomainScheme(app) {
		return app
	}
	for _, dot := range [...]string{".", "。", "．", "｡"} {
		if bare, cut := strings.CutSuffix(app, dot); cut {
			return bare
		}
	}
	return app
}

func tooLong(field string, most int) error {
	return &policy.InvalidError{Field: field, Problem: fmt.Sprintf("longer than %d characters", most)}
}

const domainScheme = "domain:"

// labels converts domains to A-labels as those do who look names up, but leaves alone what DNS allows and host names do
// not: `_dmarc.line.me`.
var labels = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// ascii returns the app with a domain in A-labels. One that cannot be converted stays as it is: there is no such app.
func ascii(app string) string {
	if !beyondASCII(app) || !hasDomainScheme(app) {
		return app
	}
	converted, err := labels.ToASCII(app[len(domainScheme):])
	if err != nil {
		return app
	}
	return domainScheme + converted
}

func hasDomainScheme(app string) bool {
	return len(app) > len(domainScheme) && strings.EqualFold(app[:len(domainScheme)], domainScheme)
}

func beyondASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// view returns the policy that is asked, and after it the instant to decide for, unless that is stated: what is in force by an
// entry is so from an instant before it could be read, and a revision may have been waited for.
func (s *Server) view(ctx context.Context, t *terms) (policystore.View, error) {
	v, err := s.policy(ctx, t)
	if err == nil && !t.stated {
		m := s.moment()
		t.at, t.instead = m.now, m.instead
	}
	return v, err
}

func (s *Server) policy(ctx context.Context, t *terms) (policystore.View, error) {
	if t.demand.MinRevision != 0 || t.demand.Epoch != 0 {
		var cancel context.CancelFunc
		ctx, cancel = inTime(ctx)
		defer cancel()
	}
	if t.former() {
		return s.formerView(ctx, t)
	}
	return s.replica.View(ctx, t.demand)
}

// formerView returns a former policy. Its freshness is that of the present one, from which the past is known.
func (s *Server) formerView(ctx context.Context, t *terms) (policystore.View, error) {
	present, err := s.replica.View(ctx, policystore.Demand{Epoch: t.demand.Epoch})
	if err != nil {
		return present, err
	}
	if t.asOf != 0 {
		return s.at(ctx, present, t.asOf, "as_of_revision")
	}
	if t.asOfTime >= present.Time {
		return present, nil
	}
	if s.history == nil {
		return present, errNoRecord
	}
	v, err := s.history.AtTime(ctx, t.asOfTime)
	if errors.Is(err, policystore.ErrNotFound) {
		return v, &absentError{"as_of_time", "there is no entry at or before it"}
	}
	v.Freshness = present.Freshness
	return v, err
}

// at returns the policy at the revision, which the field of that name asks for.
func (s *Server) at(ctx context.Context, present policystore.View, revision policy.Revision, field string) (policystore.View, error) {
	if revision == present.Position.Revision {
		return present, nil
	}
	if revision > present.Position.Revision {
		return present, &absentError{field, fmt.Sprintf("there is no revision %d yet: the last is %d", revision, present.Position.Revision)}
	}
	if s.history == nil {
		return present, errNoRecord
	}
	v, err := s.history.At(ctx, revision)
	v.Freshness = present.Freshness
	return v, err
}

// A call that waits gives up before its deadline, by a tenth of the time left but no more than maxSpare, so that it can
// still say what it waited for.
const maxSpare = 200 * time.Millisecond

func inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(time.Until(deadline)/10, maxSpare)))
}
