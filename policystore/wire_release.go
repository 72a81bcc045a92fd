package policystore

import "github.com/teishi-dev/teishi/policy"

func readRelease(s string) (*policy.Release, error) {
	r, err := readReleaseValue(s)
	return &r, err
}

func readReleaseValue(s string) (policy.Release, error) {
	r := policy.Release{Selector: policy.Selector{Window: policy.Always}, EndTime: policy.Forever}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			r.ID = w.text()
		case 2:
			r.Directive = w.text()
		case 3:
			value(&w, &r.Kind, releaseKindFrom)
		case 4:
			w.texts(&r.Provisions)
		case 5:
			message(&w, "selector", &r.Selector, readSelector)
		case 6:
			item(&w, "obligations", &r.Obligations, readObligation)
		case 7:
			r.Instrument = w.text()
		case 8:
			w.instant("end_time", &r.EndTime)
		case 9:
			r.Ground = w.text()
		case 10:
			r.Justification = w.text()
		case 11:
			r.Approver = w.text()
		case 12:
			w.integer() // the revision is for output only
		case 13:
			r.GrantedBy = w.text()
		default:
			w.unknown()
		}
	}
	return r, w.err
}

func readConcernState(s string) (*policy.ConcernState, error) {
	c := &policy.ConcernState{Time: policy.Beginning}
	stated := false
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			c.Directive = w.text()
		case 2:
			c.Concern = w.text()
		case 3:
			value(&w, &c.Resolved, resolvedFrom)
			stated = true
		case 4:
			c.Evidence = w.text()
		case 5:
			c.ResolvedBy = w.text()
		case 6:
			w.instant("time", &c.Time)
		case 7:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	if !stated && w.err == nil {
		_, w.err = resolvedFrom(0)
	}
	return c, w.err
}

func readStatement(s string) (*policy.Statement, error) {
	st := &policy.Statement{Time: policy.Beginning}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			st.Directive = w.text()
		case 2:
			st.ID = w.text()
		case 3:
			st.Author = w.text()
		case 4:
			st.Text = w.text()
		case 5:
			item(&w, "sources", &st.Sources, readSource)
		case 6:
			w.instant("time", &st.Time)
		case 7:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return st, w.err
}
