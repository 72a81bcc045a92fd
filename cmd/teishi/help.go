package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// help prints the whole surface below a command: itself, and every command beneath it with its flags.
func (p *program) help(c *cobra.Command, _ []string) {
	text := c.Long
	if text == "" {
		text = c.Short
	}
	fmt.Fprintf(p.stdout, "%s\n", strings.TrimSpace(text))
	p.surface(c)
	if c.Example != "" {
		fmt.Fprintf(p.stdout, "\nExamples:\n%s\n", c.Example)
	}
}

func (p *program) surface(c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			p.surface(sub)
		}
	}
	if !c.Runnable() || c.Annotations[onlyHolds] != "" {
		return
	}
	fmt.Fprintf(p.stdout, "\n%s\n  %s\n", c.UseLine(), c.Short)
	if c.Flags().HasAvailableFlags() {
		fmt.Fprint(p.stdout, c.Flags().FlagUsages())
	}
}
