package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
)

func (p *program) redisCommand() *cobra.Command {
	c := &cobra.Command{Use: "redis", Short: "Set up the Redis that carries a record to its replicas"}
	c.AddCommand(p.aclCommand(), p.reseedCommand())
	return c
}

func (p *program) aclCommand() *cobra.Command {
	domain, sentinel := "", boolean{}
	c := &cobra.Command{
		Use:   "acl",
		Short: "Print the ACL of the users that Redis, or Sentinel, needs, and no more",
		Long:  aclHelp(),
		Example: `  teishi redis acl >users.acl
  teishi redis acl --sentinel >>sentinel.conf`,
		Args: arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			var wrong faults
			wrong.add("domain", checkSlug(domain))
			wrong.add("sentinel", sentinel.wrong)
			if err := wrong.err("teishi redis acl"); err != nil {
				return err
			}
			users := redis.ServerUsers(domain)
			if sentinel.on {
				users = redis.SentinelUsers()
			}
			_, err := fmt.Fprint(p.stdout, redis.ACL(users, nil))
			return err
		},
	}
	c.Flags().StringVar(&domain, "domain", "teishi", "the `NAME` of the record")
	sentinel.register(c.Flags(), "sentinel", "print the users of Sentinel, which has an ACL of its own, for every sentinel.conf")
	return c
}

func aclHelp() string {
	var b strings.Builder
	b.WriteString(`Print the ACL of the users that Redis needs, and no more, as the file that aclfile names in every redis.conf; with --sentinel
those that Sentinel needs. There is no password in it: where a user's belongs stands SHA256-OF-THE-PASSWORD, and has to be
replaced by what "printf %s PASSWORD | sha256sum" prints.

`)
	for _, u := range append(redis.ServerUsers("teishi"), redis.SentinelUsers()...) {
		fmt.Fprintf(&b, "  %-18s  %s\n", u.Name, u.For)
	}
	return strings.TrimRight(b.String(), "\n")
}

func (p *program) reseedCommand() *cobra.Command {
	f, r, address, trustKeys, force := storeFlags{}, redisFlags{}, "", "", boolean{}
	c := &cobra.Command{
		Use:   "reseed",
		Short: "Have Redis hold what the record does, whatever it holds now",
		Long: `Have Redis hold what the record does, whatever it holds now. It is needed where Redis shows another history than the record and
entries are not signed, so that nobody can tell which is right: authorities stop publishing then, and wait for this. Make
sure first that it is the record that is right; if it lacks entries, teishi store repair brings them back.

Redis may be the only copy of what the record has lost. So it is refused where Redis has entries that were acknowledged, which
--trust-keys tells. Without keys it is refused where Redis has signed entries that are not the record's, or goes on where the
record ends. With --force what Redis has is given up, for good, and that is said.`,
		Example: `  teishi redis reseed --store postgres://teishi@db/teishi --redis redis://cache:6379 --trust-keys trust.keys`,
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var others faults
			if address == "" {
				others.add("redis", errors.New("say which: redis://HOST:PORT"))
			}
			config, err := p.redisConfig("redis", address, &r, f.domain, nil)
			if address != "" {
				others.add("redis", err)
			}
			r.check(&others)
			trust, err := readTrust(trustKeys)
			others.add("trust-keys", err)
			others.add("force", force.wrong)
			s, err := p.recordSetting("teishi redis reseed", &f, others...)
			if err != nil {
				return err
			}
			log, err := s.openRecord(c.Context(), "reseed", true)
			if err != nil {
				return err
			}
			err = p.reseed(c.Context(), redis.PublisherConfig{Config: *config, Record: log, Source: log, Trust: trust.trusted()}, force.on)
			if err := errors.Join(err, log.Close()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(p.stdout, "Redis holds the record of %s again\n", s.where())
			return err
		},
	}
	c.Flags().SortFlags = false
	f.register(c.Flags(), "default the file in the user's data directory")
	c.Flags().StringVar(&address, "redis", "", "the Redis: `redis://HOST:PORT`, rediss:// for TLS, redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
	c.Flags().StringVar(&trustKeys, "trust-keys", "", "tell by the keys in this `FILE` what of it was acknowledged")
	force.register(c.Flags(), "force", "replace what Redis has even if it may be the only copy: it is lost, for good")
	r.register(c.Flags())
	return c
}

func (p *program) reseed(ctx context.Context, c redis.PublisherConfig, force bool) error {
	publisher, err := redis.NewPublisher(c)
	if err != nil {
		return fmt.Errorf("%s: %w", named("redis"), err)
	}
	lost, err := publisher.Reseed(ctx, force)
	if lost != nil {
		fmt.Fprintf(p.stderr, "given up, for good: %v\n", lost)
	}
	switch {
	case errors.Is(err, policystore.ErrRewound), errors.Is(err, redis.ErrOnlyCopy):
		return fmt.Errorf("%s: %w\nteishi store repair brings it back, %s tells what of it was acknowledged, %s gives it up", named("redis"), err, named("trust-keys"), named("force"))
	case err != nil:
		return fmt.Errorf("%s: %w", named("redis"), err)
	}
	return nil
}
