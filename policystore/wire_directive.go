package policystore

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/teishi-dev/teishi/policy"
)

func readDirective(s string) (*policy.Directive, error) {
	d := &policy.Directive{Window: policy.Always}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			d.ID = w.text()
		case 2:
			d.Number = w.text()
		case 3:
			w.wording("title", &d.Title)
		case 4:
			d.Authority = w.text()
		case 5:
			d.IssuingOffice = w.text()
		case 6:
			d.LegalBasis = w.text()
		case 7:
			d.Rationale = w.text()
		case 8:
			item(&w, "sources", &d.Sources, readSource)
		case 9:
			item(&w, "provisions", &d.Provisions, readProvision)
		case 10:
			item(&w, "carve_outs", &d.CarveOuts, readReleaseValue)
		case 11:
			value(&w, &d.LiftMode, liftModeFrom)
		case 12:
			w.instant("effective_time", &d.Window.Start)
		case 13:
			w.instant("expire_time", &d.Window.End)
		case 14:
			w.texts(&d.Supersedes)
		case 15:
			item(&w, "concerns", &d.Concerns, readConcern)
		case 16:
			message(&w, "exemption_rules", &d.ExemptionRules, readExemptionRules)
		case 17:
			message(&w, "withdrawn", &d.Withdrawal, readWithdrawal)
		case 18:
			message(&w, "adopted_from", &d.AdoptedFrom, readAdoptedFrom)
		case 19:
			w.integer() // the revision is for output only
		case 20:
			value(&w, &d.DeviceAction, deviceActionFrom)
		case 21:
			d.LiftApprovals = w.count()
		default:
			w.unknown()
		}
	}
	for i := range d.CarveOuts {
		var err error
		if d.CarveOuts[i], err = asCarveOut(d.ID, d.CarveOuts[i]); err != nil {
			w.absorb(within("carve_outs["+strconv.Itoa(i)+"]", err))
		}
	}
	return d, w.err
}

func readProvision(s string) (policy.Provision, error) {
	p := policy.Provision{Selector: policy.Selector{Window: policy.Always}}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			p.ID = w.text()
		case 2:
			message(&w, "selector", &p.Selector, readSelector)
		case 3:
			value(&w, &p.Force, forceFrom)
		case 4:
			w.wording("message", &p.Message)
		case 5:
			item(&w, "alternatives", &p.Alternatives, readAlternative)
		default:
			w.unknown()
		}
	}
	if p.Force == 0 && w.err == nil {
		_, w.err = forceFrom(0)
	}
	return p, w.err
}

func readSource(s string) (o policy.Source, _ error) {
	err := readTexts(s, &o.URI, &o.Text)
	return o, err
}

func readConcern(s string) (c policy.Concern, _ error) {
	err := readTexts(s, &c.ID, &c.Text)
	return c, err
}

func readAlternative(s string) (a policy.Alternative, _ error) {
	err := readTexts(s, &a.ID, &a.Text, &a.URI)
	return a, err
}

func readGround(s string) (g policy.Ground, _ error) {
	err := readTexts(s, &g.ID, &g.Text)
	return g, err
}

func readObligation(s string) (o policy.Obligation, _ error) {
	var directive, release string // for output only
	err := readTexts(s, &o.ID, &o.Text, &directive, &release)
	return o, err
}

// readTexts reads a message all of whose fields are strings, numbered from 1.
func readTexts(s string, to ...*string) error {
	w := wire{rest: s}
	for w.next() {
		if w.field < 1 || w.field > len(to) {
			w.unknown()
			break
		}
		*to[w.field-1] = w.text()
	}
	return w.err
}

func readExemptionRules(s string) (*policy.ExemptionRules, error) {
	r := &policy.ExemptionRules{}
	approved := false
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			item(&w, "grounds", &r.Grounds, readGround)
		case 2:
			value(&w, &r.Approver, approverFrom)
			approved = true
		case 3:
			w.duration("longest_duration", &r.LongestDuration)
		case 4:
			item(&w, "obligations", &r.Obligations, readObligation)
		case 5:
			w.texts(&r.NotWhole)
		default:
			w.unknown()
		}
	}
	if !approved && w.err == nil {
		_, w.err = approverFrom(0)
	}
	return r, w.err
}

func (w *wire) duration(field string, to *time.Duration) {
	seconds, nanos := w.parts(field)
	var err error
	*to, err = durationFrom(&durationpb.Duration{Seconds: seconds, Nanos: int32(nanos)})
	w.absorb(within(field, err))
}

func readWithdrawal(s string) (*policy.Withdrawal, error) {
	v := &policy.Withdrawal{Time: policy.Beginning}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			w.instant("time", &v.Time)
		case 2:
			v.Reason = w.text()
		default:
			w.unknown()
		}
	}
	return v, w.err
}

func readAdoptedFrom(s string) (*policy.AdoptedFrom, error) {
	a := &policy.AdoptedFrom{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			a.Directive = w.text()
		case 2:
			a.Revision = policy.Revision(w.integer())
		default:
			w.unknown()
		}
	}
	return a, w.err
}
