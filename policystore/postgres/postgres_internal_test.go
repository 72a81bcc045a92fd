//go:build linux

package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// opened returns the log of a record.
func opened(t *testing.T, dsn string) *Log {
	t.Helper()
	l, err := New(Config{DSN: dsn, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// born returns the log of a new record that has its first entry.
func born(t *testing.T) (l *Log, database string) {
	t.Helper()
	database = Database(t)
	l = opened(t, Server.DSN(database))
	_, _, err := l.migrate(t.Context())
	if err == nil {
		err = policystore.Initialize(t.Context(), l, DefaultDomain, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l, database
}

// next returns an entry that follows the head.
func (l *Log) next(t *testing.T) (head policystore.Position, e policystore.Entry) {
	t.Helper()
	head, err := l.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e = policystore.Entry{Epoch: max(1, head.Epoch), Revision: head.Revision + 1, Principal: "p", RequestID: fmt.Sprint("r", head.Revision), PreviousHash: head.Hash}
	e.Hash = e.Sum(DefaultDomain)
	return head, e
}

func (l *Log) mustAppend(t *testing.T) policystore.Entry {
	t.Helper()
	head, e := l.next(t)
	e, err := l.Append(t.Context(), head, e)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Whatever the session says, the commit of an entry waits for the disk, and for nobody for long; and the session says
// afterwards what it said before.
func TestCommitIsSynchronous(t *testing.T) {
	_, database := born(t)
	Edit(t, database, `CREATE TABLE public.seen (setting text);
CREATE FUNCTION note() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
	INSERT INTO public.seen VALUES (current_setting('synchronous_commit') || ' ' || current_setting('lock_timeout'));
	RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON teishi.entries FOR EACH ROW EXECUTE FUNCTION note()`)
	l := opened(t, Server.DSN(database)+"&options=-c%20synchronous_commit%3Doff")
	l.mustAppend(t)
	if seen := Edit(t, database, "SELECT setting FROM public.seen"); seen != "on 3s\n" {
		t.Errorf("an entry was inserted under %q, want on 3s", seen)
	}
	var after string
	if err := l.writing.QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&after); err != nil || after != "off" {
		t.Errorf("the session has synchronous_commit = %s, %v, want off", after, err)
	}
}

// Whoever is second at a revision waits for the first for less long than its own deadline, and leaves nobody waiting behind.
func TestSecondDoesNotWaitForEver(t *testing.T) {
	l, database := born(t)
	head, e := l.next(t)
	conn, err := pgx.Connect(t.Context(), Server.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), `INSERT INTO teishi.entries SELECT $1::bigint, 1, 0, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'`, int64(e.Revision))
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Append(t.Context(), head, e)
	if policystore.TroubleOf(err) != policystore.Timeout || !strings.Contains(fmt.Sprint(err), "another writer") {
		t.Errorf("Append = %v, want a timeout", err)
	}
	if left := Edit(t, database, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"); left != "0\n" {
		t.Errorf("%s still wait", strings.TrimSpace(left))
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), head, e); err != nil {
		t.Errorf("Append again = %v", err)
	}
}

// However many others read the record, and however long, it is followed, its head is proven, and it is written.
func TestFollowedBesideReaders(t *testing.T) {
	l, _ := born(t)
	for range l.reading.Config().MaxConns {
		c, err := l.reading.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Watchdog)
	defer cancel()
	proofs, entries := 0, 0
	for e, err := range l.Tail(ctx, policystore.Position{}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Head == nil {
			entries++
		} else if proofs++; proofs == 1 {
			l.mustAppend(t)
		} else if entries == 2 {
			return
		}
	}
	t.Errorf("%d proofs and %d entries", proofs, entries)
}

// Of the checkpoints the newest two are kept, and older ones far apart; those past the head are not counted.
func TestThin(t *testing.T) {
	l, database := born(t)
	Edit(t, database, "UPDATE teishi.entries SET revision = 70000")
	for _, at := range []policy.Revision{1, 2, 3, 4, 20_000, 39_999, 40_000, 59_999, 60_001, 69_000, 70_000, 90_000, 99_000} {
		Edit(t, database, fmt.Sprintf("INSERT INTO teishi.checkpoints VALUES (%d, 1, '', 0, 1, '', NULL, '')", at))
	}
	if err := pgx.BeginFunc(t.Context(), l.reading, func(tx pgx.Tx) error { return thin(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
	rows, err := l.reading.Query(t.Context(), "SELECT revision FROM teishi.checkpoints ORDER BY revision")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := pgx.CollectRows(rows, pgx.RowTo[policy.Revision])
	if want := []policy.Revision{20_000, 40_000, 60_001, 69_000, 70_000, 90_000, 99_000}; !slices.Equal(kept, want) || err != nil {
		t.Errorf("kept %d, want %d (%v)", kept, want, err)
	}
}

// The versions that are supported begin at 13; nothing older can be started here.
func TestServerCheck(t *testing.T) {
	good := server{Number: 13_00_00, Version: "13.0", ReadOnly: "off", Fsync: "on", FullPageWrites: "on", Synchronous: "on"}
	for name, c := range map[string]struct {
		change func(*server)
		want   string
		sort   policystore.Trouble
		reads  bool
	}{
		"as it must be":                {change: func(*server) {}},
		"takes no writes":              {change: func(s *server) { s.ReadOnly = "on" }, want: "default_transaction_read_only is on", sort: policystore.ReadOnly},
		"need take none":               {change: func(s *server) { s.ReadOnly = "on" }, reads: true},
		"a standby that is only read":  {change: func(s *server) { s.Standby, s.ReadOnly = true, "on" }, want: "name the primary", sort: policystore.ReadOnly, reads: true},
		"later":                        {change: func(s *server) { s.Number = 18_00_04 }},
		"waits for more than the disk": {change: func(s *server) { s.Synchronous = "remote_apply" }},
		"older":                        {change: func(s *server) { s.Number, s.Version = 12_00_22, "12.22" }, want: "it is PostgreSQL 12.22: 13 is the oldest that is supported", sort: policystore.Misconfigured},
		"a standby":                    {change: func(s *server) { s.Standby, s.ReadOnly = true, "on" }, want: "name the primary", sort: policystore.ReadOnly},
		"two faults":                   {change: func(s *server) { s.Fsync, s.Synchronous = "off", "off" }, want: "set fsync = on; synchronous_commit is off", sort: policystore.Misconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			c.change(&s)
			err := s.check(c.reads)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || policystore.TroubleOf(err) != c.sort) {
				t.Errorf("check = %v, want %q", err, c.want)
			}
		})
	}
}

// Errors that are ours already stay as they are, and so does what has no sort.
func TestExplain(t *testing.T) {
	other := errors.New("of no sort")
	for _, c := range []struct {
		err  error
		sort policystore.Trouble
		is   error
	}{
		{pgx.ErrNoRows, policystore.Missing, policystore.ErrNotFound},
		{policystore.ErrDiverged, policystore.Foreign, policystore.ErrDiverged},
		{fmt.Errorf("x: %w", policystore.ErrBroken), policystore.Damaged, policystore.ErrBroken},
		{&policystore.TroubleError{Trouble: policystore.Silent, Err: other}, policystore.Silent, other},
		{other, policystore.Other, other},
		{&pgconn.PgError{Code: "23514"}, policystore.Other, nil},
	} {
		got := explain(c.err)
		if policystore.TroubleOf(got) != c.sort || c.is != nil && !errors.Is(got, c.is) {
			t.Errorf("explain(%v) = %v, which is %s, want %s", c.err, got, policystore.TroubleOf(got), c.sort)
		}
	}
}
