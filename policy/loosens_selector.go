package policy

import (
	"slices"
	"strings"
)

// covers reports whether it is certain that one selector is true, or unknown, of whatever another one is, in the registry
// as it will be. It looks at one facet after the other, and at vendors, tags and countries only by their names.
func (l *loosening) covers(wide, narrow *Selector) bool {
	return wide.Window.spans(narrow.Window) &&
		l.coversOrganizations(&wide.Organizations, &narrow.Organizations) &&
		coversTargets(&wide.Targets, &narrow.Targets) &&
		coversPurposes(&wide.Purposes, &narrow.Purposes) &&
		coversConditions(wide.Conditions, narrow.Conditions)
}

func (l *loosening) coversOrganizations(wide, narrow *OrganizationSelector) bool {
	beneath := func(root, organization string) bool { return l.after.Within(organization, root) }
	return coversNamed(wide.In, narrow.In, beneath) && eachCovered(narrow.Out, wide.Out, beneath) &&
		(len(wide.Kinds) == 0 || len(narrow.Kinds) > 0 && within(narrow.Kinds, wide.Kinds))
}

func coversTargets(wide, narrow *TargetSelector) bool {
	return coversNamed(wide.In, narrow.In, Target.covers) && eachCovered(narrow.Out, wide.Out, Target.covers)
}

// covers reports whether all that the target names another one names too.
func (t Target) covers(o Target) bool {
	return (t.App == "" || t.App == o.App) && (t.Vendor == "" || t.Vendor == o.Vendor) &&
		(t.Tag == "" || t.Tag == o.Tag) && (t.Country == "" || t.Country == o.Country)
}

func coversPurposes(wide, narrow *PurposeSelector) bool {
	return coversNamed(wide.In, narrow.In, beneathDotted) && eachCovered(narrow.Out, wide.Out, beneathDotted)
}

// beneathDotted reports whether the dotted id is root or lies beneath it.
func beneathDotted(root, id string) bool { return id == root || strings.HasPrefix(id, root+".") }

// coversConditions reports whether each condition holds wherever one of the narrow ones does. Both are unknown of a query
// that lacks the attribute.
func coversConditions(wide, narrow []Condition) bool {
	return eachCovered(narrow, wide, func(n, w Condition) bool { return n.Attribute == w.Attribute && covers(w.Values, n.Values) })
}

// coversNamed is eachCovered for lists of which an empty one stands for everything.
func coversNamed[E any](wide, narrow []E, covers func(wide, narrow E) bool) bool {
	return len(wide) == 0 || len(narrow) > 0 && eachCovered(wide, narrow, covers)
}

// eachCovered reports whether each of the narrow ones is covered by one of the wide ones.
func eachCovered[E any](wide, narrow []E, covers func(wide, narrow E) bool) bool {
	return !slices.ContainsFunc(narrow, func(n E) bool {
		return !slices.ContainsFunc(wide, func(w E) bool { return covers(w, n) })
	})
}
