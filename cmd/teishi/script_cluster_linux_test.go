package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/teishi-dev/teishi/cluster"
)

// TestClusterScripts runs the program beside real PostgreSQL and Redis servers, several of it at once. The scripts share one
// PostgreSQL, each with a database of its own.
func TestClusterScripts(t *testing.T) {
	tools, err := grpcurl()
	if err != nil {
		t.Fatal(err)
	}
	all := cluster.Test(t)
	shared, err := all.StartPostgres(t.Context(), cluster.PostgresConfig{})
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/cluster",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(e *testscript.Env) error {
			part, err := all.Part("script")
			if err != nil {
				return err
			}
			s := &stage{Cluster: part, whole: all, shared: shared, servers: make(map[string]*cluster.Teishi),
				authorities: make(map[string]*cluster.CA), fronts: make(map[string]*cluster.Front)}
			e.Values[stageKey] = s
			e.Defer(func() {
				if problem := s.told(); problem != "" {
					e.T().Log(problem)
					e.T().FailNow()
				}
				if err := part.Close(); err != nil {
					e.T().Log(err)
					e.T().FailNow()
				}
			})
			e.Setenv("PATH", tools+string(filepath.ListSeparator)+e.Getenv("PATH"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("TZ", "Asia/Tokyo")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"postgres": postgresCmd,
			"standby":  standbyCmd,
			"sql":      sqlCmd,
			"redis":    redisCmd,
			"cli":      cliCmd,
			"shim":     shimCmd,
			"tried":    triedCmd,
			"pretend":  pretendCmd,
			"start":    startCmd,
			"server":   serverCmd,
			"ended":    endedCmd,
			"logged":   loggedCmd,
			"logs":     logsCmd,
			"until":    untilCmd,
			"secret":   secretCmd,
			"terminal": terminalCmd,
			"exits":    exitsInTimeCmd,
			"replace":  replaceCmd,
			"tamper":   tamperCmd,
			"ca":       caCmd,
			"issue":    issueCmd,
			"front":    frontCmd,
		},
	})
}

// stage holds what a script has running.
type stage struct {
	*cluster.Cluster
	whole    *cluster.Cluster
	shared   *cluster.Postgres
	postgres *cluster.Postgres // that the script uses
	database string
	redis    *cluster.Redis
	shim     *cluster.Shim
	servers  map[string]*cluster.Teishi
	secrets  []string // that nobody may tell

	authorities map[string]*cluster.CA
	fronts      map[string]*cluster.Front
}

// stageKey is what a script keeps its stage under.
const stageKey = "stage"

func on(ts *testscript.TestScript) *stage { return ts.Value(stageKey).(*stage) }

// told says which server has told a secret; empty if none has.
func (s *stage) told() string {
	for name, server := range s.servers {
		if line := s.secretIn(server.Log()); line != "" {
			return fmt.Sprintf("%s tells a secret: %s", name, line)
		}
	}
	return ""
}

// secretIn returns the first line that has a secret in it.
func (s *stage) secretIn(text string) string {
	for line := range strings.Lines(text) {
		for _, secret := range s.secrets {
			if strings.Contains(line, secret) {
				return line
			}
		}
	}
	return ""
}

// secretCmd is `secret WORD…`: nothing that teishi prints or logs may have a word of these in it. The passwords of the servers
// are such words already.
func secretCmd(ts *testscript.TestScript, _ bool, args []string) {
	on(ts).secrets = append(on(ts).secrets, args...)
}

// exitsInTimeCmd is exits for a program that might go on for ever, and might tell a secret.
func exitsInTimeCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENTS…")
	}
	exitsCmd(ts, neg, append([]string{args[0], "timeout", strconv.Itoa(int(watchdog.Seconds()))}, args[1:]...))
	if line := on(ts).secretIn(ts.ReadFile("stdout") + ts.ReadFile("stderr")); line != "" {
		ts.Fatalf("it tells a secret: %s", line)
	}
}

var setting = regexp.MustCompile(`^[A-Z][A-Z_]*=`)

// startCmd is `start NAME [VARIABLE=VALUE…] ARGUMENTS…`: it starts teishi with what environment is given, on a free address
// that is in the variable NAME from then on. It waits for nothing. With TEISHI_FAULTS_FILE the program is one that can be broken.
func startCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME [VARIABLE=VALUE…] ARGUMENTS…")
	}
	name, args := args[0], args[1:]
	env := []string{"TEISHI_LAME_DUCK=0s", "TEISHI_ID=" + name}
	for len(args) > 0 && setting.MatchString(args[0]) {
		env, args = append(env, args[0]), args[1:]
	}
	binary := lookPath(ts, "teishi")
	if slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "TEISHI_FAULTS_FILE=") }) {
		var err error
		binary, err = on(ts).Build(context.Background(), cluster.Build{Tags: []string{"faults"}})
		ts.Check(err)
	}
	server, err := on(ts).StartTeishi(context.Background(), cluster.TeishiConfig{Binary: binary, Name: name, Args: args, Env: env})
	ts.Check(err)
	on(ts).servers[name] = server
	ts.Setenv(name, server.Addr())
}

