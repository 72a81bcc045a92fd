package policy

import (
	"hash/maphash"
	"slices"
	"strings"
)

// Resolved is a query in the numbers of one snapshot: what Decide takes. It is worth nothing to any other snapshot.
type Resolved struct {
	// Unrecognized has the query's unregistered attributes, as name or name=value, in order.
	Unrecognized []string

	at           *Snapshot
	time         Instant
	problem      Reason // 0, or what was unknown
	unregistered bool   // an identifier that no app holds
	app          int32  // none if unregistered
	purpose      int16  // -1 if none was given
	kinds        uint64 // of the organization and its ancestors
	known        uint32 // attributes given and registered
	filter       mask   // the path's filter bits
	depth        int
	path         [MaxDepth + 1]int32   // the organization, its parent, …, and anywhere
	values       [MaxAttributes]uint64 // for each known attribute, its value and what that lies beneath
}

// anyApp is what an app without a row belongs to.
var anyApp = []int32{allApps}

// Resolve turns the query's names into numbers. What it does not know it notes; Decide answers accordingly.
func (s *Snapshot) Resolve(q Query) (r Resolved) {
	r = Resolved{at: s, time: q.At, app: none, purpose: -1}
	organization := s.resolveOrganization(q.Organization)
	platform, appKnown := s.resolveApp(q.App, &r)
	purposeKnown := s.resolvePurpose(q.Purpose, &r)
	for name, value := range q.Attributes {
		s.resolveAttribute(name, value, &r)
	}
	if platform != "" {
		s.supply(platform, q.Attributes, &r)
	}
	if len(r.Unrecognized) > 1 {
		slices.Sort(r.Unrecognized)
		r.Unrecognized = slices.Compact(r.Unrecognized)
	}
	switch {
	case organization == none:
		r.problem = UnknownOrganization
	case !appKnown:
		r.problem = UnknownApp
	case !purposeKnown:
		r.problem = UnknownPurpose
	default:
		s.climb(organization, &r)
	}
	return r
}

func (s *Snapshot) resolveOrganization(name string) int32 {
	if i := s.organizations.number(s.seed, name); i != none {
		return i
	}
	if i, ok := s.aliases.get(maphash.String(s.seed, name), name); ok {
		return i
	}
	return none
}

// resolveApp returns the platform that an identifier speaks of, and whether the app is one that can be decided about.
func (s *Snapshot) resolveApp(name string, r *Resolved) (platform string, known bool) {
	if r.app = s.apps.number(s.seed, name); r.app != none {
		return "", true
	}
	id, ok := parseIdentifier(name)
	if !ok {
		return "", false
	}
	r.app = s.resolveIdentifier(id)
	r.unregistered = r.app == none
	return id.platform(), true
}

func (s *Snapshot) resolveIdentifier(id identifier) int32 {
	for name := id.text; ; {
		if i, ok := s.identifiers.get(maphash.String(s.seed, name), name); ok {
			return i
		}
		if id.scheme != schemeDomain {
			return none
		}
		_, rest, more := strings.Cut(name[len(schemeDomain)+1:], ".")
		if !more {
			return none
		}
		name = schemeDomain + ":" + rest
	}
}

func (s *Snapshot) resolvePurpose(id string, r *Resolved) (known bool) {
	if id == "" {
		return len(s.tree.numbers) > 0
	}
	n, ok := s.tree.numbers[id]
	if ok {
		r.purpose = int16(n)
	}
	return ok
}

func (s *Snapshot) resolveAttribute(name, text string, r *Resolved) {
	n := s.attrs.number(name)
	if n == none || name == "" {
		r.Unrecognized = append(r.Unrecognized, name)
		return
	}
	v := s.attrs.rows[n].value(text)
	if v == nil {
		r.Unrecognized = append(r.Unrecognized, name+"="+text)
		return
	}
	r.known |= 1 << n
	r.values[n] = v.within
}

// supply adds what an identifier says of the circumstances, unless the query says it itself.
func (s *Snapshot) supply(platform string, given map[string]string, r *Resolved) {
	s.supplyOne("platform", platform, given, r)
	if platform == platformWeb {
		s.supplyOne("act", "web-access", given, r)
	}
}

func (s *Snapshot) supplyOne(name, text string, given map[string]string, r *Resolved) {
	if _, ok := given[name]; ok {
		return
	}
	if n := s.attrs.number(name); n != none {
		if v := s.attrs.rows[n].value(text); v != nil {
			r.known |= 1 << n
			r.values[n] = v.within
		}
	}
}

// climb notes the organization and its ancestors. The fold of lawful entries is never deeper than MaxDepth; of what lies
// deeper, nothing is noted.
func (s *Snapshot) climb(organization int32, r *Resolved) {
	for i := organization; i != none && r.depth < MaxDepth; {
		row := s.orgs.at(i)
		if row.kind >= 0 {
			r.kinds |= 1 << row.kind
		}
		r.path[r.depth] = i
		r.depth++
		r.filter.set(filterBit(i))
		i = row.parent
	}
	r.path[r.depth] = anywhere
	r.depth++
	r.filter.set(filterBit(anywhere))
}

// onPath reports whether the organization or an ancestor is in the ordered list.
func (r *Resolved) onPath(list []int32) bool {
	for _, n := range r.path[:r.depth-1] {
		if contains(list, n) {
			return true
		}
	}
	return false
}

// view returns the app as the index sees it.
func (r *Resolved) view() appView { return r.at.view(r.app) }

func (s *Snapshot) view(app int32) appView {
	if app == none {
		return appView{static: anyApp}
	}
	row := s.appRows.at(app)
	if row.owner == none {
		return appView{static: row.groups}
	}
	return appView{static: row.groups, owner: s.owners.rows.at(row.owner)}
}

// asked returns the purposes that the query is put to.
func (r *Resolved) asked() mask {
	if r.purpose < 0 {
		return r.at.tree.all
	}
	return r.at.tree.beneath[r.purpose]
}
