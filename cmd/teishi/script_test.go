package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what scripts and documents print into them")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"teishi": main})
}

// TestScripts runs the program as its users do: beside the real grpcurl, over real connections.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tools, err := grpcurl()
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", tools+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("ROOT", root)
			e.Setenv("TZ", "Asia/Tokyo")
			e.Setenv("TEISHI_LAME_DUCK", "0s")
			e.Values[serversKey] = &servers{env: e.Vars}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   serveCmd,
			"end":     endCmd, // not stop: testscript has one of its own, which wins, and passes the test
			"exits":   exitsCmd,
			"tamper":  tamperCmd,
			"raw":     rawCmd,
			"walk":    walkCmd,
			"walkas":  walkAsCmd,
			"replace": replaceCmd,
			"collect": collectCmd,

			"credentials": credentialsCmd,
			"freeport":    freePortCmd,
			"get":         getCmd,
		},
	})
}

// grpcurl builds the grpcurl that tools/go.mod pins, unless it was, and returns the directory it is in.
var grpcurl = sync.OnceValues(func() (string, error) {
	c := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "grpcurl")
	c.Dir = "../.."
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("build grpcurl: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
})

// exitsCmd is `exits CODE PROGRAM ARGUMENTS…`: it runs the program, which must exit with that code.
func exitsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	fmt.Fprint(ts.Stdout(), ts.ReadFile("stdout"))
	fmt.Fprint(ts.Stderr(), ts.ReadFile("stderr"))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s exits with %d, want %d", args[1], got, want)
	}
}

// replaceCmd is `replace FILE OLD NEW`: it replaces what stands exactly once in the file.
func replaceCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if n := strings.Count(text, args[1]); n != 1 {
		ts.Fatalf("%q stands in %s %d times, want once", args[1], args[0], n)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}
