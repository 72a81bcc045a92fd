//go:build linux

package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// recordOf makes a record of n entries with a checkpoint at 4, and at others.
func recordOf(t *testing.T, n int, others ...int) (c postgres.Config, database string) {
	t.Helper()
	c, database = record(t)
	t.Run("record", func(t *testing.T) {
		s := serve(t, c)
		for i := 2; i <= n; i++ {
			s.write(t, fmt.Sprint("o", i))
			if i == 4 || slices.Contains(others, i) {
				s.checkpoint(t)
			}
		}
	})
	return c, database
}

// A record that was edited does not verify, and verification names the entry.
func TestTampered(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		bad       policy.Revision // named by verification
	}{
		"a bit of a payload":        {"UPDATE teishi.entries SET payload = set_bit(payload, 9, 1 - get_bit(payload, 9)) WHERE revision = 6", 6},
		"a byte of a reason":        {"UPDATE teishi.entries SET reason = set_byte(reason, 0, 0) WHERE revision = 7", 7},
		"before the checkpoint":     {"UPDATE teishi.entries SET reason = 'x' WHERE revision = 2", 2},
		"a payload cut":             {"UPDATE teishi.entries SET payload = '' WHERE revision = 6", 6},
		"a hash":                    {"UPDATE teishi.entries SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1) WHERE revision = 6", 6},
		"a hash cut":                {`UPDATE teishi.entries SET hash = '\x00' WHERE revision = 6`, 6},
		"a digest cut":              {"UPDATE teishi.entries SET request_digest = '' WHERE revision = 6", 6},
		"a request id":              {"UPDATE teishi.entries SET request_id = 'x' WHERE revision = 6", 6},
		"an entry dropped":          {"DELETE FROM teishi.entries WHERE revision = 6", 6},
		"cut below the checkpoint":  {"DELETE FROM teishi.entries WHERE revision >= 3", 3},
		"the index is of something": {"DROP INDEX teishi.requests; UPDATE teishi.entries SET request_id = 'o3' WHERE revision = 5", 5},
	} {
		t.Run(name, func(t *testing.T) {
			config, database := recordOf(t, 8)
			postgres.Edit(t, database, c.statement)
			v, err := policystore.Verify(watchdog(t), open(t, config), postgres.DefaultDomain, policystore.Evidence{}, nil)
			if v.BadRevision != c.bad || err != nil {
				t.Errorf("Verify = %+v, %v, want %d", v, err, c.bad)
			}
		})
	}
}

// A row that holds what no entry has is damage, and what is before it is read.
func TestMalformedRow(t *testing.T) {
	c, database := recordOf(t, 8)
	postgres.Edit(t, database, `UPDATE teishi.entries SET hash = '\x00' WHERE revision = 6`)
	log := open(t, c)
	if entries, err := log.Read(t.Context(), 3, 100); len(entries) != 3 || err != nil {
		t.Errorf("Read(3) = %d entries, %v, want 3", len(entries), err)
	}
	_, err := log.Read(t.Context(), 6, 100)
	wantTrouble(t, err, policystore.Damaged, "a hash of 1 bytes")
	if !errors.Is(err, policystore.ErrBroken) {
		t.Errorf("Read(6) = %v, want ErrBroken", err)
	}
	_, err = log.Request(t.Context(), "local", "o6")
	wantTrouble(t, err, policystore.Damaged)
	postgres.Edit(t, database, `UPDATE teishi.entries SET hash = '' WHERE revision = 8`)
	_, err = log.Head(t.Context())
	wantTrouble(t, err, policystore.Damaged, "a hash of 0 bytes")
}

// An entry goes after the head, and not where another one is missing.
func TestHole(t *testing.T) {
	c, database := recordOf(t, 8)
	log := open(t, c)
	before, err := log.Read(t.Context(), 5, 1)
	if err != nil || len(before) != 1 {
		t.Fatalf("Read(5) = %d entries, %v", len(before), err)
	}
	postgres.Edit(t, database, "DELETE FROM teishi.entries WHERE revision = 6")
	at := before[0].Position()
	if _, err := log.Append(t.Context(), at, follower(at, "into the hole", nil)); !errors.Is(err, policystore.ErrConflict) {
		t.Errorf("Append = %v, want ErrConflict", err)
	}
}

