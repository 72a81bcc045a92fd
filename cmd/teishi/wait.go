package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// waitFlags are the settings of wait as they are given.
type waitFlags struct {
	server serverFlags
	epoch  int64
	output string
}

func (p *program) waitCommand() *cobra.Command {
	f := waitFlags{}
	c := &cobra.Command{
		Use:   "wait REVISION",
		Short: "Wait until a change is enforced everywhere, and prove it",
		Long: `Wait until every member of the fleet has applied a revision, as a write returned it. Exit code 0: it is enforced everywhere;
1: not within the time, and each replica that has not is named: LAGGING if it reports, SILENT if it does not.`,
		Example: `  teishi wait 1234
  teishi wait 1234 --timeout 1m --server authority-0:50051`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var wrong faults
			timeout := f.server.judge(&wrong)
			wrong.add("output", oneOf(f.output, "table", "json"))
			revision, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || revision < 1 {
				return fmt.Errorf("%q is not a revision: 1 or more\nsee: teishi wait -h", args[0])
			}
			if err := wrong.err("teishi wait"); err != nil {
				return err
			}
			request := &teishiv1.WaitForRevisionRequest{Revision: revision, Epoch: f.epoch, Timeout: durationpb.New(timeout)}
			return p.wait(c.Context(), &f, timeout, request)
		},
	}
	f.server.register(c)
	c.Flags().Int64Var(&f.epoch, "epoch", 0, "the `EPOCH` of the revision (default the present one)")
	c.Flags().StringVarP(&f.output, "output", "o", "table", "print as `FORMAT`: table or json")
	completeFrom(c, "output", "table", "json")
	return c
}

// answerSlack is how much longer than the server waits for others it is itself waited for.
const answerSlack = 5 * time.Second

func (p *program) wait(ctx context.Context, f *waitFlags, timeout time.Duration, request *teishiv1.WaitForRevisionRequest) error {
	var answer *teishiv1.WaitForRevisionResponse
	began := time.Now()
	err := f.server.reach(ctx, timeout+answerSlack, func(ctx context.Context, c *grpc.ClientConn) (err error) {
		answer, err = teishiv1.NewFleetServiceClient(c).WaitForRevision(ctx, request)
		return err
	})
	if err != nil {
		return err
	}
	text := arrivals(answer, time.Since(began))
	if f.output == "json" {
		text = indentedJSON(answer) + "\n"
	}
	if _, err := fmt.Fprint(p.stdout, text); err != nil {
		return err
	}
	if !answer.GetReached() {
		return exitCode(exitError)
	}
	return nil
}

// arrivals says who has arrived and who has not.
func arrivals(a *teishiv1.WaitForRevisionResponse, took time.Duration) string {
	var b strings.Builder
	if a.GetReached() {
		fmt.Fprintf(&b, "revision %d is enforced by all %d replicas, known after %s\n", a.GetRevision(), len(a.GetArrivals()), took.Round(time.Millisecond))
		return b.String()
	}
	fmt.Fprintf(&b, "revision %d is not yet enforced everywhere, after %s\n", a.GetRevision(), took.Round(time.Millisecond))
	rows := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(rows, "REPLICA\tREVISION\tSTATE\tSINCE")
	for _, r := range a.GetArrivals() {
		since := "-"
		if t := r.GetSinceTime(); t != nil {
			since = t.AsTime().Local().Format(time.RFC3339)
		}
		fmt.Fprintf(rows, "%s\t%d\t%s\t%s\n", r.GetId(), r.GetRevision(), strings.TrimPrefix(r.GetState().String(), "STATE_"), since)
	}
	rows.Flush()
	return b.String()
}
