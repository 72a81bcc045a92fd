package main

import (
	"maps"
	"slices"
	"strings"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func outcomeName(o teishiv1.Outcome) string { return strings.TrimPrefix(o.String(), "OUTCOME_") }

func reasonName(r teishiv1.Reason) string { return strings.TrimPrefix(r.String(), "REASON_") }

func truthName(t teishiv1.Truth) string { return strings.TrimPrefix(t.String(), "TRUTH_") }

// joined is a directive, a provision in it and a release of it, as far as they are named.
func joined(names ...string) string {
	return strings.Join(slices.DeleteFunc(names, func(s string) bool { return s == "" }), "/")
}

// orAll names a purpose, or says that there is none.
func orAll(purpose string) string {
	if purpose == "" {
		return "every purpose"
	}
	return purpose
}

// stated are circumstances in order.
func stated(attributes map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		all = append(all, name+"="+attributes[name])
	}
	return all
}

func obligationText(o *teishiv1.Obligation) string { return labelled(o.GetId(), o.GetText()) }

// obligationIDs names obligations.
func obligationIDs(all []*teishiv1.Obligation) string {
	ids := make([]string, len(all))
	for i, o := range all {
		ids[i] = o.GetId()
	}
	return strings.Join(ids, ", ")
}

func alternativeText(a *teishiv1.Alternative) string {
	return strings.TrimSpace(labelled(a.GetId(), a.GetText()) + " " + a.GetUri())
}

func adviceText(a *teishiv1.Advice) string {
	text := labelled(joined(a.GetDirective(), a.GetProvision()), a.GetMessage())
	if a.GetMet() {
		text += " (met)"
	}
	for _, o := range a.GetObligations() {
		text += "\n  if you honour " + obligationText(o)
	}
	for _, other := range a.GetAlternatives() {
		text += "\n  use instead " + alternativeText(other)
	}
	return text
}

func labelled(id, text string) string {
	if text == "" {
		return id
	}
	return id + ": " + strings.TrimSpace(text)
}
