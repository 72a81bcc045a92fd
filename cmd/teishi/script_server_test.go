package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// watchdog bounds what a script waits for. It is never what a test measures.
const watchdog = time.Minute

// server is a running teishi serve.
type server struct {
	process *exec.Cmd
	line    string // what it printed when it was ready
	address string // that it listens on
	ended   chan error
}

// servers holds what a script has running.
type servers struct {
	env       []string
	arguments []string // of those that a document starts, beside its own
	running   *server
}

// serversKey is what a script keeps its servers under.
const serversKey = "servers"

func running(ts *testscript.TestScript) *servers { return ts.Value(serversKey).(*servers) }

// listening finds the address in the line that teishi serve prints.
var listening = regexp.MustCompile(` on (127\.0\.0\.1:\d+); try: `)

// serveCmd is `serve ARGUMENTS…`: it starts teishi serve on a free port and waits until it is ready. ADDR is its address
// from then on, teishi asks it, and what it printed is the standard output.
func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use: ! exec teishi serve")
	}
	s := startServer(ts, args)
	running(ts).running = s
	ts.Setenv("ADDR", s.address)
	ts.Setenv("TEISHI_SERVER", s.address)
	io.WriteString(ts.Stdout(), s.line)
}

// endCmd is `end`: it ends the server by SIGTERM, upon which it must exit with 0.
func endCmd(ts *testscript.TestScript, _ bool, _ []string) {
	s := running(ts).running
	if s == nil {
		ts.Fatalf("nothing is serving")
	}
	running(ts).running = nil
	ts.Check(s.process.Process.Signal(syscall.SIGTERM))
	if err := <-s.ended; err != nil {
		ts.Fatalf("teishi serve, ended by SIGTERM: %v, want exit code 0", err)
	}
}

func startServer(ts *testscript.TestScript, args []string) *server {
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--listen") }) {
		args = append(slices.Clone(args), "--listen=127.0.0.1:0")
	}
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	s := &server{ended: make(chan error, 1)}
	s.process = exec.CommandContext(ctx, lookPath(ts, "teishi"), append([]string{"serve"}, args...)...)
	s.process.Dir = ts.MkAbs(".")
	s.process.Env = running(ts).env
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), "server.log"))
	ts.Check(err)
	s.process.Stderr = log
	rest, err := os.Create(filepath.Join(ts.Getenv("WORK"), "server.out"))
	ts.Check(err)
	out, err := s.process.StdoutPipe()
	ts.Check(err)
	ts.Check(s.process.Start())
	ended := make(chan struct{})
	lines := bufio.NewReader(out)
	s.line, err = lines.ReadString('\n')
	go func() {
		defer close(ended)
		io.Copy(rest, lines)
		s.ended <- s.process.Wait()
	}()
	ts.Defer(func() { cancel(); <-ended; log.Close(); rest.Close() })
	found := listening.FindStringSubmatch(s.line)
	if err != nil || found == nil {
		cancel()
		<-ended
		ts.Fatalf("teishi serve says %q (%v) and on standard error:\n%s", s.line, err, ts.ReadFile(log.Name()))
	}
	s.address = found[1]
	return s
}

// lookPath finds a program on the script's path.
func lookPath(ts *testscript.TestScript, name string) string {
	for directory := range strings.SplitSeq(ts.Getenv("PATH"), string(filepath.ListSeparator)) {
		if path := filepath.Join(directory, name); executable(path) {
			return path
		}
	}
	ts.Fatalf("%s is not on the path", name)
	return ""
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
