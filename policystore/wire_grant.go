package policystore

import "github.com/teishi-dev/teishi/policy"

func readGrant(s string) (*policy.Grant, error) {
	g := &policy.Grant{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			g.ID = w.text()
		case 2:
			g.Principal = w.text()
		case 3:
			value(&w, &g.Role, roleFrom)
		case 4:
			g.Organization = w.text()
		case 5:
			g.Identity = w.text()
		case 6:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	if g.Role == 0 && w.err == nil {
		_, w.err = roleFrom(0)
	}
	return g, w.err
}

func readProposal(s string) (*policy.Proposal, error) {
	p := &policy.Proposal{Window: policy.Always}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			p.ID = w.text()
		case 2:
			p.Proposer = w.text()
		case 3:
			w.texts(&p.Identities)
		case 4:
			w.once()
			p.Change = []byte(w.bytes())
		case 5:
			item(&w, "base", &p.Base, readBase)
		case 6:
			item(&w, "needs", &p.Needs, readNeed)
		case 7:
			w.instant("propose_time", &p.Window.Start)
		case 8:
			w.instant("expire_time", &p.Window.End)
		case 9:
			p.Proposed = policy.Revision(w.integer())
		case 10:
			item(&w, "approvals", &p.Approvals, readApproval)
		case 11:
			p.Applied = policy.Revision(w.integer())
		case 12:
			w.integer() // the revision is for output only
		case 13:
			w.texts(&p.Groups)
		default:
			w.unknown()
		}
	}
	return p, w.err
}

func readBase(s string) (b policy.BaseRevision, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			var err error
			b.Key, err = keyFrom(w.text())
			w.absorb(err)
		case 2:
			b.Changed = policy.Revision(w.integer())
		default:
			w.unknown()
		}
	}
	if b.Key == (policy.Key{}) && w.err == nil {
		_, w.err = keyFrom("")
	}
	return b, w.err
}

func readNeed(s string) (n policy.ApprovalNeed, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			n.Directive = w.text()
		case 2:
			n.Approvals = int(w.integer())
		default:
			w.unknown()
		}
	}
	return n, w.err
}

func readApproval(s string) (policy.Approval, error) {
	a := policy.Approval{Time: policy.Beginning}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			a.Principal = w.text()
		case 2:
			w.texts(&a.Identities)
		case 3:
			w.instant("time", &a.Time)
		case 4:
			w.texts(&a.Groups)
		default:
			w.unknown()
		}
	}
	return a, w.err
}
