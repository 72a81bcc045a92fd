//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// explain prints what runs where, and what to try.
func (s *site) explain() {
	var b strings.Builder
	rows := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(rows, "\nSERVER\tADDRESS\tPID\tMETRICS\n")
	for _, server := range s.servers {
		metrics := "-"
		if t, ok := server.(*teishi); ok {
			metrics = "http://" + t.metrics + "/metrics"
		}
		fmt.Fprintf(rows, "%s\t%s\t%d\t%s\n", server.Name(), server.Addr(), server.PID(), metrics)
	}
	rows.Flush()
	fmt.Fprintf(&b, "\nlogs and data: %s\n", s.cluster.Directory())
	fmt.Fprintf(&b, trial, s.binary, s.teishis[0].Addr(), question, s.teishis[authorities].Addr(), halt, s.teishis[0].Addr(), s.redis.PID())
	s.say("%s", b.String())
}

const (
	question = `{"organization": "tokyo-prefecture", "app": "line", "purpose": "public.broadcast"}`
	halt     = `{"reason": "a drill", "directive": {"id": "drill-1", "title": {"en": "A drill"}, "authority": "tokyo-prefecture", "provisions": [{"id": "all",
      "force": "FORCE_BINDING", "selector": {"organizations": {"in": ["tokyo-prefecture"]}, "targets": {"in": [{"app": "line"}]}}}]}}`
	// trial is what to try, in another terminal.
	trial = `
In another terminal, from the root of the repository (grpcurl: go tool -modfile=tools/go.mod grpcurl):

  teishi=%s; export TEISHI_SERVER=%s

  # ask a decision point, halt at authority 1, prove that the halt is enforced everywhere, ask again
  grpcurl -plaintext -d '%s' \
    %s teishi.v1.DecisionService/Check
  grpcurl -plaintext -d '%s' \
    %s teishi.v1.DirectiveService/IssueDirective
  $teishi wait REVISION         # the revision that the halt was answered with
  $teishi fleet                 # who has it, how fresh, and from which source

  # without Redis everything goes on: the decision points follow the authorities
  kill -9 %d

Here: kill, stop, pause, resume or start, and a server: kill redis. Ctrl-C ends everything.
`
)

// obey does what is asked for, a line each, until ctx ends or there are no more.
func (s *site) obey(ctx context.Context, in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan() && ctx.Err() == nil; {
		words := strings.Fields(lines.Text())
		if len(words) == 0 {
			continue
		}
		if err := s.do(ctx, words); err != nil {
			s.say("%v\n", err)
			continue
		}
		s.say("done\n")
	}
}

// do does one thing to one server.
func (s *site) do(ctx context.Context, words []string) error {
	if len(words) != 2 {
		return fmt.Errorf("say what to do and to which server, such as: kill redis")
	}
	for _, server := range s.servers {
		if server.Name() != words[1] {
			continue
		}
		switch words[0] {
		case "kill":
			return server.Kill()
		case "stop":
			return server.Stop()
		case "pause":
			return server.Pause()
		case "resume":
			return server.Resume()
		case "start":
			return server.Start(ctx)
		}
		return fmt.Errorf("%q is none of kill, stop, pause, resume, start", words[0])
	}
	return fmt.Errorf("there is no server %q", words[1])
}
