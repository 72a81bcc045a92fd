package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// pageSize is how many answers are asked for at once.
const pageSize = 200

func (p *program) listCommand() *cobra.Command {
	f := questionFlags{}
	request := &teishiv1.ListDecisionsRequest{PageSize: pageSize}
	c := &cobra.Command{
		Use:   "list",
		Short: "Ask a server who may use what",
		Long: `Ask a server who may use what: for every registered organization, app or purpose where the flag is '*', and each on its own.
An organization or an app must be named.`,
		Example: `  teishi list --app line                            # which organizations may use it
  teishi list --organization osaka-city             # which apps it may use
  teishi list --organization osaka-city --app line --purpose '*'`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := f.question("teishi list", nil)
			if err == nil && request.Organization == "*" && request.App == "*" {
				err = errors.New("name an organization or an app: --organization ID or --app ID\nsee: teishi list -h")
			}
			if err != nil {
				return err
			}
			request.Attributes, request.At, request.Language = q.attributes, q.at, f.language
			return p.list(c.Context(), &f.server, q, request)
		},
	}
	flags := c.Flags()
	flags.StringVar(&request.Organization, "organization", "*", "the organization's `ID` or alias, or * for every one")
	flags.StringVar(&request.App, "app", "*", "the app's `ID` or identifier, or * for every one")
	flags.StringVar(&request.Purpose, "purpose", "", "the purpose's `ID`, or * for every one, each on its own (default all at once)")
	f.register(c)
	return c
}

// list prints all answers of an enumeration, page after page.
func (p *program) list(ctx context.Context, server *serverFlags, q question, request *teishiv1.ListDecisionsRequest) error {
	all := &teishiv1.ListDecisionsResponse{}
	err := server.ask(ctx, q.timeout, func(ctx context.Context, c teishiv1.DecisionServiceClient) error {
		for {
			page, err := c.ListDecisions(ctx, request)
			if err != nil {
				return err
			}
			all.Decisions = append(all.Decisions, page.GetDecisions()...)
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return nil
			}
		}
	})
	if err != nil {
		return err
	}
	if q.json {
		_, err = fmt.Fprintln(p.stdout, indentedJSON(all))
		return err
	}
	return p.listed(q, all.GetDecisions())
}

// listed prints answers as a table.
func (p *program) listed(q question, decisions []*teishiv1.ListedDecision) error {
	zone := page{zone: q.zone}
	rows := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(rows, "ORGANIZATION\tAPP\tPURPOSE\tOUTCOME\tREASON\tBECAUSE OF\tUNTIL")
	for _, d := range decisions {
		asked, answer := d.GetQuery(), d.GetResponse()
		fmt.Fprintln(rows, strings.Join([]string{asked.GetOrganization(), asked.GetApp(), purposeCell(asked), outcomeName(answer.GetOutcome()),
			reasonName(answer.GetReason()), firstCitation(answer), zone.time(answer.GetValidUntilTime())}, "\t"))
	}
	return rows.Flush()
}

// purposeCell is the purpose that is asked about, as it stands in a table.
func purposeCell(q *teishiv1.Query) string {
	if q.GetPurpose() == "" {
		return "(every)"
	}
	return q.GetPurpose()
}

// firstCitation is the first of what an answer cites, and how many more there are.
func firstCitation(a *teishiv1.CheckResponse) string {
	if len(a.GetCitations()) == 0 {
		return "-"
	}
	c := a.GetCitations()[0]
	text := joined(c.GetDirective(), c.GetProvision(), c.GetRelease())
	if more := a.GetCitationsTotal() - 1; more > 0 {
		text += fmt.Sprintf(" (+%d)", more)
	}
	return text
}
