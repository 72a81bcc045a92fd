package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policystore"
)

func (p *program) logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into a record"}
	c.AddCommand(p.verifyCommand())
	return c
}

func (p *program) verifyCommand() *cobra.Command {
	f := storeFlags{}
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read a whole record and check that nobody has changed it since it was written",
		Long: `Read a whole record and check every hash, link, revision and time in it, also beside the server that keeps it.

A record that was cut short verifies: compare the position printed with one kept elsewhere. Exit code 1 if an entry does
not verify; the first one is named.`,
		Example: `  teishi log verify --store sqlite:/var/lib/teishi/teishi.db`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.recordSetting("teishi log verify", &f)
			if err != nil {
				return err
			}
			return p.verify(c.Context(), s)
		},
	}
	f.register(c.Flags(), "default the file in the user's data directory")
	return c
}

func (p *program) verify(ctx context.Context, s *storeSetting) (err error) {
	log, err := s.openRecord(ctx, "verify", true)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w\nthere is no record yet: start one with teishi serve, or say where it is with --store", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	v, err := policystore.Verify(ctx, log, s.domain, p.everySecond("verified up to revision %d\n"))
	if err != nil {
		return err
	}
	if v.BadRevision != 0 {
		return fmt.Errorf("%s: the entry at revision %d does not verify: %s\nthe %d entries before it do", s.where(), v.BadRevision, v.Problem, v.Entries)
	}
	if v.Problem != "" {
		return fmt.Errorf("%s: every entry verifies, up to revision %d, and %s", s.where(), v.Head.Revision, v.Problem)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: every entry verifies, up to revision %d of epoch %d, hash %s\n",
		s.where(), v.Head.Revision, v.Head.Epoch, base64.StdEncoding.EncodeToString(v.Head.Hash[:]))
	return err
}