// A checkpoint is a copy: when it is damaged the record is served from its entries, verification says so and reads on, and the
// past is answered.
func TestDamagedCheckpoint(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		problem   bool
	}{
		"its hash":            {"UPDATE teishi.checkpoints SET state_hash = set_byte(state_hash, 0, get_byte(state_hash, 0) # 1)", true},
		"its hash cut":        {`UPDATE teishi.checkpoints SET state_hash = '\x00'`, true},
		"its place cut":       {"UPDATE teishi.checkpoints SET hash = ''", true},
		"a bit of its body":   {"UPDATE teishi.checkpoints SET body = set_bit(body, 99, 1 - get_bit(body, 99))", true},
		"its body gone":       {"UPDATE teishi.checkpoints SET body = ''", true},
		"moved":               {"UPDATE teishi.checkpoints SET revision = 5", true},
		"moved past the head": {"UPDATE teishi.checkpoints SET revision = 999999", true},
		"moved before birth":  {"UPDATE teishi.checkpoints SET revision = -9223372036854775808", true},
		"another version":     {"UPDATE teishi.checkpoints SET fold_version = 99", false},
		"an absurd version":   {"UPDATE teishi.checkpoints SET fold_version = 1::bigint << 40", true},
	} {
		t.Run(name, func(t *testing.T) {
			config, database := recordOf(t, 8)
			postgres.Edit(t, database, c.statement)
			log := open(t, config)
			v, err := policystore.Verify(watchdog(t), log, postgres.DefaultDomain, policystore.Evidence{}, nil)
			if v.BadRevision != 0 || v.Entries != 8 || (v.Problem != "") != c.problem || err != nil {
				t.Errorf("Verify = %+v, %v", v, err)
			}
			if v, err := policystore.NewHistory(log, postgres.DefaultDomain).At(watchdog(t), 6); err != nil || v.Position.Revision != 6 {
				t.Errorf("At(6) = %s, %v", v.Position, err)
			}
			if v := serve(t, config).view(t, 8); v.Organization("o8") == nil {
				t.Errorf("the view is at %s", v.Position)
			}
		})
	}
}

// A record whose last entry is exchanged for another is noticed by its next proof.
func TestHeadExchanged(t *testing.T) {
	c, database := recordOf(t, 4)
	var last error
	for e, err := range open(t, c).Tail(watchdog(t), policystore.Position{}) {
		if last = err; err == nil && e.Entry != nil && e.Entry.Revision == 4 {
			postgres.Edit(t, database, "UPDATE teishi.entries SET hash = decode(repeat('00', 32), 'hex') WHERE revision = 4")
		}
		if err == nil && e.Head != nil && e.Head.Position.Hash == (policystore.Hash{}) {
			t.Fatalf("what was not read is proven: %s", e.Head.Position)
		}
	}
	wantTrouble(t, last, policystore.Foreign)
	if !errors.Is(last, policystore.ErrDiverged) {
		t.Errorf("the tail ends with %v, want ErrDiverged", last)
	}
}

// Pages that the disk has damaged are damage, and what is before them is read.
func TestDamagedPage(t *testing.T) {
	t.Parallel()
	server, c := own(t, cluster.PostgresConfig{})
	log := open(t, c)
	payload := make([]byte, 100_000) // that does not compress, and so takes pages of its own
	random := rand.NewChaCha8([32]byte{})
	var at policystore.Position
	for i := range 6 {
		random.Read(payload)
		e, err := log.Append(t.Context(), at, follower(at, fmt.Sprint("r", i), bytes.Clone(payload)))
		if err != nil {
			t.Fatal(err)
		}
		at = e.Position()
	}
	damagePage(t, server, databaseOf(t, c), 5)
	log = open(t, c)
	if entries, err := log.Read(watchdog(t), 1, 100); len(entries) != 4 || err != nil {
		t.Errorf("Read(1) = %d entries, %v, want 4", len(entries), err)
	}
	_, err := log.Read(t.Context(), 5, 100)
	wantTrouble(t, err, policystore.Damaged, "invalid page")
	if !errors.Is(err, policystore.ErrBroken) {
		t.Errorf("Read(5) = %v, want ErrBroken", err)
	}
	if entries, err := log.Read(t.Context(), 6, 100); len(entries) != 1 || err != nil {
		t.Errorf("Read(6) = %d entries, %v, want 1", len(entries), err)
	}
}

// damagePage overwrites the beginning of a page amid the payload of an entry, while the server is down.
func damagePage(t *testing.T, server *cluster.Postgres, database string, entry int) {
	t.Helper()
	const pageSize = 8192
	const aside = "(SELECT reltoastrelid FROM pg_class WHERE oid = 'teishi.entries'::regclass)"
	ask := func(query string) string {
		out, err := server.SQL(t.Context(), database, query)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	file, table := ask("SELECT pg_relation_filepath("+aside+")"), ask("SELECT "+aside+"::regclass")
	page, err := strconv.Atoi(ask(fmt.Sprintf(`SELECT (min(ctid)::text::point)[0] + 3 FROM %[1]s
WHERE chunk_id = (SELECT chunk_id FROM %[1]s GROUP BY 1 ORDER BY 1 LIMIT 1 OFFSET %[2]d)`, table, entry-1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(server.Dir(), "data", file), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 24), int64(page)*pageSize)
	if err := errors.Join(err, f.Close(), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
}
