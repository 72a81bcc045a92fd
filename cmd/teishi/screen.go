package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// screen shows a watch to people: a line for whatever happens, and below them, on a terminal, one that says how it stands.
type screen struct {
	page   page // shows times
	out    io.Writer
	server string
	live   bool // it is a terminal
	colour bool
	state  teishiv1.Freshness_State // that was shown last; 0: none but FRESH
	widths []int                    // of the columns, as far as they were needed yet
}

func (p *program) screen(server string, zone *time.Location) *screen {
	live := isTerminal(p.stdout)
	return &screen{page: page{zone: zone}, out: p.stdout, server: server, live: live, colour: live && p.getenv("NO_COLOR") == ""}
}

// What a terminal is told.
const (
	clearLine = "\r\x1b[K"
	red       = "\x1b[31m"
	green     = "\x1b[32m"
	yellow    = "\x1b[33m"
	dim       = "\x1b[2m"
	plainText = "\x1b[0m"
)

func (s *screen) changed(list []*teishiv1.DecisionChange, _ *teishiv1.WatchPosition) error {
	rows := make([][]string, len(list))
	for i, c := range list {
		rows[i] = s.row(c)
		s.fit(rows[i])
	}
	var b strings.Builder
	for i, c := range list {
		b.WriteString(s.line(rows[i], outcomeColour(c.GetResponse().GetOutcome())))
	}
	return s.print(b.String())
}

// outcomeCell is where in a row the outcome stands.
const outcomeCell = 1

// row is an answer cell by cell.
func (s *screen) row(c *teishiv1.DecisionChange) []string {
	asked, a := c.GetQuery(), c.GetResponse()
	row := []string{s.clock(a.GetDecisionTime().AsTime()), outcomeName(a.GetOutcome()), asked.GetOrganization(), asked.GetApp(),
		purposeCell(asked), reasonName(a.GetReason()), s.because(a), ""}
	if t := a.GetValidUntilTime(); t != nil {
		row[len(row)-1] = "until " + s.page.time(t)
	}
	if len(a.GetObligations()) > 0 {
		row[len(row)-1] += "  you must " + obligationIDs(a.GetObligations())
	}
	return row
}

// because is what an answer cites first, and since when that holds.
func (s *screen) because(a *teishiv1.CheckResponse) string {
	if len(a.GetCitations()) == 0 {
		return ""
	}
	text := "by " + firstCitation(a)
	if since := s.page.time(a.GetCitations()[0].GetEffectiveTime()); since != "" {
		text += " since " + since
	}
	return text
}

// fit makes the columns as wide as a row needs.
func (s *screen) fit(row []string) {
	for i, cell := range row {
		if i == len(s.widths) {
			s.widths = append(s.widths, 0)
		}
		s.widths[i] = max(s.widths[i], utf8.RuneCountInString(cell))
	}
}

// line is a row in its columns.
func (s *screen) line(row []string, colour string) string {
	var b strings.Builder
	for i, cell := range row {
		padding := strings.Repeat(" ", s.widths[i]-utf8.RuneCountInString(cell)+2)
		if i == outcomeCell {
			cell = s.painted(colour, cell)
		}
		b.WriteString(cell + padding)
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// outcomeColour is the colour of an outcome. One that is not known is as good as DENIED.
func outcomeColour(o teishiv1.Outcome) string {
	switch o {
	case teishiv1.Outcome_OUTCOME_ALLOWED:
		return green
	case teishiv1.Outcome_OUTCOME_INDETERMINATE:
		return yellow
	}
	return red
}

func (s *screen) painted(colour, text string) string {
	if !s.colour {
		return text
	}
	return colour + text + plainText
}

// said notes what became of the policy, or of the watch.
func (s *screen) said(m *teishiv1.WatchDecisionsResponse) error {
	switch e := m.Event.(type) {
	case *teishiv1.WatchDecisionsResponse_Synced:
		return s.freshness(e.Synced.GetFreshness())
	case *teishiv1.WatchDecisionsResponse_Heartbeat:
		return s.freshness(e.Heartbeat.GetFreshness())
	case *teishiv1.WatchDecisionsResponse_Restarted:
		return s.note("the server answers all again: " + restartText(e.Restarted.GetReason()))
	}
	return nil
}

func restartText(r teishiv1.WatchRestarted_Reason) string {
	switch r {
	case teishiv1.WatchRestarted_REASON_UNCERTAIN:
		return "answers were stricter than the policy"
	case teishiv1.WatchRestarted_REASON_CLOCK_SET_BACK:
		return "its clock was set back"
	case teishiv1.WatchRestarted_REASON_COMPACTED:
		return "it went on from a checkpoint"
	}
	return strings.TrimPrefix(r.String(), "REASON_")
}

// freshness notes that the policy is no longer as fresh, or stale, as it was.
func (s *screen) freshness(f *teishiv1.Freshness) error {
	before := s.state
	s.state = f.GetState()
	if s.state == before || before == 0 && s.state == teishiv1.Freshness_STATE_FRESH {
		return nil
	}
	return s.note("the policy is " + s.standing(f))
}

// standing says how fresh policy is, and since when it may have changed.
func (s *screen) standing(f *teishiv1.Freshness) string {
	state, proven := strings.TrimPrefix(f.GetState().String(), "STATE_"), "-"
	if f.GetAge() != nil {
		proven = time.Now().Add(-f.GetAge().AsDuration()).In(s.page.zone).Format(time.TimeOnly)
	}
	if f.GetState() == teishiv1.Freshness_STATE_FRESH {
		return state + " as of " + proven
	}
	return state + " since " + proven
}

func (s *screen) alive(f *teishiv1.Freshness, at *teishiv1.WatchPosition) error {
	if !s.live {
		return nil
	}
	colour := dim
	if f.GetState() != teishiv1.Freshness_STATE_FRESH {
		colour = yellow
	}
	return s.write(clearLine + s.painted(colour, fmt.Sprintf("%s, revision %d", s.standing(f), at.GetRevision())))
}

func (s *screen) lost(cause string) error {
	return s.note(fmt.Sprintf("the connection to %s is lost, and what stands here may no longer hold: %s", s.server, cause))
}

func (s *screen) found() error {
	return s.note("the connection is there again: what has changed follows, and all else holds")
}

// note prints a line that is about no question.
func (s *screen) note(text string) error {
	return s.print(s.clock(time.Now()) + "  " + s.painted(yellow, text) + "\n")
}

func (s *screen) clock(t time.Time) string { return t.In(s.page.zone).Format("15:04:05.000") }

// print adds lines, in place of the one that says how it stands.
func (s *screen) print(text string) error {
	if s.live {
		text = clearLine + text
	}
	return s.write(text)
}

func (s *screen) write(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}

// close leaves a terminal as it was.
func (s *screen) close() error {
	if !s.live {
		return nil
	}
	return s.write(clearLine)
}
