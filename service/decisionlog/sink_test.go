package decisionlog_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/service/decisionlog"
)

// Lines are appended to what the file has, for its owner alone, and go on in another when it is moved away.
func TestFile(t *testing.T) {
	sink, name := file(t)
	add := func(line string) {
		t.Helper()
		if n, err := sink.Write([]byte(line)); n != 1 || err != nil {
			t.Errorf("Write(%q) = %d, %v", line, n, err)
		}
	}
	holds := func(name, want string) {
		t.Helper()
		if got := string(read(t, name)); got != want {
			t.Errorf("%s has %q, want %q", name, got, want)
		}
	}
	add("one\n")
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of the file is %v, %v", info.Mode(), err)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	add("two\n")
	if err := os.Truncate(name, 0); err != nil { // as logrotate's copytruncate does
		t.Fatal(err)
	}
	add("three\n")
	if err := os.Rename(name, name+".2"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, nil, 0o600); err != nil { // as its create does
		t.Fatal(err)
	}
	add("four\n")
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
	again, err := decisionlog.File(name)
	if err != nil {
		t.Fatal(err)
	}
	sink = again
	add("five\n")
	holds(name+".1", "one\n")
	holds(name+".2", "three\n")
	holds(name, "four\nfive\n")

	if err := os.Rename(filepath.Dir(name), filepath.Dir(name)+"-away"); err != nil {
		t.Fatal(err)
	}
	if n, err := sink.Write([]byte("lost\n")); n != 0 || err == nil {
		t.Errorf("where there is no directory, Write = %d, %v", n, err)
	}
	if err := os.Rename(filepath.Dir(name)+"-away", filepath.Dir(name)); err != nil {
		t.Fatal(err)
	}
	add("six\n")
	holds(name, "four\nfive\nsix\n")
	if err := sink.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileRefuses(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, t.TempDir(), filepath.Join(t.TempDir(), "none", "decisions.json")} {
		if _, err := decisionlog.File(name); err == nil {
			t.Errorf("%s is taken for a file", name)
		}
	}
}

// A line that could not be finished takes no other with it.
func TestTorn(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	const length = 1000
	lines := []byte(strings.Repeat(strings.Repeat("x", length-1)+"\n", 1000))
	sink := decisionlog.Stream(writer)
	var first [1]byte
	interrupted := make(chan error, 1)
	go func() {
		_, err := reader.Read(first[:]) // the pipe is full by then
		interrupted <- err
		writer.SetWriteDeadline(time.Unix(1, 0))
	}()
	written, err := sink.Write(lines)
	if <-interrupted != nil || err == nil || written == 0 || written == 1000 {
		t.Fatalf("into a pipe that is not read, Write = %d, %v", written, err)
	}
	writer.SetWriteDeadline(time.Time{})
	text := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(reader)
		text <- all
	}()
	if n, err := sink.Write([]byte("next\n")); n != 1 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	writer.Close()
	all := append(first[:], <-text...)
	rest := all[written*length:]
	if torn, next, _ := bytes.Cut(rest, []byte("\n")); len(torn) == 0 || string(next) != "next\n" {
		t.Errorf("after the lines that are whole comes %q", rest)
	}
}
