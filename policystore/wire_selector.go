package policystore

import "github.com/teishi-dev/teishi/policy"

func readSelector(s string) (policy.Selector, error) {
	sel := policy.Selector{Window: policy.Always}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			message(&w, "organizations", &sel.Organizations, readOrganizations)
		case 2:
			message(&w, "targets", &sel.Targets, readTargets)
		case 3:
			message(&w, "purposes", &sel.Purposes, readPurposes)
		case 4:
			item(&w, "conditions", &sel.Conditions, readCondition)
		case 5:
			w.instant("effective_time", &sel.Window.Start)
		case 6:
			w.instant("expire_time", &sel.Window.End)
		default:
			w.unknown()
		}
	}
	return sel, w.err
}

func readOrganizations(s string) (o policy.OrganizationSelector, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			o.All = w.flag()
		case 2:
			w.texts(&o.In)
		case 3:
			w.texts(&o.Out)
		case 4:
			w.texts(&o.Kinds)
		default:
			w.unknown()
		}
	}
	return o, w.err
}

func readTargets(s string) (t policy.TargetSelector, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			t.All = w.flag()
		case 2:
			item(&w, "in", &t.In, readTarget)
		case 3:
			item(&w, "out", &t.Out, readTarget)
		default:
			w.unknown()
		}
	}
	return t, w.err
}

func readTarget(s string) (t policy.Target, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			t.App = w.text()
		case 2:
			t.Vendor = w.text()
		case 3:
			t.Tag = w.text()
		case 4:
			t.Country = w.text()
		default:
			w.unknown()
		}
	}
	return t, w.err
}

func readPurposes(s string) (p policy.PurposeSelector, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			w.texts(&p.In)
		case 2:
			w.texts(&p.Out)
		default:
			w.unknown()
		}
	}
	return p, w.err
}

func readCondition(s string) (c policy.Condition, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			c.Attribute = w.text()
		case 2:
			w.texts(&c.Values)
		default:
			w.unknown()
		}
	}
	return c, w.err
}
