package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/remote"
)

func (p *program) migrateCommand() *cobra.Command {
	f := storeFlags{}
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Make the tables of a record in PostgreSQL, or bring them up to date",
		Long: `Make the tables of a record in PostgreSQL, or bring them to what this version needs. It may be run again, and by several at once.
A record in SQLite needs none of it.`,
		Example: `  TEISHI_STORE=postgres://teishi:PASSWORD@db/teishi teishi migrate`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.recordSetting("teishi migrate", &f)
			if err != nil {
				return err
			}
			if s.postgres == nil {
				return errors.New("--store (TEISHI_STORE): a record in SQLite needs no migration; say postgres://USER@HOST/DATABASE")
			}
			from, to, err := postgres.Migrate(c.Context(), *s.postgres)
			if err != nil {
				return fmt.Errorf("%s: %w", named("store"), err)
			}
			if from == to {
				_, err = fmt.Fprintf(p.stdout, "%s: the tables are of version %d already\n", s.where(), to)
			} else {
				_, err = fmt.Fprintf(p.stdout, "%s: the tables were of version %d and are of version %d\n", s.where(), from, to)
			}
			return err
		},
	}
	f.register(c.Flags(), "it must be stated")
	return c
}

// recordSetting judges the settings of a command that needs no more than a record, in the user's data directory without any.
func (p *program) recordSetting(command string, f *storeFlags, others ...error) (*storeSetting, error) {
	var wrong faults
	s, err := p.storeSetting("store", f, false)
	wrong.add("store", err)
	wrong.add("store-password-file", checkReadable(f.passwordFile))
	wrong.add("domain", checkSlug(f.domain))
	wrong = append(wrong, others...)
	return s, wrong.err(command)
}

func (p *program) storeCommand() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Mend a record that has lost acknowledged entries"}
	c.AddCommand(p.repairCommand(), p.rewindCommand())
	return c
}

func (p *program) repairCommand() *cobra.Command {
	f, r, from, trustKeys := storeFlags{}, originFlags{}, "", ""
	c := &cobra.Command{
		Use:   "repair",
		Short: "Bring back the acknowledged entries that a record lacks, from where they still are",
		Long: `Bring back the acknowledged entries that a record lacks, because it was restored from a backup or lost its last ones in a
failover: they are appended again, byte for byte, from a Redis, an authority or another record that still has them. Authorities
stop writing as soon as they notice what is lacking, and go on by themselves when it is back.`,
		Example: `  teishi store repair --store postgres://teishi@db/teishi --from redis://cache:6379
  teishi store repair --store sqlite:teishi.db --from sqlite:teishi.db.yesterday`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var others faults
			trust, err := readTrust(trustKeys)
			others.add("trust-keys", err)
			source, closeSource, err := p.repairSource(c.Context(), from, &f, &r)
			others.add("from", err)
			r.check(&others)
			s, err := p.recordSetting("teishi store repair", &f, others...)
			if err != nil {
				return err
			}
			return errors.Join(p.repair(c.Context(), s, source, trust.trusted()), closeSource())
		},
	}
	c.Flags().SortFlags = false
	f.register(c.Flags(), "default the file in the user's data directory")
	c.Flags().StringVar(&from, "from", "", "where the entries still are: `URL` of a Redis or an authority, or a record as with --store")
	c.Flags().StringVar(&trustKeys, "trust-keys", "", "bring back only what is signed by a key in this `FILE`")
	r.register(c.Flags(), "from")
	return c
}

// repairSource opens what entries are brought back from.
func (p *program) repairSource(ctx context.Context, from string, f *storeFlags, r *originFlags) (policystore.Source, func() error, error) {
	scheme, _, _ := strings.Cut(from, "://")
	switch scheme {
	case "":
		return nil, nil, errors.New("say where the entries still are: redis://…, grpc://…, sqlite:FILE or postgres://…")
	case "grpc", "grpcs", "redis", "rediss", "redis+sentinel", "rediss+sentinel":
		return p.originSource(from, f.domain, r)
	}
	s, err := p.storeSetting("from", &storeFlags{store: from, domain: f.domain}, false)
	if err != nil {
		return nil, nil, err
	}
	log, err := s.openChecked(ctx, "repair", true)
	if err != nil {
		return nil, nil, err
	}
	return log, log.Close, nil
}

