package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
)

func (p *program) fleetCommand() *cobra.Command {
	f, once, output := serverFlags{}, boolean{}, ""
	c := &cobra.Command{
		Use:   "fleet",
		Short: "Show every replica, and how far and how fresh it is",
		Long: `Show every member of the fleet, as an authority knows it: what revision it has applied, how fresh that is, what it follows,
and since when it is silent. On a terminal the table stays and is drawn anew every second.

Every authority is a member, and every decision point that can reach one, until it ends or is forgotten.`,
		Example: `  teishi fleet --server authority-0:50051
  teishi fleet -o json
  teishi fleet forget decision-17`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var wrong faults
			timeout := f.judge(&wrong)
			wrong.add("output", oneOf(output, "table", "json"))
			wrong.add("once", once.wrong)
			if err := wrong.err("teishi fleet"); err != nil {
				return err
			}
			return p.fleet(c.Context(), &f, timeout, output == "json", once.on)
		},
	}
	f.register(c)
	once.register(c.Flags(), "once", "print the table once, also on a terminal")
	c.Flags().StringVarP(&output, "output", "o", "table", "print as `FORMAT`: table or json")
	completeFrom(c, "output", "table", "json")
	c.AddCommand(p.forgetCommand())
	return c
}

// redraw is how often a live table is drawn anew.
const redraw = time.Second

// fleet prints the fleet, on a terminal again and again until ctx ends.
func (p *program) fleet(ctx context.Context, f *serverFlags, timeout time.Duration, json, once bool) error {
	live := !json && !once && isTerminal(p.stdout)
	for {
		var all *teishiv1.ListReplicasResponse
		err := f.reach(ctx, timeout, func(ctx context.Context, c *grpc.ClientConn) (err error) {
			all, err = teishiv1.NewFleetServiceClient(c).ListReplicas(ctx, &teishiv1.ListReplicasRequest{})
			return err
		})
		if ctx.Err() != nil && live {
			return nil
		}
		if err != nil {
			return err
		}
		if json {
			_, err := fmt.Fprintln(p.stdout, indentedJSON(all))
			return err
		}
		text := fleetTable(all)
		if live {
			text = clearScreen + text
		}
		if _, err := io.WriteString(p.stdout, text); err != nil || !live {
			return err
		}
		select {
		case <-time.After(redraw):
		case <-ctx.Done():
			return nil
		}
	}
}

// clearScreen moves to the top of a terminal and forgets what is there.
const clearScreen = "\x1b[H\x1b[2J"

// isTerminal reports whether somebody looks at what is written. The null device is of the same kind as a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

func fleetTable(all *teishiv1.ListReplicasResponse) string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "the record is at revision %d of epoch %d\n", all.GetRevision(), all.GetEpoch())
	rows := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(rows, "REPLICA\tREVISION\tBEHIND\tFRESHNESS\tAGE\tSOURCE\tREPORTED\tSTATE HASH\tVERSION")
	for _, r := range all.GetReplicas() {
		fmt.Fprintf(rows, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.GetId(), r.GetRevision(), behind(all, r),
			freshness(r), age(r), r.GetFreshness().GetSource(), silence(r),
			shortHash(r.GetStateHash()), r.GetVersion())
	}
	rows.Flush()
	return b.String()
}

// behind is by how many revisions a replica is behind the record.
func behind(all *teishiv1.ListReplicasResponse, r *teishiv1.Replica) string {
	switch {
	case r.GetEpoch() < all.GetEpoch() && r.GetRevision() > 0:
		return fmt.Sprintf("epoch %d", r.GetEpoch())
	case r.GetRevision() >= all.GetRevision():
		return "-"
	}
	return fmt.Sprint(all.GetRevision() - r.GetRevision())
}

// freshness is how fresh a replica is, or was when it was last heard of.
func freshness(r *teishiv1.Replica) string {
	state := strings.TrimPrefix(r.GetFreshness().GetState().String(), "STATE_")
	if isSilent(r) {
		return "was " + state
	}
	return state
}

func isSilent(r *teishiv1.Replica) bool { return r.GetSilence().AsDuration() > policystore.SilentAfter }

// age is how old what a replica has applied may be by now.
func age(r *teishiv1.Replica) string {
	if r.GetFreshness().GetAge() == nil {
		return "unknown"
	}
	return (r.GetFreshness().GetAge().AsDuration() + r.GetSilence().AsDuration()).Round(100 * time.Millisecond).String()
}

func silence(r *teishiv1.Replica) string {
	ago := r.GetSilence().AsDuration().Round(100*time.Millisecond).String() + " ago"
	if isSilent(r) {
		return "SILENT, " + ago
	}
	return ago
}

func shortHash(hash []byte) string {
	if len(hash) < 4 {
		return "-"
	}
	return hex.EncodeToString(hash[:4])
}

func (p *program) forgetCommand() *cobra.Command {
	f := serverFlags{}
	c := &cobra.Command{
		Use:   "forget REPLICA",
		Short: "Take a replica off the fleet that is gone for good and could not say so",
		Args:  arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var wrong faults
			timeout := f.judge(&wrong)
			if err := wrong.err("teishi fleet forget"); err != nil {
				return err
			}
			err := f.reach(c.Context(), timeout, func(ctx context.Context, c *grpc.ClientConn) error {
				_, err := teishiv1.NewFleetServiceClient(c).ForgetReplica(ctx, &teishiv1.ForgetReplicaRequest{Id: args[0]})
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "%s is no longer waited for; if it still runs it comes back with its next report\n", args[0])
			return err
		},
	}
	f.register(c)
	return c
}
