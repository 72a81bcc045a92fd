package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// exportFlags say what is exported, and where to.
type exportFlags struct {
	store  storeFlags
	server serverFlags
	from   int64
	out    string
}

func (p *program) exportCommand() *cobra.Command {
	f := exportFlags{}
	c := &cobra.Command{
		Use:   "export",
		Short: "Print the entries of a record, one in each line, to be read or verified elsewhere",
		Long: `Print the entries of a record as JSON, one in each line: as it is stored, with its payload, hash and signature, and beside it its
changes, readable. teishi log verify FILE verifies what this has written. It writes nothing to the record.`,
		Example: `  teishi log export --store sqlite:/var/lib/teishi/teishi.db --out export.jsonl
  teishi log export --server authority-1:50051 --tls --token-file token --from-revision 4712 | jq .entry.reason`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			var others faults
			var timeout time.Duration
			if f.server.address != "" {
				timeout = f.server.judge(&others)
			}
			others.add("from-revision", checkRevision(f.from))
			if f.server.address != "" && f.store.store != "" && !p.byEnvironment["store"] {
				others.add("server", errors.New("name a record or a server, not both"))
			}
			s, err := p.recordSetting("teishi log export", &f.store, others...)
			if err != nil {
				return err
			}
			return p.export(c.Context(), &f, s, timeout)
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	f.store.register(flags, "default the file in the user's data directory")
	flags.StringVar(&f.server.address, "server", "", "ask the server at `HOST:PORT` instead")
	f.server.registerManner(c, "wait at most this `DURATION` for each of its answers")
	flags.Int64Var(&f.from, "from-revision", 1, "begin with this `REVISION`")
	flags.StringVar(&f.out, "out", "", "write into this `FILE`, which is there when all of it is (default standard output)")
	settableHereOnly(flags.Lookup("server"))
	settableHereOnly(flags.Lookup("from-revision"))
	return c
}

func (p *program) export(ctx context.Context, f *exportFlags, s *storeSetting, timeout time.Duration) error {
	write := func(w io.Writer) error {
		if f.server.address != "" {
			return p.writeEntries(w, f.from, f.entries(ctx, timeout))
		}
		return p.exportStore(ctx, w, f.from, s)
	}
	if f.out != "" {
		return writeWhole(f.out, write)
	}
	b := bufio.NewWriter(p.stdout)
	return errors.Join(write(b), b.Flush())
}

func (p *program) exportStore(ctx context.Context, w io.Writer, from int64, s *storeSetting) (err error) {
	log, err := s.openRecord(ctx, "export", true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return p.writeEntries(w, from, storedEntries(ctx, log, policy.Revision(from)))
}

// exportBatch is how many entries are read at a time; the record, or the server, bounds their bytes.
const exportBatch = 256

// storedEntries yields what a record has from the revision on.
func storedEntries(ctx context.Context, log policystore.Log, next policy.Revision) iter.Seq2[*teishiv1.AuditEntry, error] {
	return func(yield func(*teishiv1.AuditEntry, error) bool) {
		for {
			batch, err := log.Read(ctx, next, exportBatch)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(batch) == 0 {
				return
			}
			for i := range batch {
				if !yield(policystore.AuditedToProto(&batch[i]), nil) {
					return
				}
			}
			next = batch[len(batch)-1].Revision + 1
		}
	}
}

// entries yields what the record of the server has from the revision on.
func (f *exportFlags) entries(ctx context.Context, timeout time.Duration) iter.Seq2[*teishiv1.AuditEntry, error] {
	return func(yield func(*teishiv1.AuditEntry, error) bool) {
		connection, err := f.server.connect()
		if err != nil {
			yield(nil, err)
			return
		}
		defer connection.Close()
		client := teishiv1.NewAuditServiceClient(connection)
		request := &teishiv1.ListEntriesRequest{PageSize: exportBatch, FromRevision: f.from}
		for {
			page, err := listEntries(ctx, client, request, timeout)
			if err != nil {
				yield(nil, f.server.explain(err))
				return
			}
			for _, e := range page.GetEntries() {
				if !yield(e, nil) {
					return
				}
			}
			if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
				return
			}
		}
	}
}

func listEntries(ctx context.Context, c teishiv1.AuditServiceClient, r *teishiv1.ListEntriesRequest, timeout time.Duration) (*teishiv1.ListEntriesResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return c.ListEntries(ctx, r)
}

// writeEntries writes entries, one in each line, and says at the end how far they go.
func (p *program) writeEntries(w io.Writer, from int64, entries iter.Seq2[*teishiv1.AuditEntry, error]) error {
	progress := p.everySecond("exported up to revision %d\n")
	n, last := 0, &teishiv1.Entry{}
	for e, err := range entries {
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, jsonLine(e)); err != nil {
			return err
		}
		n, last = n+1, e.GetEntry()
		progress(policy.Revision(last.GetRevision()))
	}
	if n == 0 {
		return fmt.Errorf("there is no entry from revision %d on", from)
	}
	_, err := fmt.Fprintf(p.stderr, "exported %d entries, up to revision %d of epoch %d, hash %s\n",
		n, last.GetRevision(), last.GetEpoch(), base64.StdEncoding.EncodeToString(last.GetHash()))
	return err
}

// writeWhole writes a file, readable to its owner alone, that is there only when all of it is.
func writeWhole(file string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	b := bufio.NewWriter(f)
	if err := errors.Join(write(b), b.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
