package policy

import (
	"fmt"
	"slices"
	"strings"
)

// selectorForm checks a selector. Its window is the only facet that may be wrong by itself in what it spans.
func selectorForm(at *field, s *Selector) error {
	return firstOf(
		organizationsForm(at.in("organizations"), &s.Organizations),
		targetsForm(at.in("targets"), &s.Targets),
		set(at.in("purposes").in("in"), s.Purposes.In, reference),
		set(at.in("purposes").in("out"), s.Purposes.Out, reference),
		each(at.in("conditions"), s.Conditions, conditionForm),
		distinct(at.in("conditions"), "attribute", len(s.Conditions), func(i int) string { return s.Conditions[i].Attribute }),
		window(at, "effective_time", "expire_time", s.Window),
	)
}

func organizationsForm(at *field, s *OrganizationSelector) error {
	if s.All && len(s.In) > 0 {
		return at.in("all").wrong("all is stated together with in")
	}
	return firstOf(
		set(at.in("in"), s.In, reference),
		set(at.in("out"), s.Out, reference),
		countWithin(at.in("kinds"), len(s.Kinds), 0, MaxKinds, "kinds"),
		set(at.in("kinds"), s.Kinds, slug),
	)
}

func targetsForm(at *field, s *TargetSelector) error {
	if s.All && len(s.In) > 0 {
		return at.in("all").wrong("all is stated together with in")
	}
	return firstOf(
		each(at.in("in"), s.In, targetForm),
		each(at.in("out"), s.Out, targetForm),
	)
}

func targetForm(at *field, t *Target) error {
	if *t == (Target{}) {
		return at.wrong("names no app, vendor, tag or country")
	}
	return firstOf(
		optional(at.in("tag"), t.Tag, slug),
		optional(at.in("country"), t.Country, country),
	)
}

func conditionForm(at *field, c *Condition) error {
	return firstOf(
		countWithin(at.in("values"), len(c.Values), 1, MaxValues, "values"),
		set(at.in("values"), c.Values, reference),
	)
}

// conditionsSound refuses conditions that name a value which is not registered, or every value there is.
func conditionsSound[R Resource](d *draft, r R) (err error) {
	eachSelector(r, func(at *field, s *Selector) {
		for i := range s.Conditions {
			if err == nil {
				err = d.conditionSound(at.in("conditions").item(i), &s.Conditions[i])
			}
		}
	})
	return err
}

func (d *draft) conditionSound(at *field, c *Condition) error {
	values := d.attribute(c.Attribute).Values
	for i, v := range c.Values {
		if !slices.Contains(values, v) {
			return at.in("values").item(i).wrong(fmt.Sprintf("%s is not a value of %s", v, c.Attribute))
		}
	}
	if covers(c.Values, values) {
		return at.in("values").wrong("names every value of " + c.Attribute + ": leave the condition out")
	}
	return nil
}

// covers reports whether each of the values is named or lies beneath a named one.
func covers(named, values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(named, func(n string) bool { return v == n || strings.HasPrefix(v, n+".") })
	})
}
