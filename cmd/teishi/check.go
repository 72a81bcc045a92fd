package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func (p *program) checkCommand() *cobra.Command {
	f := questionFlags{}
	explain := boolean{}
	c := &cobra.Command{
		Use:   "check ORGANIZATION APP [PURPOSE]",
		Short: "Ask a server whether an organization may use an app for a purpose",
		Long: `Ask a server whether an organization may use an app for a purpose. Without a purpose: for every one.

ORGANIZATION is an id or an alias, APP an id or an identifier. Exit code 0: ALLOWED, and you may act if you honour what
the answer obliges you to; 2: DENIED; 3: INDETERMINATE; 1: not answered.`,
		Example: `  teishi check jp-mic line feedback.opinion --attr data-sensitivity=public
  teishi check corporate-number:2000012020001 ios:jp.naver.line --at 2021-03-30T00:00:00+09:00 --explain`,
		Args:              arguments(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, args []string) error {
			var wrong faults
			wrong.add("explain", explain.wrong)
			q, err := f.question("teishi check", wrong)
			if err != nil {
				return err
			}
			request := &teishiv1.CheckRequest{Organization: args[0], App: args[1], Attributes: q.attributes, At: q.at, Explain: explain.on, Language: f.language}
			if len(args) > 2 {
				request.Purpose = args[2]
			}
			return p.check(c.Context(), &f.server, q, request)
		},
	}
	explain.register(c.Flags(), "explain", "also tell everything that was considered, and what is about to change")
	f.register(c)
	return c
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
	text := answerText(request, answer, q.zone)
	if q.json {
		text = indentedJSON(answer) + "\n"
	}
	if _, err := fmt.Fprint(p.stdout, text); err != nil {
		return err
	}
	return outcomeCode(answer.GetOutcome())
}

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
