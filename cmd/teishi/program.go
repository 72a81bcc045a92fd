package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes, which scripts may rely on.
const (
	exitOK            = 0 // done; of check: ALLOWED
	exitError         = 1 // what went wrong was said on standard error
	exitDenied        = 2 // of check: DENIED
	exitIndeterminate = 3 // of check: INDETERMINATE
	exitNotWhole      = 1 // of log verify
	exitNotVerified   = 2 // of log verify: what went wrong was said on standard error
)

// program is one run of teishi: what it may touch of the process it runs in.
type program struct {
	getenv func(string) string
	stdout io.Writer
	stderr io.Writer

	byEnvironment map[string]bool // the flags that were given by their variables
}

// run does what the arguments say, until it is done or ctx ends, and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	p := &program{getenv: getenv, stdout: stdout, stderr: stderr, byEnvironment: make(map[string]bool)}
	root := p.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	c, err := root.ExecuteContextC(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(stderr, "teishi: "+strings.TrimSpace(err.Error()))
		if c.Annotations[verifies] != "" {
			return exitNotVerified
		}
		return exitError
	}
	return exitOK
}

// exitCode ends the program with a code and nothing more to say.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "teishi",
		Short: "May this organization use this app for this purpose, and if not, on whose authority?",
		Long: `Teishi decides whether an organization may use an app for a purpose, in given circumstances, at a given moment, and
says why not, until when, and on whose authority.

A flag can be given by the environment instead: --log-level by TEISHI_LOG_LEVEL. A flag outweighs its variable.
Exit codes: 0 done, 1 error; of check: 0 ALLOWED, 2 DENIED, 3 INDETERMINATE, 1 not answered;
of log verify: 0 whole, 1 not whole, 2 not verified.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return p.environment(c.Flags()) },
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	root.AddCommand(p.serveCommand(), p.checkCommand(), p.listCommand(), p.watchCommand(), p.waitCommand(), p.fleetCommand(), p.testCommand(),
		p.logCommand(), p.migrateCommand(), p.storeCommand(), p.redisCommand(), p.keyCommand(), p.versionCommand())
	root.InitDefaultCompletionCmd()
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w\nsee: %s -h", err, c.CommandPath())
	})
	for _, c := range root.Commands() {
		group(c)
	}
	describeVariables(root)
	root.SetHelpFunc(p.help)
	return root
}

// onlyHolds marks a command that does nothing but hold others.
const onlyHolds = "holds"

// verifies marks the command whose exit code 1 says that what it has read is not whole, and not that it was not read.
const verifies = "verifies"

// group makes a command that only holds others refuse what is none of them, as the program itself does.
func group(c *cobra.Command) {
	if !c.HasSubCommands() {
		return
	}
	c.SuggestionsMinimumDistance = 2
	if c.RunE == nil {
		c.Annotations = map[string]string{onlyHolds: "others"}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return fmt.Errorf("%s\nsee: %s -h", text, c.CommandPath())
	}
}

// arguments says how many arguments a command takes, and how it is used if they are not that many.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return fmt.Errorf("%d arguments given\nusage: %s\nsee: %s -h", len(args), c.UseLine(), c.CommandPath())
	}
}

// unsettable are the flags that no variable stands for.
func unsettable(f *pflag.Flag) bool { return f.Name == "help" || f.Annotations[hereOnly] != nil }

// hereOnly marks a flag that no variable stands for, since its name means another thing in another command.
const hereOnly = "here only"

func settableHereOnly(f *pflag.Flag) { f.Annotations = map[string][]string{hereOnly: {}} }
