package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/teishi-dev/teishi/service"
)

// limitFlags say what each caller may ask for.
type limitFlags struct{ checks, writes, reads, streams string }

// limitFlag is one of them, and what it is if it is not given.
type limitFlag struct {
	name, usage string
	usual       int
	text        *string
	to          func(*service.Limits) *int
}

func (f *limitFlags) each() []limitFlag {
	return []limitFlag{
		{"limit-checks", "answer each caller at most this `NUMBER` of questions a second, those of a batch too; 0 for any", service.DefaultChecks, &f.checks,
			func(l *service.Limits) *int { return &l.Checks }},
		{"limit-writes", "take from each caller at most this `NUMBER` of administrative writes a second; 0 for any", service.DefaultWrites, &f.writes,
			func(l *service.Limits) *int { return &l.Writes }},
		{"limit-reads", "answer each caller at most this `NUMBER` of other calls a second; 0 for any", service.DefaultReads, &f.reads,
			func(l *service.Limits) *int { return &l.Reads }},
		{"limit-streams", "let each caller hold at most this `NUMBER` of streams open; 0 for any", service.DefaultStreams, &f.streams,
			func(l *service.Limits) *int { return &l.Streams }},
	}
}

func (f *limitFlags) register(flags *pflag.FlagSet) {
	for _, l := range f.each() {
		flags.StringVar(l.text, l.name, strconv.Itoa(l.usual), l.usage)
	}
}

// setting judges the flags. Where nobody is asked who he is they would hold for nobody, and whoever gives them believes otherwise.
func (f *limitFlags) setting(known bool, wrong *faults) (limits service.Limits) {
	for _, l := range f.each() {
		n, err := strconv.ParseUint(*l.text, 10, 31)
		switch {
		case err != nil || n > mostLimit:
			wrong.add(l.name, fmt.Errorf("%q is not a number from 0 to %d", *l.text, mostLimit))
		case !known && n != uint64(l.usual):
			wrong.add(l.name, errors.New("nobody is asked who he is, so there is no caller to limit: say --tls-client-ca or --oidc-issuer"))
		case n == 0:
			*l.to(&limits) = -1
		default:
			*l.to(&limits) = int(n)
		}
	}
	return limits
}

// mostLimit is more than a server answers.
const mostLimit = 1_000_000_000