// originSource opens a Redis or an authority.
func (p *program) originSource(from, domain string, r *originFlags) (policystore.Source, func() error, error) {
	origins, err := p.origins("from", from, r, domain, nil)
	if err != nil {
		return nil, nil, err
	}
	if len(origins) > 1 {
		return nil, nil, errors.New("name one source at a time")
	}
	if config := origins[0].redis; config != nil {
		source, err := redis.NewSource(*config)
		return source, func() error { return nil }, err
	}
	source, err := remote.New(*origins[0].authority)
	return source, source.Close, err
}

func (p *program) repair(ctx context.Context, s *storeSetting, source policystore.Source, trust *policystore.TrustedKeys) (err error) {
	log, err := s.openRecord(ctx, "repair", false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	n, head, err := policystore.Repair(ctx, log, s.domain, source, trust, p.everySecond("appended up to revision %d\n"))
	switch {
	case errors.Is(err, policystore.ErrDiverged) && head.Revision == 1:
		return fmt.Errorf("%w\nthe record has begun anew, and holds nothing since: repair an empty one in its place", err)
	case errors.Is(err, policystore.ErrDiverged):
		return fmt.Errorf("%w\nthe record has gone on differently since: what it lacks cannot be brought back; teishi store rewind gives it up", err)
	case errors.Is(err, policystore.ErrCompacted):
		return fmt.Errorf("%w\nit no longer has the entry after revision %d; try another --from", err, head.Revision)
	case err != nil:
		return err
	}
	what := fmt.Sprintf("%d entries brought back", n)
	if n == 0 {
		what = "it lacks nothing that is there"
	}
	_, err = fmt.Fprintf(p.stdout, "%s: %s; it ends at revision %d of epoch %d\n", s.where(), what, head.Revision, head.Epoch)
	return err
}

// everySecond returns what says, every second, how far something has come.
func (p *program) everySecond(format string) func(policy.Revision) {
	said := time.Now()
	return func(r policy.Revision) {
		if now := time.Now(); now.Sub(said) >= time.Second {
			said = now
			fmt.Fprintf(p.stderr, format, r)
		}
	}
}

func (p *program) rewindCommand() *cobra.Command {
	f, reason, signKey, above := storeFlags{}, "", "", int64(0)
	c := &cobra.Command{
		Use:   "rewind",
		Short: "Give up the acknowledged entries that a record lacks, for good, and go on in a new epoch",
		Long: `Give up the acknowledged entries that a record lacks, for good: say it only when teishi store repair has nowhere to bring them
back from. A new epoch begins after the last entry that there is. Replicas that are ahead take a checkpoint of it and say so;
whoever holds a revision of the former epoch is told that it is over.`,
		Example: `  teishi store rewind --store postgres://teishi@db/teishi --reason "the disk is lost; restored from 25 November 02:00"`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var others faults
			signer, err := readSigner(signKey)
			others.add("sign-key", err)
			others.add("reason", checkReason(reason))
			if above < 0 {
				others.add("above", errors.New("it is negative"))
			}
			s, err := p.recordSetting("teishi store rewind", &f, others...)
			if err != nil {
				return err
			}
			return p.rewind(c.Context(), s, signer, above, reason)
		},
	}
	c.Flags().SortFlags = false
	f.register(c.Flags(), "default the file in the user's data directory")
	c.Flags().StringVar(&reason, "reason", "", "why, in `WORDS` that stay in the record")
	c.Flags().StringVar(&signKey, "sign-key", "", "sign with the private key in this `FILE`, where entries are signed")
	c.Flags().Int64Var(&above, "above", 0, "the new epoch is later than this `EPOCH` too: one that Redis or a replica has seen and the record has not")
	return c
}

// maxReason is how long the reason of a rewind may be: an entry's reason says where it forks, too.
const maxReason = 800

func checkReason(reason string) error {
	if reason == "" || len(reason) > maxReason {
		return fmt.Errorf("state it, in at most %d bytes", maxReason)
	}
	return nil
}

func (p *program) rewind(ctx context.Context, s *storeSetting, signer *policystore.Signer, above int64, reason string) (err error) {
	log, err := s.openRecord(ctx, "rewind", false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	e, err := policystore.Rewind(ctx, log, s.domain, signer, above, reason)
	if errors.Is(err, policystore.ErrNotFound) {
		return fmt.Errorf("%s: the record is empty: there is nothing to go on from, and nothing to give up", named("store"))
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%s: epoch %d begins at revision %d; what was acknowledged after revision %d is given up\n",
		s.where(), e.Epoch, e.Revision, e.Revision-1)
	return err
}
