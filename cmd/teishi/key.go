package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/teishi-dev/teishi/policystore"
)

func (p *program) keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Make keys to sign with"}
	c.AddCommand(&cobra.Command{
		Use:   "new FILE",
		Short: "Make a private key for --sign-key, and print the line that --trust-keys needs for it",
		Args:  arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			signer, err := policystore.NewSigner()
			if err != nil {
				return err
			}
			text, err := signer.PEM()
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if _, err := f.Write(text); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, signer.Public())
			return err
		},
	}, &cobra.Command{
		Use:   "public FILE",
		Short: "Print the line that --trust-keys needs for a private key",
		Args:  arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			signer, err := readSigner(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, signer.Public())
			return err
		},
	})
	return c
}
