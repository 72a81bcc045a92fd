package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/examples"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
)

// serveFlags are the settings of serve as they are given.
type serveFlags struct {
	store               storeFlags
	origin              originFlags
	publish, follow     string
	example             string
	id                  string
	listen, metrics     string
	insecure            boolean
	identity            identityFlags
	limits              limitFlags
	local               string
	staleFor, skew      string
	signKey, trustKeys  string
	decisions           decisionLogFlags
	lameDuck, grace     string
	logLevel, logFormat string
}

// serveConfig is what they mean.
type serveConfig struct {
	domain          string
	store           *storeSetting   // of an authority; nil for a decision point
	publish         *redis.Config   // nil publishes nothing
	follow          []originSetting // of a decision point
	example         string          // empty for none
	id              string          // empty for the host's name
	listen, metrics string
	identity        identity.Config
	reflection      service.Reflection
	bootstrap       string // principal; empty for none
	limits          service.Limits
	local           string
	staleFor, skew  time.Duration
	signer          *policystore.Signer
	trust           *trustSetting       // nil asks for no signatures
	decisions       *decisionLogSetting // nil writes down nothing
	lameDuck, grace time.Duration
	logger          *slog.Logger
}

func (p *program) serveCommand() *cobra.Command {
	f := serveFlags{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Answer questions over gRPC: as an authority that keeps a record, or as a decision point that follows one",
		Long: `Answer questions over gRPC, until told to stop by SIGTERM or SIGINT.

With --store it is an authority: it keeps the record, takes writes, and with --redis publishes what is written. With --follow
it is a decision point: it follows the record by the first of the sources that delivers, and needs no credential of it.

Who calls is known by a certificate (--tls-client-ca) or by a token (--oidc-issuer), and health is for everybody. Without either,
everybody who can reach the address may ask, and may write: then only this machine can, unless --insecure is said.`,
		Example: `  teishi serve --example line-2021
  teishi serve --store sqlite:/var/lib/teishi/teishi.db
  TEISHI_STORE=postgres://teishi:PASSWORD@db/teishi teishi serve --redis redis://cache:6379
  teishi serve --follow redis://cache:6379,grpc://authority:50051 --local-checkpoint /var/cache/teishi/policy
  teishi serve --listen :50051 --tls-cert tls.crt --tls-key tls.key --oidc-issuer https://id.example.org --oidc-audience teishi`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := p.serveConfig(&f)
			if err != nil {
				return err
			}
			return p.serve(c.Context(), config)
		},
	}
	p.serveFlags(c, &f)
	completeFrom(c, "example", examples.Names()...)
	completeFrom(c, "decision-log-mode", "drop", "block")
	completeFrom(c, "tls-min-version", "1.2", "1.3")
	completeFrom(c, "log-level", "debug", "info", "warn", "error")
	completeFrom(c, "log-format", "text", "json")
	completeFrom(c, "reflection", "authenticated", "open", "off")
	return c
}

