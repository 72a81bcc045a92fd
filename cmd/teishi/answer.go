package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// page lays out an answer for people: rows of a label and what there is to say, and lines below them.
type page struct {
	text *strings.Builder
	rows *tabwriter.Writer
	zone *time.Location
}

func newPage(zone *time.Location) *page {
	text := &strings.Builder{}
	return &page{text: text, rows: tabwriter.NewWriter(text, 0, 8, 2, ' ', 0), zone: zone}
}

// row adds a row, unless there is nothing to say.
func (p *page) row(label, format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != "" {
		fmt.Fprintf(p.rows, "%s\t%s\n", label, strings.ReplaceAll(text, "\n", "\n\t"))
	}
}

// rowsOf adds a row for each of many, the label beside the first only.
func rowsOf[M any](p *page, label string, many []M, text func(M) string) {
	for _, m := range many {
		p.row(label, "%s", text(m))
		label = ""
	}
}

func (p *page) String() string {
	p.rows.Flush()
	return p.text.String()
}

// time shows an instant in the reader's zone; nothing if there is none.
func (p *page) time(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().In(p.zone).Format(time.RFC3339Nano)
}

// answerText is an answer for people.
func answerText(asked *teishiv1.CheckRequest, a *teishiv1.CheckResponse, zone *time.Location) string {
	p := newPage(zone)
	p.row(outcomeName(a.GetOutcome()), "%s", reasonName(a.GetReason()))
	p.row("asked", "%s · %s · %s", asked.GetOrganization(), asked.GetApp(), orAll(asked.GetPurpose()))
	p.row("", "%s", strings.Join(stated(asked.GetAttributes()), ", "))
	p.row("not registered", "%s", strings.Join(a.GetUnrecognized(), ", "))
	p.grounds(a)
	p.row("decided for", "%s", p.time(a.GetDecisionTime()))
	p.row("until", "%s", p.time(a.GetValidUntilTime()))
	p.row("policy", "%s", standing(a))
	p.explanation(a.GetExplanation())
	return p.String()
}

// grounds tells why, and what to do.
func (p *page) grounds(a *teishiv1.CheckResponse) {
	missing := a.GetMissing().GetAttributes()
	if a.GetMissing().GetPurpose() {
		missing = append(slices.Clone(missing), "a narrower purpose")
	}
	p.row("state", "%s", strings.Join(missing, ", "))
	p.row("allowed are", "%s", strings.Join(a.GetPermittedPurposes(), ", "))
	rowsOf(p, "you must", a.GetObligations(), obligationText)
	rowsOf(p, "because of", a.GetCitations(), p.citation)
	if more := int(a.GetCitationsTotal()) - len(a.GetCitations()); more > 0 {
		p.row("", "and %d more", more)
	}
	rowsOf(p, "use instead", a.GetAlternatives(), alternativeText)
	rowsOf(p, "advised", a.GetAdvice(), adviceText)
}

func (p *page) citation(c *teishiv1.Citation) string {
	lines := []string{fmt.Sprintf("%s, on the authority of %s", joined(c.GetDirective(), c.GetProvision(), c.GetRelease()), c.GetAuthority())}
	if c.GetRelease() != "" && c.GetInstrument() != c.GetDirective() {
		lines[0] += ", released by " + c.GetInstrument()
	}
	lines = append(lines, strings.TrimSpace(c.GetNumber()+" "+c.GetTitle()), c.GetMessage(), p.span(c))
	for _, s := range c.GetSources() {
		lines = append(lines, s.GetUri())
	}
	return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return s == "" }), "\n  ")
}

func (p *page) span(c *teishiv1.Citation) string {
	var words []string
	if t := p.time(c.GetEffectiveTime()); t != "" {
		words = append(words, "from "+t)
	}
	if t := p.time(c.GetEndTime()); t != "" {
		words = append(words, "until "+t)
	}
	return strings.Join(words, " ")
}

func (p *page) explanation(e *teishiv1.Explanation) {
	rowsOf(p, "considered", e.GetConsidered(), func(c *teishiv1.Considered) string {
		name := joined(c.GetDirective(), c.GetProvision(), c.GetRelease())
		if c.GetFailedFacet() == "" {
			return fmt.Sprintf("%s: %s", name, truthName(c.GetTruth()))
		}
		return fmt.Sprintf("%s: %s by its %s", name, truthName(c.GetTruth()), c.GetFailedFacet())
	})
	rowsOf(p, "to come", e.GetUpcoming(), func(u *teishiv1.Upcoming) string {
		return p.time(u.GetTime()) + "  " + joined(u.GetDirective(), u.GetProvision(), u.GetRelease())
	})
}

// standing says what an answer was made from.
func standing(a *teishiv1.CheckResponse) string {
	f := a.GetFreshness()
	text := fmt.Sprintf("revision %d, %s", a.GetRevision(), strings.TrimPrefix(f.GetState().String(), "STATE_"))
	if a.GetHypothetical() {
		text += "; hypothetical, so nobody may act on it"
	}
	return text
}
