package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func (b *builder) foldDirectives() error {
	puts := b.puts[KindDirective]
	for i := range puts {
		puts[i].row = b.directives.reserve(b, puts[i].resource.(*Directive).ID)
		if puts[i].row == b.rules.n {
			b.rules.grow(b.edit)
		}
	}
	var moved []int32 // directives whose window may have changed
	for _, p := range puts {
		touched, err := b.foldDirective(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.resource.Key(), err)
		}
		moved = append(moved, touched...)
	}
	slices.Sort(moved)
	for _, d := range slices.Compact(moved) {
		b.clip(d)
	}
	return nil
}

// foldDirective puts one directive and returns the rows of the directives whose window it may have changed.
func (b *builder) foldDirective(p put) ([]int32, error) {
	next := p.resource.(*Directive)
	old := b.directives.rows.at(p.row).resource
	if err := b.foldProvisions(p.row, old, next, p.changed); err != nil {
		return nil, err
	}
	if err := b.foldCarveOuts(p.row, next); err != nil {
		return nil, err
	}
	touched := []int32{p.row}
	if old != nil {
		for _, id := range old.Supersedes {
			if d := b.directives.number(b.seed, id); d != none {
				b.rules.edit(b.edit, d).successors = &list{b.edit, without(b.rules.at(d).successors.all(), p.row)}
				touched = append(touched, d)
			}
		}
	}
	for _, id := range next.Supersedes {
		d := b.directives.number(b.seed, id)
		if d == none {
			return nil, &ReferenceError{"supersedes", Key{Kind: KindDirective, ID: id}, false}
		}
		row := b.rules.edit(b.edit, d)
		row.successors = row.successors.with(b.edit, p.row)
		touched = append(touched, d)
	}
	return touched, nil
}

// without returns a copy of the list that lacks the number.
func without(list []int32, n int32) []int32 {
	return slices.DeleteFunc(slices.Clone(list), func(m int32) bool { return m == n })
}

// foldProvisions replaces the old text's provisions by the next one's. A provision that keeps its id keeps its row, so
// that releases which name it need no looking at.
func (b *builder) foldProvisions(d int32, old, next *Directive, changed Revision) error {
	var free map[string]int32
	if old != nil {
		free = make(map[string]int32, len(old.Provisions))
	}
	for i, row := range b.rules.at(d).provisions {
		free[old.Provisions[i].ID] = row
		b.releaseKinds(old.Provisions[i].Selector.Organizations.Kinds...)
		b.unindexProvision(row)
	}
	b.directives.put(b, d, next, changed)
	rows := make([]int32, len(next.Provisions))
	for i := range next.Provisions {
		row, ok := free[next.Provisions[i].ID]
		if !ok {
			row = b.newProvision()
		}
		delete(free, next.Provisions[i].ID)
		rows[i] = row
		compiled, err := b.compile(&next.Provisions[i].Selector)
		if err != nil {
			return fmt.Errorf("provisions[%d]: %w", i, err)
		}
		firsts := compiled.indexedFirsts()
		*b.provisions.edit(b.edit, row) = provisionRow{
			selector: compiled, directive: d, position: int32(i), force: next.Provisions[i].Force, firsts: firsts,
			plural: len(firsts) > 1 || len(compiled.roots) > 1,
			sure:   compiled.targets == nil || compiled.targets.simple && !compiled.coarse,
			blocks: next.DeviceAction == DeviceBlock,
		}
	}
	for _, row := range free {
		b.spareProvisions = append(slices.Clip(b.spareProvisions), row)
	}
	b.rules.edit(b.edit, d).provisions = rows
	b.named = namedRows{}
	for _, row := range rows {
		b.indexProvision(row)
	}
	return nil
}

func (b *builder) newProvision() int32 {
	if row := reuse(&b.spareProvisions); row != none {
		return row
	}
	b.gates.grow(b.edit)
	return b.provisions.grow(b.edit)
}

// foldCarveOuts replaces the directive's carve-outs by the next text's.
func (b *builder) foldCarveOuts(d int32, next *Directive) error {
	for _, row := range slices.Clone(b.rules.at(d).releases.all()) {
		if b.holes.at(row).release.Kind == CarveOut {
			b.dropRelease(d, row)
		}
	}
	for i := range next.CarveOuts {
		if err := b.addRelease(d, &next.CarveOuts[i]); err != nil {
			return fmt.Errorf("carve_outs[%d]: %w", i, err)
		}
	}
	return nil
}

