package service

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// cacheFor is how long an answer from FRESH policy may be reused by who does not follow the log.
const cacheFor = 5 * time.Second

// maxTexts is how many bytes of texts an answer carries: titles, messages, and what sources say. A text for which there is
// no room is left out, for what the text belongs to is named all the same. Obligations are always told in full.
const maxTexts = 1 << 20

// answer is the memory of one CheckResponse, so that most of them are one allocation.
type answer struct {
	room       int            // bytes of texts that it may yet carry
	edge       policy.Instant // the first instant after the one that is decided for at which it may be another, doubts included
	response   teishiv1.CheckResponse
	freshness  teishiv1.Freshness
	age        durationpb.Duration
	decided    timestamppb.Timestamp
	validUntil timestamppb.Timestamp
	cacheUntil timestamppb.Timestamp
}

// fill answers the question from the view.
func (a *answer) fill(v *policystore.View, q policy.Query, t *terms) {
	if a.room == 0 {
		a.room = maxTexts
	}
	q.At = t.at
	resolved := v.Resolve(q)
	decision, doubted, edge := settle(v, q, &resolved, t)
	a.edge = edge
	r := &a.response
	r.Outcome, r.Reason = outcomes[decision.Outcome], teishiv1.Reason(decision.Reason)
	r.Unrecognized = resolved.Unrecognized
	r.Revision, r.Epoch = int64(v.Position.Revision), v.Position.Epoch
	r.Hypothetical = t.hypothetical
	a.texts(&decision, v, t.language)
	if doubted != nil {
		doubted.temper(r)
	}
	a.times(&decision, v, t)
	a.fresh(&v.Freshness)
	if t.explain {
		again := resolved // an explainer keeps it; without one it need not be on the heap
		r.Explanation = explanation(v, v.Explain(&again), t.sees)
	}
}

// settle answers a resolved question, no milder than at any time that it may be, and says when that may change. What is doubted
// is nil unless the clock is.
func settle(v *policystore.View, q policy.Query, resolved *policy.Resolved, t *terms) (decision policy.Decision, doubted *doubted, edge policy.Instant) {
	decision = decide(v, resolved, t)
	edge = decision.ValidUntil
	if len(t.instead) > 0 {
		doubted = doubt(&decision, v, q, t)
		edge = min(edge, doubted.edge)
	}
	return decision, doubted, edge
}

// decide answers a question, as far as policy of that age may permit anything.
func decide(v *policystore.View, q *policy.Resolved, t *terms) policy.Decision {
	decision := v.Decide(q)
	switch {
	case t.former(), failpoint.Without("expire"):
	case v.Freshness.Spent:
		return decision.Spend()
	case v.Freshness.State == policystore.Expired:
		return decision.Expire()
	}
	return decision
}

var outcomes = [...]teishiv1.Outcome{
	policy.Allowed:       teishiv1.Outcome_OUTCOME_ALLOWED,
	policy.Indeterminate: teishiv1.Outcome_OUTCOME_INDETERMINATE,
	policy.Denied:        teishiv1.Outcome_OUTCOME_DENIED,
}

// texts fills in what the decision rests on and what it asks for.
func (a *answer) texts(d *policy.Decision, v *policystore.View, language string) {
	r := &a.response
	cited, total := d.Citations()
	r.Citations, r.CitationsTotal = a.citations(cited, language), int32(total)
	r.Obligations = obligations(d.Obligations())
	r.Alternatives = alternatives(d.Alternatives())
	for _, one := range d.Advice() {
		r.Advice = append(r.Advice, a.advice(&one, v, language))
	}
	if d.Outcome == policy.Indeterminate {
		attributes, purpose := d.Missing()
		r.Missing = &teishiv1.Missing{Attributes: attributes, Purpose: purpose}
		r.PermittedPurposes = d.PermittedPurposes()
	}
}

func (a *answer) times(d *policy.Decision, v *policystore.View, t *terms) {
	r := &a.response
	r.DecisionTime = timestamp(&a.decided, t.at)
	r.ValidUntilTime = timestamp(&a.validUntil, d.ValidUntil)
	if t.hypothetical {
		return
	}
	until := t.at
	if v.Freshness.State == policystore.Fresh && len(t.instead) == 0 && !t.past {
		until = min(d.ValidUntil, t.at+policy.Instant(cacheFor.Microseconds()))
	}
	r.CacheUntilTime = timestamp(&a.cacheUntil, until)
}

