package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// questionFlags are what check, list and watch have in common; a watch is always for now.
type questionFlags struct {
	server     serverFlags
	at         string
	attributes []string
	language   string
	output     string
}

// question is what they mean.
type question struct {
	at         *timestamppb.Timestamp
	zone       *time.Location // in which times are shown: that of at, else the user's
	attributes map[string]string
	timeout    time.Duration
	json       bool
}

func (f *questionFlags) register(c *cobra.Command) {
	c.Flags().SortFlags = false
	c.Flags().StringVar(&f.at, "at", "", "decide for this `TIME`, as 2021-03-30T00:00:00+09:00 (default now)")
	f.registerForNow(c)
}

// registerForNow registers them but for --at.
func (f *questionFlags) registerForNow(c *cobra.Command) {
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.attributes, "attr", nil, "a circumstance, `NAME=VALUE`; may be repeated")
	flags.StringVar(&f.language, "language", "", "texts in this language, as `TAG`: ja, en")
	flags.StringVarP(&f.output, "output", "o", "table", "print as `FORMAT`: table or json")
	f.server.register(c)
	completeFrom(c, "output", "table", "json")
}

// question judges the settings and tells everything that is wrong with them, and with those that the command has besides.
func (f *questionFlags) question(command string, wrong faults) (question, error) {
	q := question{zone: time.Local, json: f.output == "json"}
	var err error
	if f.at != "" {
		t, err := instant(f.at)
		wrong.add("at", err)
		q.at, q.zone = timestamppb.New(t), t.Location()
	}
	q.attributes, err = attributes(f.attributes)
	wrong.add("attr", err)
	q.timeout = f.server.judge(&wrong)
	wrong.add("output", oneOf(f.output, "table", "json"))
	return q, wrong.err(command)
}

func instant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, fmt.Errorf("%q is not a time with its zone, such as 2021-03-30T00:00:00+09:00", s)
	}
	return t, nil
}

func attributes(stated []string) (map[string]string, error) {
	all := map[string]string{}
	var wrong []error
	for _, s := range stated {
		name, value, ok := strings.Cut(s, "=")
		switch _, twice := all[name]; {
		case !ok || name == "" || value == "":
			wrong = append(wrong, fmt.Errorf("%q is not NAME=VALUE", s))
		case twice:
			wrong = append(wrong, fmt.Errorf("%s is given twice; ask for each value and act only if all are ALLOWED", name))
		}
		all[name] = value
	}
	return all, errors.Join(wrong...)
}

func oneOf(s string, allowed ...string) error {
	for _, a := range allowed {
		if s == a {
			return nil
		}
	}
	return fmt.Errorf("%q is none of %s", s, strings.Join(allowed, ", "))
}