func (b *builder) foldReleases() error {
	for _, p := range b.puts[KindRelease] {
		r := p.resource.(*Release)
		d := b.directives.number(b.seed, r.Directive)
		if d == none {
			return &ReferenceError{"directive", Key{Kind: KindDirective, ID: r.Directive}, false}
		}
		if row, ok := b.findRelease(d, r.ID); ok {
			b.dropRelease(d, row)
		}
		if err := b.addRelease(d, r); err != nil {
			return fmt.Errorf("%s: %w", r.Key(), err)
		}
		b.releases.put(b, b.releases.reserve(b, r.Key().name()), r, p.changed)
		b.flagReleased(d)
	}
	return nil
}

// findRelease returns the row of the directive's release of that id.
func (s *Snapshot) findRelease(d int32, id string) (int32, bool) {
	list := s.rules.at(d).releases.all()
	i, found := slices.BinarySearchFunc(list, id, s.compareReleaseID)
	if !found {
		return none, false
	}
	return list[i], true
}

func (s *Snapshot) compareReleaseID(row int32, id string) int {
	return cmp.Compare(s.holes.at(row).release.ID, id)
}

func (b *builder) addRelease(d int32, r *Release) error {
	compiled, err := b.compile(&r.Selector)
	if err != nil {
		return err
	}
	provisions, err := b.provisionRows(d, r.Provisions)
	if err != nil {
		return err
	}
	row := b.newHole()
	*b.holes.edit(b.edit, row) = releaseRow{r.Window(), compiled, d, provisions, r}
	rule := b.rules.edit(b.edit, d)
	rule.releases = rule.releases.own(b.edit)
	at, _ := slices.BinarySearchFunc(rule.releases.rows, r.ID, b.compareReleaseID)
	rule.releases.rows = slices.Insert(rule.releases.rows, at, row)
	if rule.indexed {
		b.indexRelease(rule, row)
	} else if len(rule.releases.rows) > fewReleases {
		rule.indexed = true
		for _, each := range rule.releases.rows {
			b.indexRelease(rule, each)
		}
	}
	return nil
}

func (b *builder) provisionRows(d int32, ids []string) ([]int32, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if b.named.ids == nil || b.named.directive != d {
		b.named = b.nameRows(d)
	}
	var rows []int32
	for i, id := range ids {
		row, ok := b.named.ids[id]
		if !ok {
			return nil, &InvalidError{fmt.Sprintf("provisions[%d]", i), "the directive has no provision " + strings.ToValidUTF8(id, "")}
		}
		rows = append(rows, row)
	}
	slices.Sort(rows)
	return rows, nil
}

// namedRows are the provision rows of one directive by id.
type namedRows struct {
	directive int32
	ids       map[string]int32
}

func (b *builder) nameRows(d int32) namedRows {
	rows := b.rules.at(d).provisions
	named := namedRows{d, make(map[string]int32, len(rows))}
	for i, p := range b.directives.rows.at(d).resource.Provisions {
		named.ids[p.ID] = rows[i]
	}
	return named
}

func (b *builder) newHole() int32 {
	if row := reuse(&b.spareHoles); row != none {
		return row
	}
	return b.holes.grow(b.edit)
}

// reuse takes a row off the spare ones, and returns none if there is none.
func reuse(spare *[]int32) int32 {
	last := len(*spare) - 1
	if last < 0 {
		return none
	}
	row := (*spare)[last]
	*spare = (*spare)[:last]
	return row
}

func (b *builder) dropRelease(d, row int32) {
	rule := b.rules.edit(b.edit, d)
	b.releaseKinds(b.holes.at(row).release.Selector.Organizations.Kinds...)
	if rule.indexed {
		b.unindexRelease(row)
	}
	rule.releases = &list{b.edit, without(rule.releases.all(), row)}
	b.spareHoles = append(slices.Clip(b.spareHoles), row)
}

// clip brings the directive's window, and its provisions', up to its text and to what supersedes it.
func (b *builder) clip(d int32) {
	text := b.directives.rows.at(d).resource
	window := text.Window
	for _, successor := range b.rules.at(d).successors.all() {
		if s := b.directives.rows.at(successor).resource; s.Withdrawal == nil {
			window.End = min(window.End, s.Window.Start)
		}
	}
	if text.Withdrawal != nil {
		window = Window{}
	}
	rule := b.rules.edit(b.edit, d)
	rule.window = window
	for i, row := range rule.provisions {
		p := b.provisions.edit(b.edit, row)
		p.window = text.Provisions[i].Selector.Window.Intersect(window)
		p.released = len(rule.releases.all()) > 0
		*b.gates.edit(b.edit, row) = p.gate()
	}
}

// flagReleased tells the directive's provisions that it has releases.
func (b *builder) flagReleased(d int32) {
	for _, row := range b.rules.at(d).provisions {
		if !b.provisions.at(row).released {
			p := b.provisions.edit(b.edit, row)
			p.released = true
			*b.gates.edit(b.edit, row) = p.gate()
		}
	}
}
