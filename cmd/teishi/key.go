package main

import (
	"errors"
	"fmt"
	"io/fs"
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
			if err := writeKey(args[0], text); err != nil {
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
	c.AddCommand(p.verifierCommand())
	return c
}

func (p *program) verifierCommand() *cobra.Command {
	domain := ""
	c := &cobra.Command{
		Use:   "verifier FILE",
		Short: "Print what other programs need to verify heads that are signed with a private key: the verifier key of a signed note",
		Args:  arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			var wrong faults
			wrong.add("domain", checkSlug(domain))
			if err := wrong.err("teishi key verifier"); err != nil {
				return err
			}
			signer, err := readSigner(args[0])
			if err != nil {
				return err
			}
			key, err := signer.VerifierKey(domain)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, key)
			return err
		},
	}
	c.Flags().StringVar(&domain, "domain", "teishi", "the `NAME` of the record")
	return c
}

// writeKey writes a file that only its owner may read, and never over another.
func writeKey(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and may be a key in use: name another file", file)
	}
	if err != nil {
		return err
	}
	if _, err = f.Write(text); err != nil {
		return errors.Join(err, f.Close(), os.Remove(file))
	}
	return f.Close()
}
