package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policystore"
)

func (p *program) headCommand() *cobra.Command {
	f, signKey := storeFlags{}, ""
	c := &cobra.Command{
		Use:   "head",
		Short: "Print where a record ends, signed, to be kept elsewhere",
		Long: `Print where a record ends, signed, as a note that is to be kept where whoever can write the record cannot: teishi log verify
--head finds out by it that the record was cut short or written anew. It writes nothing, and may run beside the server.`,
		Example: `  teishi log head --store sqlite:/var/lib/teishi/teishi.db --sign-key auditor.key >head-2026-11-25.note`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var others faults
			signer, err := readSigner(signKey)
			if err == nil && signer == nil {
				err = errors.New("a head that is not signed proves nothing: make a key with teishi key new")
			}
			others.add("sign-key", err)
			s, err := p.recordSetting("teishi log head", &f, others...)
			if err != nil {
				return err
			}
			return p.head(c.Context(), s, signer)
		},
	}
	c.Flags().SortFlags = false
	f.register(c.Flags(), "default the file in the user's data directory")
	c.Flags().StringVar(&signKey, "sign-key", "", "sign with the private key in this `FILE`")
	return c
}

func (p *program) head(ctx context.Context, s *storeSetting, signer *policystore.Signer) (err error) {
	log, err := s.openRecord(ctx, "head", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	h := policystore.Head{Domain: s.domain, Time: time.Now()}
	if h.Position, err = log.Head(ctx); err != nil {
		return err
	}
	if h.Position.Revision == 0 {
		return fmt.Errorf("%s: the record is empty: it has no head yet", named("store"))
	}
	text, err := signer.Note(h)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(text)
	return err
}
