package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// reporters write what became of scenarios, by format.
var reporters = map[string]func(io.Writer, []result) error{"table": reportTable, "json": reportJSON, "junit": reportJUnit}

func failed(results []result) int {
	n := 0
	for _, r := range results {
		if len(r.failures) > 0 {
			n++
		}
	}
	return n
}

// reportTable writes a row for each scenario, and below those that failed, why.
func reportTable(w io.Writer, results []result) error {
	rows := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range results {
		word := "pass"
		if len(r.failures) > 0 {
			word = "FAIL"
		}
		fmt.Fprintf(rows, "%s\t%s\t%s\n", word, r.scenario.place, r.scenario.GetName())
		for _, f := range r.failures {
			fmt.Fprint(rows, indent(f.String()))
		}
	}
	if err := rows.Flush(); err != nil {
		return err
	}
	passed := len(results) - failed(results)
	_, err := fmt.Fprintf(w, "%d scenarios: %d passed, %d failed\n", len(results), passed, len(results)-passed)
	return err
}

// indent sets lines off below a row of a table, as one cell that keeps the columns around it as they are.
func indent(text string) string {
	return "        " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ") + "\n"
}

// String is the failure in words: what is the same in both is left out where there are several.
func (f failure) String() string {
	var b strings.Builder
	if len(f.expected) == 1 && len(f.got) == 1 {
		fmt.Fprintf(&b, "%s: expected %s, got %s\n", f.field, f.expected[0], f.got[0])
	} else {
		fmt.Fprintf(&b, "%s:\n", f.field)
		difference(&b, "  - expected, and it is not there: ", f.expected, f.got)
		difference(&b, "  + there, and it was not expected: ", f.got, f.expected)
	}
	for _, line := range f.because {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

// difference writes what of some is not in others.
func difference(b *strings.Builder, words string, some, others []string) {
	for _, s := range some {
		if !slices.Contains(others, s) {
			fmt.Fprintf(b, "%s%s\n", words, s)
		}
	}
}

// surprise says of a citation what it is.
func surprise(c *teishiv1.Citation) string {
	text := joined(c.GetDirective(), c.GetProvision(), c.GetRelease()) + " is of " + c.GetAuthority()
	for _, more := range []string{c.GetTitle(), c.GetMessage()} {
		if more != "" {
			text += ": " + more
		}
	}
	return text
}

// reportJSON writes a list of objects.
func reportJSON(w io.Writer, results []result) error {
	type difference struct {
		Field    string   `json:"field"`
		Expected []string `json:"expected"`
		Got      []string `json:"got"`
	}
	type scenario struct {
		World    string          `json:"world"`
		File     string          `json:"file"`
		Line     int             `json:"line"`
		Name     string          `json:"name"`
		Passed   bool            `json:"passed"`
		Failures []difference    `json:"failures,omitempty"`
		Answer   json.RawMessage `json:"answer,omitempty"`
	}
	all := make([]scenario, len(results))
	for i, r := range results {
		s := scenario{World: r.world, File: r.scenario.place.file, Line: r.scenario.place.line, Name: r.scenario.GetName(), Passed: len(r.failures) == 0}
		for _, f := range r.failures {
			s.Failures = append(s.Failures, difference{f.field, f.expected, f.got})
		}
		if r.answer != nil {
			s.Answer = protoJSON(r.answer)
		}
		all[i] = s
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}

// The elements of JUnit's report that readers of it agree on.
type (
	junitReport struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		File    string        `xml:"file,attr"`
		Line    int           `xml:"line,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// reportJUnit writes the XML that CI systems read: a suite for each world.
func reportJUnit(w io.Writer, results []result) error {
	report := junitReport{Tests: len(results), Failures: failed(results)}
	for _, r := range results {
		last := len(report.Suites) - 1
		if last < 0 || report.Suites[last].Name != r.world {
			report.Suites = append(report.Suites, junitSuite{Name: r.world})
			last++
		}
		suite := &report.Suites[last]
		suite.Tests++
		suite.Failures += failed([]result{r})
		suite.Cases = append(suite.Cases, junitCaseOf(r))
	}
	data, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, data)
	return err
}

func junitCaseOf(r result) junitCase {
	c := junitCase{Class: r.world, Name: r.scenario.GetName(), File: r.scenario.place.file, Line: r.scenario.place.line}
	if len(r.failures) == 0 {
		return c
	}
	var text strings.Builder
	var fields []string
	for _, f := range r.failures {
		text.WriteString(f.String())
		fields = append(fields, f.field)
	}
	c.Failure = &junitFailure{Message: strings.Join(fields, ", ") + " not as expected", Text: text.String()}
	return c
}
