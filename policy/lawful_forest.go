package policy

import (
	"fmt"
	"maps"
	"slices"
)

func tooDeep(at *field, who string) error {
	return at.wrong(fmt.Sprintf("%s would be deeper than %d levels", who, MaxDepth))
}

// placedInTree refuses a parent that makes a cycle, or puts the organization too deep.
func placedInTree(d *draft, o *Organization) error {
	at := (*field)(nil).in("parent")
	depth := 1
	for above := o.Parent; above != "" && depth <= MaxDepth+len(d.puts); depth++ {
		if above == o.ID {
			return at.wrong(o.ID + " would lie beneath itself")
		}
		above = d.organization(above).Parent
	}
	if depth > MaxDepth {
		return tooDeep(at, o.ID)
	}
	return nil
}

// movesSound refuses to move an organization if that would put something beneath it too deep, or something that a
// provision binds out of the reach of its authority.
func (d *draft) movesSound() error {
	moved := d.moved()
	if len(moved) == 0 {
		return nil
	}
	at := (*field)(nil).in("parent")
	depths := map[string]int{"": 0}
	for r := range d.others(KindOrganization) {
		if o := r.(*Organization); d.depth(o, depths) > MaxDepth {
			return d.blame(d.movedAbove(o.ID, moved), tooDeep(at, o.ID))
		}
	}
	for r := range d.others(KindDirective) {
		text := r.(*Directive)
		provision, root := d.outOfReach(text)
		if provision < 0 || text.Withdrawal != nil {
			continue
		}
		id := text.Provisions[provision].Selector.Organizations.In[root]
		return d.blame(d.movedAbove(id, moved), &RuleError{text.ID, at.String(), fmt.Sprintf(
			"provision %s binds %s, which would no longer lie beneath %s", text.Provisions[provision].ID, id, text.Authority)})
	}
	return nil
}

// moved returns the organizations that the entry gives another parent.
func (d *draft) moved() map[string]bool {
	moved := make(map[string]bool)
	for _, c := range d.changes {
		if o, ok := c.Put.(*Organization); ok {
			was := d.before.Organization(o.ID)
			moved[o.ID] = was != nil && was.Parent != o.Parent
		}
	}
	maps.DeleteFunc(moved, func(_ string, yes bool) bool { return !yes })
	return moved
}

// movedAbove returns the key of the nearest moved organization above that of the id, itself included.
func (d *draft) movedAbove(id string, moved map[string]bool) Key {
	for o := d.organization(id); o != nil && !moved[id]; o = d.organization(id) {
		id = o.Parent
	}
	return Key{Kind: KindOrganization, ID: id}
}

// depth returns how deep the organization would be, 1 for a root. It remembers in depths what it found.
func (d *draft) depth(o *Organization, depths map[string]int) int {
	if n, ok := depths[o.ID]; ok {
		return n
	}
	n := 1
	if o.Parent != "" {
		n += d.depth(d.organization(o.Parent), depths)
	}
	depths[o.ID] = n
	return n
}

// outOfReach returns where a binding provision names a subtree that would not lie in the authority's: the positions of
// the provision and of the subtree in it, both -1 if there is none.
func (d *draft) outOfReach(text *Directive) (provision, root int) {
	for i := range text.Provisions {
		if text.Provisions[i].Force != Binding {
			continue
		}
		for j, id := range text.Provisions[i].Selector.Organizations.In {
			if !d.within(id, text.Authority) {
				return i, j
			}
		}
	}
	return -1, -1
}

// chainSound refuses parents of a vendor that at some instant make a cycle, or put it too deep.
func chainSound(d *draft, v *Vendor) error {
	at := (*field)(nil).in("parents")
	for i, p := range v.Parents {
		height, cycle := d.climb(p, Always, v.ID, 1)
		if cycle {
			return at.item(i).wrong(v.ID + " would at some instant lie beneath itself")
		}
		if height > MaxDepth {
			return tooDeep(at.item(i), v.ID)
		}
	}
	return nil
}

// climb follows a period of a vendor, below which there are depth vendors counting it, to what is above it at instants of
// the span. It returns how many vendors the longest chain would have, looking no further than is lawful, and whether one
// meets the vendor of the id.
func (d *draft) climb(p VendorPeriod, span Window, id string, depth int) (height int, meets bool) {
	span = span.Intersect(p.Window)
	if span.Empty() {
		return depth, false
	}
	if p.Vendor == id {
		return depth + 1, true
	}
	height = depth + 1
	if height > MaxDepth {
		return height, false
	}
	for _, above := range d.vendor(p.Vendor).Parents {
		h, m := d.climb(above, span, id, depth+1)
		height, meets = max(height, h), meets || m
	}
	return height, meets
}

// vendorsSound refuses to give a vendor parents that would put another one, beneath it, too deep.
func (d *draft) vendorsSound() error {
	var changed []Key
	for _, c := range d.changes {
		if v, ok := c.Put.(*Vendor); ok {
			if was := d.before.Vendor(v.ID); was != nil && !slices.Equal(was.Parents, v.Parents) {
				changed = append(changed, v.Key())
			}
		}
	}
	if len(changed) == 0 {
		return nil
	}
	for r := range d.others(KindVendor) {
		for _, p := range r.(*Vendor).Parents {
			if height, _ := d.climb(p, Always, "", 1); height > MaxDepth {
				return d.blame(d.changedAbove(p, changed), tooDeep((*field)(nil).in("parents"), r.Key().ID))
			}
		}
	}
	return nil
}

// changedAbove returns the first of the changed vendors that the period leads to.
func (d *draft) changedAbove(p VendorPeriod, changed []Key) Key {
	for _, key := range changed {
		if _, meets := d.climb(p, Always, key.ID, 1); meets {
			return key
		}
	}
	return changed[0]
}