func (p *program) serveFlags(c *cobra.Command, f *serveFlags) {
	flags := c.Flags()
	flags.SortFlags = false
	f.store.register(flags, "default a file in the user's data directory; with --example a temporary one")
	flags.StringVar(&f.publish, "redis", "", "as an authority, publish to this Redis: `redis://HOST:PORT`, rediss:// for TLS, redis+sentinel://HOST:PORT,HOST:PORT/MASTER")
	flags.StringVar(&f.follow, "follow", "", "be a decision point that follows the first of these that delivers: `URLS` of Redis as with --redis and of authorities, grpc://HOST:PORT, grpcs:// for TLS, joined by commas")
	f.origin.register(flags, "follow")
	flags.StringVar(&f.example, "example", "", "load the example `NAME` into a new record: "+strings.Join(examples.Names(), ", "))
	flags.StringVar(&f.id, "id", "", "be known by this `NAME` in the fleet, the same after a restart (default the host's name, with the port unless it is 50051)")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:50051", "listen on `HOST:PORT`; port 0 for a free one")
	flags.StringVar(&f.metrics, "metrics-listen", "", "serve metrics for Prometheus at http://`HOST:PORT`/metrics, and health at /livez and /readyz; with --tls-cert by https (default: nowhere)")
	f.identity.register(flags)
	f.limits.register(flags)
	f.insecure.register(flags, "insecure", "listen on an address that others can reach, although they may then write, or read what is said")
	flags.StringVar(&f.local, "local-checkpoint", "", "keep what is known in this `FILE`, for a start with nothing reachable (default: nowhere)")
	flags.StringVar(&f.staleFor, "serve-stale-for", "24h", "permit nothing any more once policy has not been proven for this `DURATION`; until then what an app's on_stale says")
	flags.StringVar(&f.skew, "max-clock-skew", "10s", "believe no proof whose time is off the clock by more than this `DURATION`, and no token by more than that or a minute")
	flags.StringVar(&f.signKey, "sign-key", "", "as an authority, sign what is written and proven with the private key in this `FILE`, as teishi key new makes it")
	flags.StringVar(&f.trustKeys, "trust-keys", "", "believe only what is signed by a key in this `FILE`, which is read again when it changes: lines of a key, and its first and last revision if it has any")
	f.decisions.register(flags)
	flags.StringVar(&f.lameDuck, "lame-duck", "1s", "when told to stop, go on answering for this `DURATION` while health says NOT_SERVING")
	flags.StringVar(&f.grace, "grace", "10s", "then wait at most this `DURATION` for what is being answered")
	flags.StringVar(&f.logLevel, "log-level", "info", "log from this `LEVEL` on: debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "text", "log as `FORMAT`: text or json")
}

// serveConfig judges all settings and tells everything that is wrong with them.
func (p *program) serveConfig(f *serveFlags) (serveConfig, error) {
	c := serveConfig{domain: f.store.domain, example: f.example, id: f.id, listen: f.listen, metrics: f.metrics, local: f.local}
	var wrong faults
	var err error
	level, known := logLevels[f.logLevel]
	if !known {
		wrong.add("log-level", fmt.Errorf("%q is none of debug, info, warn, error", f.logLevel))
	}
	c.logger, err = newLogger(p.stderr, level, f.logFormat)
	wrong.add("log-format", err)
	p.role(f, &c, &wrong)
	wrong.add("example", checkExample(f.example))
	wrong.add("domain", checkSlug(f.store.domain))
	wrong.add("id", checkID(f.id))
	c.identity = f.identity.config(&wrong)
	c.reflection, c.bootstrap = reflections[f.identity.reflection], f.identity.bootstrap
	c.limits = f.limits.setting(f.identity.knows(), &wrong)
	wrong.add("listen", checkListen(f.listen, f.insecure.on, &c.identity))
	wrong.add("metrics-listen", checkMetrics(f.metrics, f.insecure.on, &c.identity))
	wrong.add("insecure", f.insecure.wrong)
	wrong.add("local-checkpoint", checkLocal(f.local))
	for _, d := range []struct {
		flag, text string
		to         *time.Duration
		judge      func(string) (time.Duration, error)
	}{
		{"serve-stale-for", f.staleFor, &c.staleFor, span},
		{"max-clock-skew", f.skew, &c.skew, span},
		{"lame-duck", f.lameDuck, &c.lameDuck, duration},
		{"grace", f.grace, &c.grace, duration},
	} {
		*d.to, err = d.judge(d.text)
		wrong.add(d.flag, err)
	}
	c.identity.MaxClockSkew = c.skew
	c.signer, err = readSigner(f.signKey)
	wrong.add("sign-key", err)
	c.trust, err = readTrust(f.trustKeys)
	wrong.add("trust-keys", err)
	wrong.add("sign-key", c.trust.checkSigner(c.signer))
	c.decisions = f.decisions.setting(&wrong)
	return c, wrong.err("teishi serve")
}

// role judges the settings that make an authority or a decision point.
func (p *program) role(f *serveFlags, c *serveConfig, wrong *faults) {
	var err error
	if f.follow != "" {
		f.origin.check(wrong)
		c.follow, err = p.origins("follow", f.follow, &f.origin, f.store.domain, c.logger)
		wrong.add("follow", err)
		for flag, value := range map[string]string{"store": f.store.store, "redis": f.publish, "example": f.example, "sign-key": f.signKey, "bootstrap-admin": f.identity.bootstrap} {
			if value != "" {
				wrong.add(flag, errors.New("it is for an authority, and --follow makes a decision point"))
			}
		}
		return
	}
	c.store, err = p.storeSetting("store", &f.store, f.example != "")
	wrong.add("store", err)
	if f.publish != "" {
		f.origin.redis.check(wrong)
		c.publish, err = p.redisConfig("redis", f.publish, &f.origin.redis, f.store.domain, c.logger)
		wrong.add("redis", err)
	}
	wrong.add("store-password-file", checkReadable(f.store.passwordFile))
}

func checkID(id string) error {
	if len(id) > 128 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("%q is not at most 128 characters of printable ASCII without space", id)
	}
	return nil
}

func checkExample(name string) error {
	if name == "" || slices.Contains(examples.Names(), name) {
		return nil
	}
	return fmt.Errorf("there is no example %q; there are %s", name, strings.Join(examples.Names(), ", "))
}

func checkSlug(s string) error {
	if !policy.IsSlug(s) {
		return fmt.Errorf("%q is not a slug: 1 to 63 of a-z, 0-9 and -, neither first nor last a hyphen", s)
	}
	return nil
}

func duration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("it is negative")
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration such as 500ms or 10s", s)
	}
	return d, nil
}

// span is a duration that is none at all if it is 0.
func span(s string) (time.Duration, error) {
	d, err := duration(s)
	if err == nil && d == 0 {
		err = errors.New("it has to be more than 0: 1s is little, and 1ms next to nothing")
	}
	return d, err
}

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func newLogger(w io.Writer, level slog.Level, format string) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("%q is neither text nor json", format)
}

// completeFrom lets a shell complete the values of a flag.
func completeFrom(c *cobra.Command, flag string, values ...string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // there is no such flag
	}
}
