package client

import (
	"slices"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

const (
	// cacheFor is how long an answer from FRESH policy may be kept, as a server says it.
	cacheFor = 5 * time.Second
	// maxTexts is how many bytes of texts an answer carries: what there is no room for is left out, as a server does.
	maxTexts = 1 << 20
)

// answer is what was decided in this process. It is put into words when they are asked for.
type answer struct {
	decision     policy.Decision
	view         policystore.View
	at           policy.Instant
	unrecognized []string
	language     string
	doubt        *doubt // where the clock was in doubt
}

// doubt is what is answered at the instants that it may be instead of the one that the clock shows.
type doubt struct {
	obligations []Obligation // of the answers that are ALLOWED
	permitted   [][]string   // by each answer that is INDETERMINATE
	edge        policy.Instant
}

// decide answers a question from the policy that the answer has already, at the instant that it is now.
func (d *Decision) decide(asked *policy.Query, now time.Time, instead []time.Time) {
	a := &d.local
	a.at = policy.InstantOf(now)
	asked.At = a.at
	resolved := a.view.Resolve(*asked)
	a.unrecognized = resolved.Unrecognized
	a.decision = a.view.Decide(&resolved)
	a.age(&a.decision)
	if len(instead) > 0 {
		a.temper(*asked, instead)
	}
	d.outcome, d.reason = a.decision.Outcome, teishiv1.Reason(a.decision.Reason)
}

// age leaves of a decision what policy of that age may permit.
func (a *answer) age(d *policy.Decision) {
	switch {
	case a.view.Freshness.Spent:
		*d = d.Spend()
	case a.view.Freshness.State == policystore.Expired:
		*d = d.Expire()
	}
}

// temper makes the decision the strictest of those at all times that it may be.
func (a *answer) temper(asked policy.Query, instead []time.Time) {
	a.doubt = &doubt{edge: policy.Forever}
	for _, at := range instead {
		asked.At = policy.InstantOf(at)
		resolved := a.view.Resolve(asked)
		other := a.view.Decide(&resolved)
		a.age(&other)
		if other.ValidUntil.Finite() {
			a.doubt.edge = min(a.doubt.edge, other.ValidUntil-asked.At+a.at)
		}
		a.doubt.obligations = append(a.doubt.obligations, carried(other.Obligations())...)
		if other.Outcome == policy.Indeterminate {
			a.doubt.permitted = append(a.doubt.permitted, other.PermittedPurposes())
		}
		a.decision = a.decision.Doubt(&other)
	}
}

// obligations returns those of the answer, and where the clock was in doubt those at any of the times.
func (a *answer) obligations() []Obligation {
	list := carried(a.decision.Obligations())
	if a.doubt == nil || a.decision.Outcome != policy.Allowed {
		return list
	}
	for _, o := range a.doubt.obligations {
		if !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list
}

func carried(list []policy.CarriedObligation) []Obligation {
	return each(list, func(o policy.CarriedObligation) Obligation {
		return Obligation{ID: o.ID, Text: o.Text, Directive: o.Directive, Release: o.Release}
	})
}

// details puts the answer into words.
func (a *answer) details() Details {
	w := words{view: &a.view, language: a.language, room: maxTexts}
	cited, total := a.decision.Citations()
	d := Details{
		Citations:      each(cited, w.citation),
		CitationsTotal: total,
		Obligations:    a.obligations(),
		Alternatives:   alternatives(a.decision.Alternatives()),
		Advice:         each(a.decision.Advice(), w.advice),
		Unrecognized:   a.unrecognized,
		Revision:       int64(a.view.Position.Revision),
		Epoch:          a.view.Position.Epoch,
		DecisionTime:   instant(a.at),
		ValidUntilTime: instant(a.decision.ValidUntil),
		CacheUntilTime: instant(a.cacheUntil()),
		Freshness:      Freshness{State: a.view.Freshness.State.String(), Age: a.view.Freshness.Age, Source: a.view.Freshness.Source},
	}
	if a.decision.Outcome == policy.Indeterminate {
		d.Missing.Attributes, d.Missing.Purpose = a.decision.Missing()
		d.PermittedPurposes = a.permitted()
	}
	return d
}

// permitted returns the purposes that are permitted, whatever the time.
func (a *answer) permitted() []string {
	list := a.decision.PermittedPurposes()
	if a.doubt == nil {
		return list
	}
	for _, permitted := range a.doubt.permitted {
		list = slices.DeleteFunc(list, func(p string) bool { return !slices.Contains(permitted, p) })
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// edge returns the first instant at which the answer may change by time, at any of the times that it may be.
func (a *answer) edge() policy.Instant {
	if a.doubt == nil {
		return a.decision.ValidUntil
	}
	return min(a.decision.ValidUntil, a.doubt.edge)
}

func (a *answer) cacheUntil() policy.Instant {
	if a.view.Freshness.State != policystore.Fresh || a.doubt != nil {
		return a.at
	}
	return min(a.decision.ValidUntil, a.at+policy.Instant(cacheFor.Microseconds()))
}

// instant returns the time, zero unless it is finite.
func instant(i policy.Instant) time.Time {
	if !i.Finite() {
		return time.Time{}
	}
	return i.Time()
}

// words puts an answer into a language, as far as there is room.
type words struct {
	view     *policystore.View
	language string
	room     int // bytes of texts that there may yet be
}

// text takes the room that the text needs; without it the text is left out.
func (w *words) text(s string) string {
	if len(s) > w.room {
		return ""
	}
	w.room -= len(s)
	return s
}

func (w *words) citation(cited policy.Citation) Citation {
	d := cited.Directive
	c := Citation{
		Directive:     d.ID,
		Provision:     cited.Provision.ID,
		Authority:     d.Authority,
		Number:        w.text(d.Number),
		Title:         w.text(d.Title.In(w.language)),
		Message:       w.text(cited.Provision.Message.In(w.language)),
		EffectiveTime: instant(cited.Window.Start),
		EndTime:       instant(cited.Window.End),
	}
	if cited.Release != nil {
		c.Release, c.Instrument = cited.Release.ID, d.ID
	}
	if cited.Instrument != nil {
		c.Instrument = cited.Instrument.ID
	}
	for _, s := range d.Sources {
		if said := (Source{URI: w.text(s.URI), Text: w.text(s.Text)}); said != (Source{}) {
			c.Sources = append(c.Sources, said)
		}
	}
	return c
}

func (w *words) advice(of policy.Advice) Advice {
	a := Advice{
		Directive:    of.Directive.ID,
		Provision:    of.Provision.ID,
		Message:      w.text(of.Provision.Message.In(w.language)),
		Met:          of.Met,
		Alternatives: alternatives(of.Provision.Alternatives),
	}
	if of.Met {
		a.Obligations = carried(w.view.Carried(of.Release))
	}
	return a
}

func alternatives(list []policy.Alternative) []Alternative {
	return each(list, func(a policy.Alternative) Alternative { return Alternative(a) })
}