func serverOf(ts *testscript.TestScript, name string) *cluster.Teishi {
	s, ok := on(ts).servers[name]
	if !ok {
		ts.Fatalf("%s was not started", name)
	}
	return s
}

// serverCmd is `server VERB NAME`: ready and live wait until it is that; pause, resume, kill, stop and restart do that to it. `!
// server ready NAME` waits until it lives and looks once whether it is ready, which it must not be.
func serverCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg && args[0] != "ready" {
		ts.Fatalf("usage: server VERB NAME")
	}
	s := serverOf(ts, args[1])
	switch args[0] {
	case "ready":
		if neg {
			notReady(ts, s)
			return
		}
		ts.Check(s.Ready(context.Background()))
	case "live":
		ts.Check(s.Live(context.Background()))
	case "pause":
		ts.Check(s.Pause())
	case "resume":
		ts.Check(s.Resume())
	case "kill":
		ts.Check(s.Kill())
	case "restart":
		ts.Check(s.Restart(context.Background()))
	case "stop":
		ts.Check(s.Stop())
		ts.Check(s.Wait(context.Background()))
	default:
		ts.Fatalf("servers are not to be %s", args[0])
	}
}

func notReady(ts *testscript.TestScript, s *cluster.Teishi) {
	ts.Check(s.Live(context.Background()))
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	resp, err := grpc_health_v1.NewHealthClient(s.Conn()).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	ts.Check(err)
	if resp.Status != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		ts.Fatalf("it is %s, want NOT_SERVING", resp.Status)
	}
}

// endedCmd is `ended NAME CODE`: it waits until the server has ended, with that exit code.
func endedCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ended NAME CODE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), watchdog)
	defer cancel()
	s := serverOf(ts, args[0])
	if err := s.Wait(ctx); fmt.Sprint(err) != "exit status "+args[1] {
		ts.Fatalf("%s ended so: %v, want exit code %s\n%s", args[0], err, args[1], s.Log())
	}
}

// loggedCmd is `logged NAME PATTERN [MOST]`: it waits until a line of the server's log matches, and says which. More lines
// than MOST that match are too many. With ! there must be none by now.
func loggedCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 && len(args) != 3 {
		ts.Fatalf("usage: [!] logged NAME PATTERN [MOST]")
	}
	s, pattern := serverOf(ts, args[0]), regexp.MustCompile(args[1])
	found := func() []string {
		return slices.DeleteFunc(lines(s.Log()), func(l string) bool { return !pattern.MatchString(l) })
	}
	if neg {
		if all := found(); len(all) > 0 {
			ts.Fatalf("%s has logged %s", args[0], all[0])
		}
		return
	}
	err := cluster.Wait(context.Background(), "a line in the log of "+args[0], func(context.Context) error {
		if len(found()) == 0 {
			return fmt.Errorf("none matches %s:\n%s", pattern, s.Log())
		}
		return nil
	})
	ts.Check(err)
	all := found()
	fmt.Fprintln(ts.Stdout(), strings.Join(all, "\n"))
	if len(args) == 3 {
		most, err := strconv.Atoi(args[2])
		ts.Check(err)
		if len(all) > most {
			ts.Fatalf("%s has logged %d lines that match, at most %d are wanted:\n%s", args[0], len(all), most, strings.Join(all, "\n"))
		}
	}
}

// logsCmd is `logs NAME`: it prints all that the server has logged.
func logsCmd(ts *testscript.TestScript, _ bool, args []string) {
	fmt.Fprint(ts.Stdout(), serverOf(ts, args[0]).Log())
}

// untilCmd is `until PATTERN PROGRAM ARGUMENTS…`: it runs the program again and again until what it prints, on standard
// output or error, matches, and prints that.
func untilCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN PROGRAM ARGUMENTS…")
	}
	pattern, path := regexp.MustCompile("(?m)"+args[0]), lookPath(ts, args[1])
	var printed []byte
	err := cluster.Wait(context.Background(), args[1]+" to print "+args[0], func(ctx context.Context) error {
		c := exec.CommandContext(ctx, path, args[2:]...)
		c.Dir, c.Env = ts.MkAbs("."), []string{"HOME=" + ts.Getenv("HOME"), "TZ=" + ts.Getenv("TZ")}
		var err error
		if printed, err = c.CombinedOutput(); !pattern.Match(printed) {
			return fmt.Errorf("it prints %s (%v)", printed, err)
		}
		return nil
	})
	fmt.Fprintf(ts.Stdout(), "%s", printed)
	ts.Check(err)
}
