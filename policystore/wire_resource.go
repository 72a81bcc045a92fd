package policystore

import (
	"strings"

	"github.com/teishi-dev/teishi/policy"
)

// readResource reads a Resource, which must be of exactly one kind.
func readResource(s string) (r policy.Resource, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			r = kind(&w, r, "organization", readOrganization)
		case 2:
			r = kind(&w, r, "vendor", readVendor)
		case 3:
			r = kind(&w, r, "app", readApp)
		case 4:
			r = kind(&w, r, "purpose", readPurpose)
		case 5:
			r = kind(&w, r, "attribute", readAttribute)
		case 6:
			r = kind(&w, r, "directive", readDirective)
		case 7:
			r = kind(&w, r, "release", readRelease)
		case 8:
			r = kind(&w, r, "concern_state", readConcernState)
		case 9:
			r = kind(&w, r, "statement", readStatement)
		case 10:
			r = kind(&w, r, "grant", readGrant)
		case 11:
			r = kind(&w, r, "proposal", readProposal)
		default:
			w.unknown()
		}
	}
	if r == nil {
		w.fail("must be a resource of some kind")
	}
	return r, w.err
}

// kind reads the message that a oneof holds, which must be the first.
func kind[R policy.Resource](w *wire, before policy.Resource, field string, read func(string) (R, error)) policy.Resource {
	if before != nil {
		w.fail("must be of one kind")
	}
	r, err := read(w.bytes())
	w.absorb(within(field, err))
	return r
}

func readKey(s string) (k policy.Key, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			value(&w, &k.Kind, kindFrom)
		case 2:
			k.ID = w.text()
		case 3:
			k.Directive = w.text()
		default:
			w.unknown()
		}
	}
	if k.Kind == 0 && w.err == nil {
		_, w.err = kindFrom(0)
	}
	return k, w.err
}

func readChanges(s string) (changes []policy.Change, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			item(&w, "changes", &changes, readChange)
		default:
			w.unknown()
		}
	}
	return changes, w.err
}

// readChange reads a Change, which puts or deletes something, and not both. It reads a copy: what a resource is made of
// lives as long as the resource, and must not keep a payload of 1 MiB with it.
func readChange(s string) (c policy.Change, _ error) {
	w := wire{rest: strings.Clone(s)}
	set := false
	for w.next() {
		switch w.field {
		case 1:
			message(&w, "put", &c.Put, readResource)
		case 2:
			message(&w, "delete", &c.Delete, readKey)
		default:
			w.unknown()
		}
		if set {
			w.fail("must put or delete one thing")
		}
		set = true
	}
	if !set {
		w.fail("must put or delete something")
	}
	return c, w.err
}

// stored is a resource of a checkpoint with the revision at which it last changed.
type stored struct {
	resource policy.Resource
	changed  policy.Revision
}

// readStored reads a copy, as readChange does.
func readStored(s string) (r stored, _ error) {
	w := wire{rest: strings.Clone(s)}
	for w.next() {
		switch w.field {
		case 1:
			message(&w, "resource", &r.resource, readResource)
		case 2:
			r.changed = policy.Revision(w.integer())
		default:
			w.unknown()
		}
	}
	if r.resource == nil {
		w.fail("must hold a resource")
	}
	return r, w.err
}

// readResources reads a piece of a Checkpoint that holds resources and nothing else.
func readResources(s string) (list []stored, _ error) {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 7:
			item(&w, "resources", &list, readStored)
		default:
			w.unknown()
		}
	}
	return list, w.err
}
