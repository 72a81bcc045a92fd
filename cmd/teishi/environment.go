package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// variable names the environment variable that stands for a flag: TEISHI_LOG_LEVEL for --log-level.
func variable(flag string) string {
	return "TEISHI_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// named is what a setting is called where it is to be looked at: by its flag and its variable.
func named(flag string) string { return fmt.Sprintf("--%s (%s)", flag, variable(flag)) }

// environment gives every flag that the command line does not state the value of its variable.
func (p *program) environment(flags *pflag.FlagSet) error {
	var faults []error
	flags.VisitAll(func(f *pflag.Flag) {
		value := p.getenv(variable(f.Name))
		if f.Changed || value == "" || unsettable(f) {
			return
		}
		p.byEnvironment[f.Name] = true
		err := flags.Set(f.Name, value)
		if err != nil && f.Value.Type() == "bool" { // one of those that come with completion
			err = noBoolean(value)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", variable(f.Name), err))
		}
	})
	return errors.Join(faults...)
}

// boolean is a flag that is on or off. What is neither is noted, to be told with all else that is wrong.
type boolean struct {
	on    bool
	wrong error
}

func (b *boolean) Set(s string) error {
	on, err := strconv.ParseBool(s)
	if err != nil {
		err = noBoolean(s)
	}
	b.on, b.wrong = on, err
	return nil
}

func noBoolean(s string) error { return fmt.Errorf("%q is no boolean; say true or false", s) }

func (b *boolean) String() string { return strconv.FormatBool(b.on) }
func (*boolean) Type() string     { return "bool" }
func (*boolean) IsBoolFlag() bool { return true }

// register adds the flag to a command; it is off unless it is given.
func (b *boolean) register(flags *pflag.FlagSet, name, usage string) {
	flags.Var(b, name, usage)
	flags.Lookup(name).NoOptDefVal = "true"
}

// describeVariables adds to the description of every flag the name of its variable.
func describeVariables(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !unsettable(f) {
			f.Usage += " [" + variable(f.Name) + "]"
		}
	})
	for _, sub := range c.Commands() {
		if sub.Name() != "completion" {
			describeVariables(sub)
		}
	}
}

// faults gathers what is wrong with settings, so that all of it is told at once.
type faults []error

// add notes what is wrong with a setting; a nil error is nothing wrong.
func (f *faults) add(flag string, err error) {
	if err != nil {
		*f = append(*f, fmt.Errorf("  %s: %w", named(flag), err))
	}
}

// err returns everything that is wrong, or nil.
func (f faults) err(command string) error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s\nsee: %s -h", strings.TrimSpace(f[0].Error()), command)
	}
	return fmt.Errorf("%d settings are wrong\n%w\nsee: %s -h", len(f), errors.Join(f...), command)
}
