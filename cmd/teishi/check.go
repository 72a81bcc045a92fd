package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func (p *program) checkCommand() *cobra.Command {
	f := questionFlags{}
	explain, follow := boolean{}, false
	c := &cobra.Command{
		Use:   "check ORGANIZATION APP [PURPOSE]",
		Short: "Ask a server whether an organization may use an app for a purpose",
		Long: `Ask a server whether an organization may use an app for a purpose. Without a purpose: for every one.

ORGANIZATION is an id or an alias, APP an id or an identifier. Exit code 0: ALLOWED, and you may act if you honour what
the answer obliges you to; 2: DENIED; 3: INDETERMINATE; 1: not answered.

With --follow the answer is printed again each time it changes, until Ctrl-C. The exit code is then that of the last answer, but 1
if the connection is lost by then.`,
		Example: `  teishi check jp-mic line feedback.opinion --attr data-sensitivity=public
  teishi check corporate-number:2000012020001 ios:jp.naver.line --at 2021-03-30T00:00:00+09:00 --explain
  teishi check jp-mic line feedback.opinion --follow`,
		Args:              arguments(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			var wrong faults
			wrong.add("explain", explain.wrong)
			if follow {
				wrong.add("at", nowOnly(f.at != "", "an answer for another time does not change"))
				wrong.add("explain", nowOnly(explain.on, "what changes is told without an explanation"))
			}
			q, err := f.question("teishi check", wrong)
			if err != nil {
				return err
			}
			request := &teishiv1.CheckRequest{Organization: args[0], App: args[1], Attributes: q.attributes, At: q.at, Explain: explain.on, Language: f.language}
			if len(args) > 2 {
				request.Purpose = args[2]
			}
			if follow {
				return p.follow(c.Context(), &f, q, request)
			}
			return p.check(c.Context(), &f.server, q, request)
		},
	}
	explain.register(c.Flags(), "explain", "also tell everything that was considered, and what is about to change")
	c.Flags().BoolVar(&follow, "follow", false, "print the answer again each time it changes, until Ctrl-C")
	settableHereOnly(c.Flags().Lookup("follow")) // TEISHI_FOLLOW is what a decision point follows
	f.register(c)
	return c
}

// nowOnly says of a setting that is given why it does not go with --follow.
func nowOnly(given bool, why string) error {
	if given {
		return fmt.Errorf("%s: leave it out with --follow", why)
	}
	return nil
}

// check prints the answer to a question; its outcome is the exit code.
func (p *program) check(ctx context.Context, server *serverFlags, q question, request *teishiv1.CheckRequest) error {
	var answer *teishiv1.CheckResponse
	err := server.ask(ctx, q.timeout, func(ctx context.Context, c teishiv1.DecisionServiceClient) (err error) {
		answer, err = c.Check(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(p.stdout, q.print(request, answer)); err != nil {
		return err
	}
	return outcomeCode(answer.GetOutcome())
}

// print returns the answer to a question as it is to be printed.
func (q *question) print(request *teishiv1.CheckRequest, answer *teishiv1.CheckResponse) string {
	if q.json {
		return indentedJSON(answer) + "\n"
	}
	return answerText(request, answer, q.zone)
}

// follow prints the answer to a question each time it changes; the outcome of the last is the exit code.
func (p *program) follow(ctx context.Context, f *questionFlags, q question, request *teishiv1.CheckRequest) error {
	s := &teishiv1.DecisionSelector{Organizations: []string{request.Organization}, Apps: []string{request.App}, Attributes: request.Attributes}
	if request.Purpose != "" {
		s.Purposes = []string{request.Purpose}
	}
	w := f.watching(q, s)
	last := &answers{notes: notes{p.stderr, f.server.address}, out: p.stdout, question: q, request: request}
	w.teller = last
	if err := w.run(ctx); err != nil {
		return err
	}
	if w.away || last.answer == nil {
		return exitCode(exitError)
	}
	return outcomeCode(last.answer.GetOutcome())
}

// answers prints the answers to one question.
type answers struct {
	notes
	out      io.Writer
	question question
	request  *teishiv1.CheckRequest
	answer   *teishiv1.CheckResponse // the last
}

func (a *answers) changed(list []*teishiv1.DecisionChange, _ *teishiv1.WatchPosition) error {
	for _, c := range list {
		text := a.question.print(a.request, c.GetResponse())
		if a.answer != nil {
			text = "\n" + text
		}
		a.answer = c.GetResponse()
		if _, err := io.WriteString(a.out, text); err != nil {
			return err
		}
	}
	return nil
}

func (a *answers) said(*teishiv1.WatchDecisionsResponse) error { return nil }

// outcomeCode returns the exit code of an outcome. One that is not known is as good as DENIED.
func outcomeCode(o teishiv1.Outcome) error {
	switch o {
	case teishiv1.Outcome_OUTCOME_ALLOWED:
		return nil
	case teishiv1.Outcome_OUTCOME_INDETERMINATE:
		return exitCode(exitIndeterminate)
	}
	return exitCode(exitDenied)
}
