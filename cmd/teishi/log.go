package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
)

func (p *program) logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into a record"}
	c.AddCommand(p.verifyCommand())
	return c
}

func (p *program) verifyCommand() *cobra.Command {
	store, domain := "", ""
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read a whole record and check that nobody has changed it since it was written",
		Long: `Read a whole record and check every hash, link, revision and time in it, also beside the server that keeps it.

A record that was cut short verifies: compare the position printed with one kept elsewhere. Exit code 1 if an entry does
not verify; the first one is named.`,
		Example: `  teishi log verify --store sqlite:/var/lib/teishi/teishi.db`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			file, err := p.recordFile(serveFlags{store: store})
			var wrong faults
			wrong.add("store", err)
			wrong.add("domain", checkSlug(domain))
			if err := wrong.err("teishi log verify"); err != nil {
				return err
			}
			return p.verify(c.Context(), file, domain)
		},
	}
	c.Flags().StringVar(&store, "store", "", "the record: `sqlite:FILE` (default the file in the user's data directory)")
	c.Flags().StringVar(&domain, "domain", "teishi", "the `NAME` of the record")
	return c
}

func (p *program) verify(ctx context.Context, file, domain string) (err error) {
	log, err := sqlite.Open(ctx, sqlite.Config{Path: file, Domain: domain, ReadOnly: true})
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w\nthere is no record yet: start one with teishi serve, or say where it is with --store", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	v, err := policystore.Verify(ctx, log, domain, p.progress())
	if err != nil {
		return err
	}
	if v.BadRevision != 0 {
		return fmt.Errorf("%s: the entry at revision %d does not verify: %s\nthe %d entries before it do", file, v.BadRevision, v.Problem, v.Entries)
	}
	if v.Problem != "" {
		return fmt.Errorf("%s: every entry verifies, up to revision %d, and %s", file, v.Head.Revision, v.Problem)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: every entry verifies, up to revision %d of epoch %d, hash %s\n",
		file, v.Head.Revision, v.Head.Epoch, base64.StdEncoding.EncodeToString(v.Head.Hash[:]))
	return err
}

// progress returns what says, every second, how far verification has come.
func (p *program) progress() func(policy.Revision) {
	said := time.Now()
	return func(r policy.Revision) {
		if now := time.Now(); now.Sub(said) >= time.Second {
			said = now
			fmt.Fprintf(p.stderr, "verified up to revision %d\n", r)
		}
	}
}
