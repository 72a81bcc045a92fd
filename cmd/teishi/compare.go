package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// failure is one field of an answer that is not as expected.
type failure struct {
	field         string
	expected, got []string
	because       []string // what the answer says of why it is so, in words
}

// A pair is what is expected of one field of an answer and what it is, both as people read it.
type pair struct {
	field         string
	expected, got []string
	stated        bool // it is to be compared
}

// compare returns every field of an answer that is not as stated.
func compare(s scenario, a *teishiv1.CheckResponse) []failure {
	var failures []failure
	for _, p := range pairsOf(s, a) {
		if !p.stated || slices.Equal(sorted(p.expected), sorted(p.got)) {
			continue
		}
		failures = append(failures, failure{field: p.field, expected: p.expected, got: p.got})
	}
	return explained(failures, s, a)
}

// explained adds to failures why they are: to what was decided all grounds of it, else to the citations those not expected.
func explained(failures []failure, s scenario, a *teishiv1.CheckResponse) []failure {
	decided := slices.IndexFunc(failures, func(f failure) bool { return f.field != "outcome" && f.field != "reason" })
	if decided < 0 {
		decided = len(failures)
	}
	if decided > 0 { // they come first
		failures[decided-1].because = grounds(failures[:decided], a)
	} else if len(failures) > 0 && failures[0].field == "citations" {
		failures[0].because = names(surprises(s.GetExpect().GetCitations(), a), surprise)
	}
	return failures
}

// grounds says why an answer is another one: its reason, unless a failure says it, and all that it cites.
func grounds(told []failure, a *teishiv1.CheckResponse) []string {
	var all []string
	if !slices.ContainsFunc(told, func(f failure) bool { return f.field == "reason" }) {
		all = append(all, "the reason is "+reasonName(a.GetReason()))
	}
	if len(a.GetCitations()) == 0 {
		return append(all, "nothing is cited")
	}
	all = append(all, names(a.GetCitations(), surprise)...)
	if more := int(a.GetCitationsTotal()) - len(a.GetCitations()); more > 0 {
		all = append(all, fmt.Sprintf("and %d more are cited", more))
	}
	return all
}

func pairsOf(s scenario, a *teishiv1.CheckResponse) []pair {
	e := s.GetExpect()
	list := func(field, alias string, expected, got []string) pair {
		return pair{field: field, expected: expected, got: got, stated: s.stated[field] || s.stated[alias]}
	}
	one := func(field, alias, expected, got string) pair {
		return list(field, alias, []string{expected}, []string{got})
	}
	return []pair{
		one("outcome", "", outcomeName(e.GetOutcome()), outcomeName(a.GetOutcome())),
		one("reason", "", reasonName(e.GetReason()), reasonName(a.GetReason())),
		list("citations", "", e.GetCitations(), cited(e.GetCitations(), a)),
		list("obligations", "", e.GetObligations(), names(a.GetObligations(), (*teishiv1.Obligation).GetId)),
		list("advice", "", e.GetAdvice(), names(a.GetAdvice(), adviceName)),
		list("alternatives", "", e.GetAlternatives(), names(a.GetAlternatives(), (*teishiv1.Alternative).GetId)),
		list("missing", "", e.GetMissing(), missing(a.GetMissing())),
		list("permitted_purposes", "permittedPurposes", e.GetPermittedPurposes(), a.GetPermittedPurposes()),
		one("valid_until_time", "validUntilTime", timeName(e.GetValidUntilTime()), timeName(a.GetValidUntilTime())),
		list("upcoming", "", names(e.GetUpcoming(), sameTime), names(a.GetExplanation().GetUpcoming(), upcomingName)),
	}
}

// cited names what an answer cites, each as shortly as what is expected of it: `directive`, `directive/provision` or all.
func cited(expected []string, a *teishiv1.CheckResponse) []string {
	return names(a.GetCitations(), func(c *teishiv1.Citation) string {
		if as := expectation(expected, c); as != "" {
			return as
		}
		return joined(c.GetDirective(), c.GetProvision(), c.GetRelease())
	})
}

// expectation returns the longest expected name of a citation; empty if none is.
func expectation(expected []string, c *teishiv1.Citation) string {
	for _, name := range []string{joined(c.GetDirective(), c.GetProvision(), c.GetRelease()), joined(c.GetDirective(), c.GetProvision()), c.GetDirective()} {
		if slices.Contains(expected, name) {
			return name
		}
	}
	return ""
}

// surprises returns the citations that were not expected.
func surprises(expected []string, a *teishiv1.CheckResponse) []*teishiv1.Citation {
	return slices.DeleteFunc(slices.Clone(a.GetCitations()), func(c *teishiv1.Citation) bool { return expectation(expected, c) != "" })
}

func adviceName(a *teishiv1.Advice) string { return joined(a.GetDirective(), a.GetProvision()) }

func missing(m *teishiv1.Missing) []string {
	all := slices.Clone(m.GetAttributes())
	if m.GetPurpose() {
		all = append(all, "purpose")
	}
	return all
}

func timeName(t *timestamppb.Timestamp) string {
	if t == nil {
		return "never"
	}
	return t.AsTime().Format(time.RFC3339Nano)
}

func upcomingName(u *teishiv1.Upcoming) string {
	return timeName(u.GetTime()) + " " + joined(u.GetDirective(), u.GetProvision(), u.GetRelease())
}

// sameTime is an expected change with its time written as upcomingName writes it.
func sameTime(expected string) string {
	at, what, _ := strings.Cut(expected, " ")
	t, err := time.Parse(time.RFC3339Nano, at)
	if err != nil {
		return expected
	}
	return fmt.Sprintf("%s %s", t.UTC().Format(time.RFC3339Nano), what)
}

// names names each of many, without duplicates.
func names[M any](many []M, name func(M) string) []string {
	var all []string
	for _, m := range many {
		if n := name(m); !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

func sorted(all []string) []string { return slices.Sorted(slices.Values(all)) }
