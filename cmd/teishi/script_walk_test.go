package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// walkCmd is `walk FILE`: it runs the document. Each block of `sh` is run by a shell, and the block of `text` or `json`
// after it is what it must print, standard error included; in that `…` stands for any text and a line of it alone for any
// lines. A block that starts a server leaves it running; its address takes the place of the default one. So does a block that
// watches, once it has printed a line: what it must print is what it has when the document is over.
//
// With -update the document is written anew with what was printed.
func walkCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: walk FILE")
	}
	file := filepath.Join(ts.Getenv("ROOT"), args[0])
	data, err := os.ReadFile(file)
	ts.Check(err)
	d := parseDocument(string(data))
	walk(ts, args[0], d)
	if *update {
		ts.Check(os.WriteFile(file, []byte(d.String()), 0o644))
	}
}

// walkAsCmd is `walkas PRINCIPAL FILE ARGUMENTS…`: it runs a document of callers whom nobody asks who they are on a server with these
// arguments too, by which the principal is the first administrator. What is printed is the same, but for who it was and for the
// revisions: there is an entry more, by which it was made that.
func walkAsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: walkas PRINCIPAL FILE ARGUMENTS...")
	}
	data, err := os.ReadFile(filepath.Join(ts.Getenv("ROOT"), args[1]))
	ts.Check(err)
	text := strings.ReplaceAll(string(data), `"local"`, fmt.Sprintf("%q", args[0]))
	text = strings.ReplaceAll(text, "; try: grpcurl -plaintext", "; try: grpcurl …")
	text = revisionText.ReplaceAllStringFunc(text, later)
	running(ts).arguments = args[2:]
	walk(ts, args[1], parseDocument(text))
	running(ts).arguments = nil
}

// revisionText finds the revisions in a document.
var revisionText = regexp.MustCompile(`(evision"?:? "?|wait |concerns-|entriesVerified": ")([1-9]\d*)`)

// later makes a revision the next one. The first one may be that of the birth, which stays it, or that of a record in which nothing was
// written yet, which is no longer it.
func later(text string) string {
	found := revisionText.FindStringSubmatch(text)
	if found[2] == "1" {
		return found[1] + "…"
	}
	revision, _ := strconv.Atoi(found[2]) // it is digits
	return found[1] + strconv.Itoa(revision+1)
}

// walk runs the document of that name.
func walk(ts *testscript.TestScript, name string, d document) {
	var open []*openWatch
	for i := range d {
		switch {
		case d[i].language == "sh" && watches.MatchString(d[i].text):
			open = append(open, startWatch(ts, &d[i], d.printed(i)))
		case d[i].language == "sh":
			walkBlock(ts, name, &d[i], d.printed(i))
		case d[i].fenced && command.MatchString(d[i].text):
			ts.Fatalf("%s:%d: a command that is not run: make it a block of sh", name, d[i].line)
		}
	}
	for _, w := range open {
		w.end(ts, name)
	}
}

// command finds what a reader would run.
var command = regexp.MustCompile(`(?m)^\s*(teishi|grpcurl|go run \./cmd/teishi) `)

// part is a fenced block of a document, or the text between two.
type part struct {
	fenced   bool
	language string
	text     string // of a block without its fences
	line     int
}

type document []part

func parseDocument(text string) document {
	var d document
	current := part{line: 1}
	for i, line := range strings.SplitAfter(text, "\n") {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		if !fence {
			current.text += line
			continue
		}
		d = append(d, current)
		current = part{fenced: !current.fenced, line: i + 2}
		if current.fenced {
			current.language = language
		}
	}
	return append(d, current)
}

