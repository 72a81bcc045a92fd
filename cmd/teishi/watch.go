package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

func (p *program) watchCommand() *cobra.Command {
	f := questionFlags{}
	selector := &teishiv1.DecisionSelector{}
	c := &cobra.Command{
		Use:   "watch",
		Short: "Show what a server answers, and each answer that changes",
		Long: `Show what a server answers about each of the organizations, for each of the apps and of the purposes, and then each answer that
changes, whether a write or the passing of time brings it, until Ctrl-C. Where the connection is lost it is made again, and the
watch goes on where it was.

With -o json each line is a teishi.v1.WatchDecisionsResponse with one change; a heartbeat is among them only where the freshness
is no longer what it was.`,
		Example: `  teishi watch --organization jp-mic,osaka-city --app line --purpose feedback.opinion --attr data-sensitivity=public
  teishi watch --organization osaka-city --app line -o json | jq -c .changes`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var wrong faults
			wrong.add("organization", stateOne(selector.Organizations))
			wrong.add("app", stateOne(selector.Apps))
			q, err := f.question("teishi watch", wrong)
			if err != nil {
				return err
			}
			selector.Attributes = q.attributes
			w := f.watching(q, selector)
			if q.json {
				w.teller, w.retells = &jsonLines{notes{p.stderr, f.server.address}, p.stdout}, true
				return w.run(c.Context())
			}
			s := p.screen(f.server.address, q.zone)
			w.teller = s
			return errors.Join(w.run(c.Context()), s.close())
		},
	}
	flags := c.Flags()
	flags.StringSliceVar(&selector.Organizations, "organization", nil, "the organization's `ID` or alias; may be repeated")
	flags.StringSliceVar(&selector.Apps, "app", nil, "the app's `ID` or identifier; may be repeated")
	flags.StringSliceVar(&selector.Purposes, "purpose", nil, "the purpose's `ID`; may be repeated (default all at once)")
	f.registerForNow(c)
	return c
}

func stateOne(ids []string) error {
	if len(ids) == 0 {
		return errors.New("name at least one")
	}
	return nil
}

// watching is a watch of what a selector asks, that nobody is told yet.
func (f *questionFlags) watching(q question, s *teishiv1.DecisionSelector) *watching {
	request := &teishiv1.WatchDecisionsRequest{
		Selectors:         []*teishiv1.DecisionSelector{s},
		HeartbeatInterval: durationpb.New(beatEvery),
		Language:          f.language,
	}
	return &watching{server: &f.server, timeout: q.timeout, request: request}
}

// notes tell on standard error of the connection, and of nothing else.
type notes struct {
	out    io.Writer
	server string
}

func (n *notes) alive(*teishiv1.Freshness, *teishiv1.WatchPosition) error { return nil }

func (n *notes) lost(cause string) error {
	_, err := fmt.Fprintf(n.out, "teishi: the connection to %s is lost: %s\n", n.server, cause)
	return err
}

func (n *notes) found() error {
	_, err := fmt.Fprintf(n.out, "teishi: the connection to %s is there again\n", n.server)
	return err
}

// jsonLines prints a watch in JSON, as the messages that it is told by: one change a line.
type jsonLines struct {
	notes
	out io.Writer
}

// changed prints changes of one place. Only the last of them has the place, as it would in a stream.
func (j *jsonLines) changed(list []*teishiv1.DecisionChange, at *teishiv1.WatchPosition) error {
	for i, c := range list {
		m := &teishiv1.WatchDecisionsResponse{Event: &teishiv1.WatchDecisionsResponse_Changes{
			Changes: &teishiv1.DecisionChanges{Changes: []*teishiv1.DecisionChange{c}, More: i < len(list)-1}}}
		if i == len(list)-1 {
			m.Position = at
		}
		if err := j.said(m); err != nil {
			return err
		}
	}
	return nil
}

func (j *jsonLines) said(m *teishiv1.WatchDecisionsResponse) error {
	_, err := io.WriteString(j.out, jsonLine(m))
	return err
}