// timestamp sets t to the instant; unset, unless it is finite.
func timestamp(t *timestamppb.Timestamp, i policy.Instant) *timestamppb.Timestamp {
	if !i.Finite() {
		return nil
	}
	seconds, micros := int64(i)/1e6, int64(i)%1e6
	if micros < 0 {
		seconds, micros = seconds-1, micros+1e6
	}
	t.Seconds, t.Nanos = seconds, int32(micros)*1000
	return t
}

var states = [...]teishiv1.Freshness_State{
	policystore.Expired: teishiv1.Freshness_STATE_EXPIRED,
	policystore.Stale:   teishiv1.Freshness_STATE_STALE,
	policystore.Fresh:   teishiv1.Freshness_STATE_FRESH,
}

func (a *answer) fresh(f *policystore.Freshness) {
	a.freshness.State, a.freshness.Source = states[f.State], f.Source
	if f.Age != policystore.Never {
		a.age.Seconds, a.age.Nanos = int64(f.Age/time.Second), int32(f.Age%time.Second)
		a.freshness.Age = &a.age
	}
	a.response.Freshness = &a.freshness
}

// citation is the memory of one Citation.
type citation struct {
	message    teishiv1.Citation
	begins     timestamppb.Timestamp
	ends       timestamppb.Timestamp
	source     teishiv1.Source
	sourceList [1]*teishiv1.Source
}

// text takes the room that the text needs; without it the text is left out.
func (a *answer) text(s string) string {
	if len(s) > a.room {
		return ""
	}
	a.room -= len(s)
	return s
}

func (a *answer) citations(list []policy.Citation, language string) []*teishiv1.Citation {
	if len(list) == 0 {
		return nil
	}
	memory, all := make([]citation, len(list)), make([]*teishiv1.Citation, len(list))
	for i := range list {
		memory[i].fill(a, &list[i], language)
		all[i] = &memory[i].message
	}
	return all
}

func (c *citation) fill(a *answer, cited *policy.Citation, language string) {
	d, m := cited.Directive, &c.message
	m.Directive, m.Provision = d.ID, cited.Provision.ID
	m.Authority, m.Number, m.Title = d.Authority, a.text(d.Number), a.text(d.Title.In(language))
	m.Message = a.text(cited.Provision.Message.In(language))
	m.EffectiveTime = timestamp(&c.begins, cited.Window.Start)
	m.EndTime = timestamp(&c.ends, cited.Window.End)
	if cited.Release != nil {
		m.Release, m.Instrument = cited.Release.ID, d.ID
	}
	if cited.Instrument != nil {
		m.Instrument = cited.Instrument.ID
	}
	m.Sources = c.sources(a, d.Sources)
}

func (c *citation) sources(a *answer, list []policy.Source) []*teishiv1.Source {
	switch len(list) {
	case 0:
		return nil
	case 1:
		c.source.Uri, c.source.Text = a.text(list[0].URI), a.text(list[0].Text)
		if c.source.Uri == "" && c.source.Text == "" {
			return nil
		}
		c.sourceList[0] = &c.source
		return c.sourceList[:]
	}
	all := make([]*teishiv1.Source, 0, len(list))
	for i := range list {
		if uri, text := a.text(list[i].URI), a.text(list[i].Text); uri != "" || text != "" {
			all = append(all, &teishiv1.Source{Uri: uri, Text: text})
		}
	}
	return all
}

func obligations(list []policy.CarriedObligation) []*teishiv1.Obligation {
	if len(list) == 0 {
		return nil
	}
	all := make([]*teishiv1.Obligation, len(list))
	for i, o := range list {
		all[i] = &teishiv1.Obligation{Id: o.ID, Text: o.Text, Directive: o.Directive, Release: o.Release}
	}
	return all
}

func alternatives(list []policy.Alternative) []*teishiv1.Alternative {
	if len(list) == 0 {
		return nil
	}
	all := make([]*teishiv1.Alternative, len(list))
	for i := range list {
		all[i] = policystore.AlternativeToProto(&list[i])
	}
	return all
}

func (a *answer) advice(of *policy.Advice, v *policystore.View, language string) *teishiv1.Advice {
	m := &teishiv1.Advice{
		Directive:    of.Directive.ID,
		Provision:    of.Provision.ID,
		Message:      a.text(of.Provision.Message.In(language)),
		Met:          of.Met,
		Alternatives: alternatives(of.Provision.Alternatives),
	}
	if of.Met {
		m.Obligations = obligations(v.Carried(of.Release))
	}
	return m
}