func (d document) String() string {
	var b strings.Builder
	for _, p := range d {
		if p.fenced {
			fmt.Fprintf(&b, "```%s\n%s```\n", p.language, p.text)
		} else {
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// printed returns the block that says what block i prints; nil if there is none.
func (d document) printed(i int) *part {
	if i+2 < len(d) && (d[i+2].language == "text" || d[i+2].language == "json") {
		return &d[i+2]
	}
	return nil
}

func walkBlock(ts *testscript.TestScript, file string, block, printed *part) {
	got, failed := runBlock(ts, block.text)
	if printed == nil {
		if failed {
			ts.Fatalf("%s:%d fails:\n%s", file, block.line, got)
		}
		return
	}
	comparePrinted(ts, file, block, printed, got, failed)
}

// comparePrinted compares what a block prints with what the document says of it.
func comparePrinted(ts *testscript.TestScript, file string, block, printed *part, got string, failed bool) {
	got = strings.ReplaceAll(got, ts.Getenv("ADDR"), defaultAddress)
	switch {
	case matches(printed.text, got) && failed == says(printed.text, "ERROR:"):
	case *update:
		printed.text = settle(got)
	default:
		ts.Fatalf("%s:%d prints (failed: %t)\n%s\nand the document says\n%s", file, block.line, failed, got, printed.text)
	}
}

func says(text, word string) bool { return strings.Contains(text, word) }

const defaultAddress = "127.0.0.1:50051"

// runBlock runs a block and returns what it prints, and whether it failed.
func runBlock(ts *testscript.TestScript, text string) (printed string, failed bool) {
	text = built(text)
	if arguments, ok := strings.CutPrefix(strings.TrimSpace(text), "teishi serve"); ok {
		if running(ts).running != nil {
			endCmd(ts, false, nil)
		}
		arguments = os.Expand(strings.ReplaceAll(arguments, "\\\n", " "), ts.Getenv)
		serveCmd(ts, false, slices.Concat(strings.Fields(arguments), running(ts).arguments))
		return running(ts).running.line, false
	}
	err := ts.Exec("sh", "-e", "-c", strings.ReplaceAll(text, defaultAddress, ts.Getenv("ADDR")))
	printed = ts.ReadFile("stdout") + ts.ReadFile("stderr")
	return printed, err != nil
}

// built calls the program that is under test.
func built(text string) string { return strings.ReplaceAll(text, "go run ./cmd/teishi", "teishi") }

// watches finds a block that does not end by itself.
var watches = regexp.MustCompile(`^(teishi|go run \./cmd/teishi) watch `)

// openWatch is a block that watches.
type openWatch struct {
	block, printed *part
	process        *exec.Cmd
	lines          *bufio.Reader
	got            string
}

func startWatch(ts *testscript.TestScript, block, printed *part) *openWatch {
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	c := exec.CommandContext(ctx, "sh", "-c", "exec "+built(block.text))
	c.Dir, c.Env = ts.MkAbs("."), append(slices.Clone(running(ts).env), "TEISHI_SERVER="+ts.Getenv("TEISHI_SERVER"))
	out, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	ts.Defer(func() { cancel(); _ = c.Wait() }) // it was waited for, unless the script has failed
	w := &openWatch{block: block, printed: printed, process: c, lines: bufio.NewReader(out)}
	w.read(ts)
	return w
}

// read reads the next line.
func (w *openWatch) read(ts *testscript.TestScript) {
	line, err := w.lines.ReadString('\n')
	if err != nil {
		ts.Fatalf("%s\nhas printed %s%s and then: %v", w.block.text, w.got, line, err)
	}
	w.got += line
}

// end waits for as many lines as the document has, and ends the watch as Ctrl-C does.
func (w *openWatch) end(ts *testscript.TestScript, file string) {
	for range len(lines(w.printed.text)) - 1 {
		w.read(ts)
	}
	ts.Check(w.process.Process.Signal(os.Interrupt))
	ts.Check(w.process.Wait())
	comparePrinted(ts, file, w.block, w.printed, w.got, false)
}

// matches reports whether the lines printed are those of the document.
func matches(document, printed string) bool {
	return linesMatch(lines(document), lines(printed))
}

func lines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

func linesMatch(document, printed []string) bool {
	if len(document) == 0 {
		return len(printed) == 0
	}
	if strings.TrimSpace(document[0]) == "…" {
		for i := range len(printed) + 1 {
			if linesMatch(document[1:], printed[i:]) {
				return true
			}
		}
		return false
	}
	return len(printed) > 0 && lineMatches(document[0], printed[0]) && linesMatch(document[1:], printed[1:])
}

func lineMatches(document, printed string) bool {
	quoted := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimRight(document, " ")), "…", ".*")
	return regexp.MustCompile("^" + quoted + "$").MatchString(strings.TrimRight(printed, " "))
}

// What is another thing every time: an age, a hash, a name that a server made, a temporary place.
var unsettled = []*regexp.Regexp{
	regexp.MustCompile(`("age": ")[^"]*(")`),
	regexp.MustCompile(`("(?:requestDigest|previousHash|hash|payload|nextPageToken)": ")[^"]*(")`),
	regexp.MustCompile(`( from )/\S*(/[a-z]+\.db)`),
	regexp.MustCompile(`(?m)(^)\d\d:\d\d:\d\d\.\d{3}(  )`),
	regexp.MustCompile(`( hash )[0-9A-Za-z+/]{43}=()`),
}

var instantText = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)

// settle replaces what will be another thing next time.
func settle(printed string) string {
	for _, u := range unsettled {
		printed = u.ReplaceAllString(printed, "$1…$2")
	}
	printed = instantText.ReplaceAllStringFunc(printed, func(s string) string {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil && time.Since(t).Abs() < 24*time.Hour {
			return "…"
		}
		return s
	})
	return strings.Join(slices.Collect(trimmed(lines(printed))), "\n") + "\n"
}

func trimmed(lines []string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for _, l := range lines {
			if !yield(strings.TrimRight(l, " ")) {
				return
			}
		}
	}
}
