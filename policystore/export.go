package policystore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// AuditedToProto converts an entry for those who read it: with its payload decoded, as far as this version knows it.
func AuditedToProto(e *Entry) *teishiv1.AuditEntry {
	m := &teishiv1.AuditEntry{Entry: EntryToProto(e)}
	changes := &teishiv1.Changes{}
	if proto.Unmarshal(e.Payload, changes) == nil {
		m.Changes = changes
	}
	return m
}

// maxLine bounds a line of an export, in bytes: JSON takes many times what an entry does.
const maxLine = 64 * MaxEntrySize

// Export is a record, or the end of one, in a file: a teishi.v1.AuditEntry in JSON a line. It is read from its beginning to its
// end, once.
type Export struct {
	lines *bufio.Scanner
	n     int   // of the line that was read last
	err   error // why no more is read
}

// NewExport returns the export that can be read there.
func NewExport(from io.Reader) *Export {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	return &Export{lines: lines}
}

// Read returns up to n of the entries that come next, whatever their revisions: fewer before a line that is broken, and none at
// the end. A line whose changes are not what its payload says is broken; one that does not show them is not.
func (x *Export) Read(ctx context.Context, _ policy.Revision, n int) ([]Entry, error) {
	var entries []Entry
	for size := 0; len(entries) < n && size < maxExportRead && x.scan(); {
		e, err := readAudited(x.lines.Bytes())
		if err != nil {
			x.err = fmt.Errorf("line %d: %w: %w", x.n, ErrBroken, err)
			break
		}
		entries, size = append(entries, e), size+len(x.lines.Bytes())
	}
	if len(entries) == 0 && x.err != nil {
		return nil, x.err
	}
	return entries, ctx.Err()
}

// scan goes to the next line, and reports whether there is one.
func (x *Export) scan() bool {
	if x.err != nil {
		return false
	}
	x.n++
	if x.lines.Scan() {
		return true
	}
	switch err := x.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		x.err = fmt.Errorf("line %d: %w: it is longer than %d bytes", x.n, ErrBroken, maxLine)
	case err != nil:
		x.err = fmt.Errorf("read line %d: %w", x.n, err)
	}
	return false
}

// maxExportRead bounds the bytes that one Read of an export takes, but for its last line.
const maxExportRead = 4 << 20

// readAudited is strict.
func readAudited(line []byte) (Entry, error) {
	m := &teishiv1.AuditEntry{}
	if err := protojson.Unmarshal(line, m); err != nil {
		return Entry{}, errors.New("it is not an entry in JSON")
	}
	if m.Entry == nil {
		return Entry{}, errors.New("it has no entry")
	}
	e, err := EntryFromProto(m.Entry)
	if err != nil {
		return e, err
	}
	if shown := AuditedToProto(&e).Changes; m.Changes != nil && known(shown) == nil && !proto.Equal(m.Changes, shown) {
		return e, errors.New("the changes that it shows are not those of its payload")
	}
	return e, nil
}
