package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/teishi-dev/teishi/service/decisionlog"
)

// decisionLogFlags say what is written down of what is answered, and where.
type decisionLogFlags struct{ to, allowed, mode, mask string }

// decisionLogSetting is what they mean.
type decisionLogSetting struct {
	to      string
	allowed float64
	block   bool
	masked  []string
}

// What the flags are if they are not given.
const (
	usualAllowed = "0.01"
	usualMode    = "drop"
)

func (f *decisionLogFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.to, "decision-log", "", "write down what is answered, as lines of JSON, to `TARGET`: stdout, file:PATH, otlp://HOST:PORT, otlps:// for TLS (default: nowhere)")
	flags.StringVar(&f.allowed, "decision-log-allowed", usualAllowed, "of what is ALLOWED write down this `SHARE`, 0 to 1; all that is DENIED or INDETERMINATE is")
	flags.StringVar(&f.mode, "decision-log-mode", usualMode, "what cannot be written down is answered all the same, and counted, with `MODE` drop; or it is not answered, with block")
	flags.StringVar(&f.mask, "decision-log-mask", "", "write \"masked\" in place of the values of the attributes of these `NAMES`, joined by commas")
}

// setting judges the flags; nil without a decision log.
func (f *decisionLogFlags) setting(wrong *faults) *decisionLogSetting {
	if f.to == "" {
		f.unused(wrong)
		return nil
	}
	s := &decisionLogSetting{to: f.to, block: f.mode == "block"}
	wrong.add("decision-log", checkDecisionLog(f.to))
	var err error
	if s.allowed, err = strconv.ParseFloat(f.allowed, 64); err != nil || !(s.allowed >= 0 && s.allowed <= 1) {
		wrong.add("decision-log-allowed", fmt.Errorf("%q is not a share such as 0, 0.01 or 1", f.allowed))
	}
	if f.mode != "drop" && f.mode != "block" {
		wrong.add("decision-log-mode", fmt.Errorf("%q is neither drop nor block", f.mode))
	}
	for name := range strings.SplitSeq(f.mask, ",") {
		if f.mask != "" {
			wrong.add("decision-log-mask", checkSlug(name))
			s.masked = append(s.masked, name)
		}
	}
	return s
}

// unused refuses settings of a decision log where there is none: whoever gives them believes that there is.
func (f *decisionLogFlags) unused(wrong *faults) {
	for _, given := range []struct {
		flag string
		is   bool
	}{{"decision-log-allowed", f.allowed != usualAllowed}, {"decision-log-mode", f.mode != usualMode}, {"decision-log-mask", f.mask != ""}} {
		if given.is {
			wrong.add(given.flag, errors.New("there is no decision log: say where to with --decision-log"))
		}
	}
}

func checkDecisionLog(to string) error {
	name, isFile := strings.CutPrefix(to, "file:")
	switch {
	case to == "stdout":
		return nil
	case isFile && name == "":
		return errors.New("file: names no file")
	case isFile:
		return checkAppendable(name)
	}
	sink, err := decisionlog.Collector(to, "")
	if err != nil {
		return fmt.Errorf("%s is none of stdout, file:PATH, otlp://HOST:PORT, otlps://HOST:PORT", shown(to))
	}
	return sink.Close()
}

// checkAppendable reports as an error that lines cannot be appended to a file of the name.
func checkAppendable(name string) error {
	if info, err := os.Stat(name); err == nil && info.Mode()&fs.ModeNamedPipe != 0 {
		return fmt.Errorf("%s is a named pipe: name a file", name)
	}
	return checkLocal(name)
}

// open begins the decision log of a replica; nil if there is to be none.
func (s *decisionLogSetting) open(p *program, n *node, registry prometheus.Registerer) (*decisionlog.Log, error) {
	if s == nil {
		return nil, nil
	}
	sink, err := s.sink(p, n.id)
	if err != nil {
		return nil, fmt.Errorf("open the decision log: %w; see %s", err, named("decision-log"))
	}
	return decisionlog.New(decisionlog.Config{
		Sink:     sink,
		Replica:  n.id,
		Block:    s.block,
		Allowed:  s.allowed,
		Masked:   s.masked,
		Registry: registry,
		Logger:   n.logger,
	}), nil
}

func (s *decisionLogSetting) sink(p *program, replica string) (decisionlog.Sink, error) {
	if s.to == "stdout" {
		return decisionlog.Stream(p.stdout), nil
	}
	if name, isFile := strings.CutPrefix(s.to, "file:"); isFile {
		return decisionlog.File(name)
	}
	return decisionlog.Collector(s.to, replica)
}

// writeDecisions has what is answered written down until the node is closed.
func (n *node) writeDecisions(p *program, c *serveConfig, registry prometheus.Registerer) (err error) {
	if n.decisions, err = c.decisions.open(p, n, registry); n.decisions == nil {
		return err
	}
	n.closers = append(n.closers, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), max(c.grace, time.Second))
		defer cancel()
		return n.decisions.Close(ctx)
	})
	return nil
}
