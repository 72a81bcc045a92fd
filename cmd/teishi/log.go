package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

func (p *program) logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Look into a record"}
	c.AddCommand(p.verifyCommand(), p.headCommand(), p.exportCommand())
	return c
}

// verifyFlags say what is verified, and what it is held against.
type verifyFlags struct {
	store                     storeFlags
	trustKeys, head, headKeys string
	from                      int64
	output                    string
}

// examination is what they mean.
type examination struct {
	store   *storeSetting // nil for an export
	export  string        // in a file; - for standard input
	domain  string
	against policystore.Evidence
	json    bool
}

func (p *program) verifyCommand() *cobra.Command {
	f := verifyFlags{}
	c := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Read a whole record and check that nobody has changed it since it was written",
		Long: `Read a whole record, or FILE that teishi log export has made of one (- for standard input), and check every hash, link, revision
and time in it. It writes nothing, and may run beside the server that keeps the record.

A record that was cut short verifies, and so does one that was written anew as a whole: hold it against a head that teishi log
head has signed and that was kept elsewhere.
Exit code 0: it is whole; 1: it is not, and the first bad entry is named; 2: it could not be read, or was not asked for rightly.`,
		Example: `  teishi log verify --store sqlite:/var/lib/teishi/teishi.db
  teishi log verify --trust-keys trust.keys --head head-2026-11-25.note export.jsonl`,
		Args:        arguments(0, 1),
		Annotations: map[string]string{verifies: "true"},
		RunE: func(c *cobra.Command, args []string) error {
			x, err := p.examination(&f, c.Flags().Changed("store") && !p.byEnvironment["store"], args)
			if err != nil {
				return err
			}
			return p.verify(c.Context(), x)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	f.store.register(flags, "default the file in the user's data directory")
	flags.StringVar(&f.trustKeys, "trust-keys", "", "ask for a signature of every entry, from the first revision that a key in this `FILE` is trusted for")
	flags.StringVar(&f.head, "head", "", "the record must have the head in this `FILE`, which teishi log head has signed")
	flags.StringVar(&f.headKeys, "head-keys", "", "the keys that may sign that head, in this `FILE` (default those of --trust-keys)")
	flags.Int64Var(&f.from, "from-revision", 1, "the `REVISION` that FILE begins with: what precedes it is not there to be verified")
	flags.StringVarP(&f.output, "output", "o", "table", "print as `FORMAT`: table or json")
	settableHereOnly(flags.Lookup("from-revision"))
	completeFrom(c, "output", "table", "json")
	return c
}

// examination judges the settings, and tells everything that is wrong with them.
func (p *program) examination(f *verifyFlags, named bool, args []string) (*examination, error) {
	x := &examination{domain: f.store.domain, json: f.output == "json", against: policystore.Evidence{From: policy.Revision(f.from)}}
	var wrong faults
	wrong.add("output", oneOf(f.output, "table", "json"))
	trust, err := readTrust(f.trustKeys)
	wrong.add("trust-keys", err)
	x.against.Trust = trust.trusted()
	headTrust, err := readTrust(f.headKeys)
	wrong.add("head-keys", err)
	if headTrust == nil {
		headTrust = trust
	}
	if f.head != "" && checkSlug(f.store.domain) == nil {
		x.against.Head, err = readHead(f.head, f.store.domain, headTrust.trusted())
		wrong.add("head", err)
	}
	if len(args) == 1 {
		x.export = args[0]
		wrong.add("store", checkExport(x.export, named))
		wrong.add("domain", checkSlug(f.store.domain))
		wrong.add("from-revision", checkRevision(f.from))
		return x, wrong.err("teishi log verify")
	}
	if f.from != 1 {
		wrong.add("from-revision", errors.New("it is for a FILE that teishi log export has made: a record is read from its beginning"))
	}
	x.store, err = p.recordSetting("teishi log verify", &f.store, wrong...)
	return x, err
}

// checkExport reports as an error that what is to be read is not a file, or a record too.
func checkExport(file string, named bool) error {
	switch {
	case strings.HasPrefix(file, "sqlite:"), strings.HasPrefix(file, "postgres://"), strings.HasPrefix(file, "postgresql://"):
		return errors.New("a record is named by this flag; without it, FILE is what teishi log export has made")
	case named:
		return errors.New("name a record or a FILE, not both")
	}
	return nil
}

func checkRevision(n int64) error {
	if n < 1 {
		return errors.New("a revision is 1 or more")
	}
	return nil
}

// readHead reads a head that was kept, and refuses one that nobody trusted has signed.
func readHead(file, domain string, trust *policystore.TrustedKeys) (*policystore.Head, error) {
	if trust == nil {
		return nil, errors.New("whoever can change the record could have written it: say whose signature counts, with --head-keys or --trust-keys")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h, err := trust.OpenNote(text, domain)
	if errors.Is(err, policystore.ErrSignature) {
		return nil, fmt.Errorf("%s: %w, --head-keys", file, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &h, nil
}

// open opens what is to be read, and returns its name.
func (x *examination) open(ctx context.Context) (policystore.Record, string, func() error, error) {
	switch {
	case x.store != nil:
		log, err := x.store.openRecord(ctx, "verify", true)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w\nthere is no record yet: start one with teishi serve, or say where it is with --store", err)
		}
		if err != nil {
			return nil, "", nil, err
		}
		return log, x.store.where(), log.Close, nil
	case x.export == "-":
		return policystore.NewExport(os.Stdin), "standard input", func() error { return nil }, nil
	}
	f, err := os.Open(x.export)
	if err != nil {
		return nil, "", nil, err
	}
	return policystore.NewExport(f), x.export, f.Close, nil
}

func (p *program) verify(ctx context.Context, x *examination) (err error) {
	record, name, closeRecord, err := x.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRecord()) }()
	v, err := policystore.Verify(ctx, record, x.domain, x.against, p.everySecond("verified up to revision %d\n"))
	if err == nil && v.Entries == 0 && v.BadRevision == 0 {
		err = errors.New("there is no entry in it")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if x.json {
		_, err = fmt.Fprintln(p.stdout, indentedJSON(verificationMessage(&v)))
	} else if v.Problem == "" {
		_, err = fmt.Fprint(p.stdout, wholeText(name, x, &v))
	} else {
		_, err = fmt.Fprint(p.stderr, problemText(name, x, &v))
	}
	if err == nil && v.Problem != "" {
		err = exitCode(exitNotWhole)
	}
	return err
}

func verificationMessage(v *policystore.Verification) *teishiv1.VerifyLogResponse {
	return &teishiv1.VerifyLogResponse{
		Position:         policystore.PositionToProto(v.Head),
		EntriesVerified:  v.Entries,
		FirstBadRevision: int64(v.BadRevision),
		Problem:          v.Problem,
	}
}

func wholeText(name string, x *examination, v *policystore.Verification) string {
	text := fmt.Sprintf("%s: %s, up to revision %d of epoch %d, hash %s\n",
		name, x.everyEntry(), v.Head.Revision, v.Head.Epoch, base64.StdEncoding.EncodeToString(v.Head.Hash[:]))
	if h := x.against.Head; h != nil {
		text += fmt.Sprintf("the head of %s that was kept, revision %d, is in it\n", policy.InstantOf(h.Time), h.Position.Revision)
	}
	return text
}

// everyEntry says what verifies when all does.
func (x *examination) everyEntry() string {
	if x.against.From > 1 {
		return fmt.Sprintf("every entry from revision %d on verifies", x.against.From)
	}
	return "every entry verifies"
}

func problemText(name string, x *examination, v *policystore.Verification) string {
	if v.BadRevision == 0 {
		return fmt.Sprintf("teishi: %s: %s, up to revision %d, and %s\n", name, x.everyEntry(), v.Head.Revision, v.Problem)
	}
	text := fmt.Sprintf("teishi: %s: the entry at revision %d does not verify: %s\nthe %d entries before it do\n", name, v.BadRevision, v.Problem, v.Entries)
	if x.export != "" && v.Entries == 0 {
		text += fmt.Sprintf("it would not either if it were of another record than %s: see --domain\n", x.domain)
	}
	return text
}
