package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/examples"
)

// serveFlags are the settings of serve as they are given.
type serveFlags struct {
	store, example, domain string
	listen                 string
	insecure               boolean
	lameDuck, grace        string
	logLevel, logFormat    string
}

// serveConfig is what they mean.
type serveConfig struct {
	file            string // of the record; empty for a temporary one
	example         string // empty for none
	domain          string
	listen          string
	lameDuck, grace time.Duration
	logger          *slog.Logger
}

func (p *program) serveCommand() *cobra.Command {
	f := serveFlags{}
	c := &cobra.Command{
		Use:   "serve",
		Short: "Keep a record and answer from it, over gRPC",
		Long: `Keep a record in one file and answer from it, over gRPC, until told to stop by SIGTERM or SIGINT.

There is no authentication yet: everybody who can reach the address may ask, and may write.`,
		Example: `  teishi serve --example line-2021
  teishi serve --store sqlite:/var/lib/teishi/teishi.db`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := p.serveConfig(f)
			if err != nil {
				return err
			}
			return p.serve(c.Context(), config)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.store, "store", "", "the record: `sqlite:FILE`; made if there is none (default a file in the user's data directory; with --example a temporary one)")
	flags.StringVar(&f.example, "example", "", "load the example `NAME` into a new record: "+strings.Join(examples.Names(), ", "))
	flags.StringVar(&f.domain, "domain", "teishi", "the `NAME` of the record, fixed when it is made")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:50051", "listen on `HOST:PORT`; port 0 for a free one")
	f.insecure.register(flags, "insecure", "listen on an address that others can reach, although they may then write")
	flags.StringVar(&f.lameDuck, "lame-duck", "1s", "when told to stop, go on answering for this `DURATION` while health says NOT_SERVING")
	flags.StringVar(&f.grace, "grace", "10s", "then wait at most this `DURATION` for what is being answered")
	flags.StringVar(&f.logLevel, "log-level", "info", "log from this `LEVEL` on: debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", "text", "log as `FORMAT`: text or json")
	completeFrom(c, "example", examples.Names()...)
	completeFrom(c, "log-level", "debug", "info", "warn", "error")
	completeFrom(c, "log-format", "text", "json")
	return c
}

// serveConfig judges all settings and tells everything that is wrong with them.
func (p *program) serveConfig(f serveFlags) (serveConfig, error) {
	c := serveConfig{example: f.example, domain: f.domain, listen: f.listen}
	var wrong faults
	var err error
	c.file, err = p.recordFile(f)
	wrong.add("store", err)
	wrong.add("example", checkExample(f.example))
	wrong.add("domain", checkSlug(f.domain))
	wrong.add("listen", checkListen(f.listen, f.insecure.on))
	wrong.add("insecure", f.insecure.wrong)
	c.lameDuck, err = duration(f.lameDuck)
	wrong.add("lame-duck", err)
	c.grace, err = duration(f.grace)
	wrong.add("grace", err)
	level, known := logLevels[f.logLevel]
	if !known {
		wrong.add("log-level", fmt.Errorf("%q is none of debug, info, warn, error", f.logLevel))
	}
	c.logger, err = newLogger(p.stderr, level, f.logFormat)
	wrong.add("log-format", err)
	return c, wrong.err("teishi serve")
}

// recordFile is the file that the record shall be in, or empty for a temporary one.
func (p *program) recordFile(f serveFlags) (string, error) {
	store := f.store
	if store == "" && f.example != "" {
		return "", nil
	}
	if store == "" {
		var err error
		if store, err = p.defaultStore(); err != nil {
			return "", err
		}
	}
	return storeFile(store)
}

func checkExample(name string) error {
	if name == "" || slices.Contains(examples.Names(), name) {
		return nil
	}
	return fmt.Errorf("there is no example %q; there are %s", name, strings.Join(examples.Names(), ", "))
}

func checkSlug(s string) error {
	inside := strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	if s == "" || len(s) > 63 || !inside || s[0] == '-' || s[len(s)-1] == '-' {
		return fmt.Errorf("%q is not a slug: 1 to 63 of a-z, 0-9 and -, neither first nor last a hyphen", s)
	}
	return nil
}

// checkListen refuses an address that others can reach, unless that is wanted.
func checkListen(listen string, insecure bool) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q is not a port", port)
	}
	if insecure || host == "localhost" || net.ParseIP(host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s can be reached by others, who may then write, for there is no authentication yet; "+
		"listen on 127.0.0.1, or say --insecure", listen)
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
