//go:build linux

package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/postgres"
)

// What several read at once is bounded by bytes, and by the server: what one call returns is about 4 MiB however many are
// asked for.
func TestReadIsBounded(t *testing.T) {
	log := open(t, first(record(t)))
	var at policystore.Position
	for i := range 12 {
		e, err := log.Append(watchdog(t), at, follower(at, fmt.Sprint("r", i), bytes.Repeat([]byte{byte(i)}, 1_000_000)))
		if err != nil {
			t.Fatal(err)
		}
		at = e.Position()
	}
	for from, want := range map[int]int{1: 5, 6: 5, 11: 2, 12: 1, 13: 0} {
		if entries, err := log.Read(watchdog(t), policy.Revision(from), 1000); len(entries) != want || err != nil {
			t.Errorf("Read(%d) = %d entries, %v, want %d", from, len(entries), err, want)
		}
	}
}

// A checkpoint of a large domain is stored and read, and none of it is in the server's log, though every statement is.
func TestLargeCheckpoint(t *testing.T) {
	t.Parallel()
	server, c := own(t, cluster.PostgresConfig{Settings: map[string]string{"log_statement": "all"}})
	n := serve(t, c)
	v := n.view(t, 1)
	want, err := policystore.NewCheckpoint(postgres.DefaultDomain, v)
	if err != nil {
		t.Fatal(err)
	}
	want.Body = bytes.Repeat([]byte("incompressible, says its maker. "), 1_000_000)
	for range 2 { // the second takes the place of the first
		if err := n.log.StoreCheckpoint(watchdog(t), want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := n.log.Checkpoint(watchdog(t))
	if err != nil || !bytes.Equal(got.Body, want.Body) || got.Position != want.Position {
		t.Errorf("Checkpoint = %d bytes at %s, %v, want %d at %s", len(got.Body), got.Position, err, len(want.Body), want.Position)
	}
	if log := server.Log(); len(log) > 1<<20 || !strings.Contains(log, "DELETE FROM teishi.checkpoints") {
		t.Errorf("the log of the server has %d bytes", len(log))
	}
}

// Members that are enrolled together are, each as it is told last, whatever bytes they are told in.
func TestEnrolMany(t *testing.T) {
	c, database := record(t)
	logs := []*postgres.Log{open(t, c), open(t, postgres.Config{DSN: postgres.Pooler.DSN(database)})}
	var members []policystore.Member
	for i := range 500 {
		members = append(members, policystore.Member{ID: fmt.Sprintf("replica-%03d", i), Version: "v\x00\xff'", Position: policystore.Position{Revision: 7}})
	}
	again := members[3]
	again.Position.Revision = 8
	before := time.Now()
	var all sync.WaitGroup
	for i := range 8 { // in both orders at once
		all.Go(func() {
			mine := append(bytesOrder(members, i%2 == 0), again)
			if err := logs[i%2].Enrol(watchdog(t), mine); err != nil {
				t.Errorf("Enrol = %v", err)
			}
		})
	}
	all.Wait()
	members[3] = again
	var answers [2][]policystore.Member
	for i, log := range logs {
		got, err := log.Members(t.Context())
		if err != nil || len(got) != len(members) {
			t.Fatalf("Members = %d, %v, want %d", len(got), err, len(members))
		}
		for j := range got {
			if s := got[j].Silence; s < 0 || s > time.Since(before)+time.Second || got[j].Reported.IsZero() {
				t.Errorf("member %s reported at %s and is silent for %s", got[j].ID, got[j].Reported, s)
			}
			got[j].Silence = 0
		}
		answers[i] = got
	}
	if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
		t.Errorf("the second answer differs (-first +second):\n%s", diff)
	}
	for i := range answers[0] {
		answers[0][i].Reported = time.Time{}
	}
	if diff := cmp.Diff(members, answers[0]); diff != "" {
		t.Errorf("Members (-want +got):\n%s", diff)
	}
	if err := logs[0].Enrol(t.Context(), nil); err != nil {
		t.Errorf("Enrol of nobody = %v", err)
	}
}

// bytesOrder returns a copy, the other way round if asked for.
func bytesOrder(members []policystore.Member, forward bool) []policystore.Member {
	all := append([]policystore.Member(nil), members...)
	if !forward {
		for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
			all[i], all[j] = all[j], all[i]
		}
	}
	return all
}

// The roll outlives a crash of the server, but for what was reported last.
func TestRollOutlivesACrash(t *testing.T) {
	t.Parallel()
	server, c := own(t, cluster.PostgresConfig{})
	log := open(t, c)
	if err := log.Enrol(t.Context(), []policystore.Member{{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := server.SQL(t.Context(), databaseOf(t, c), "SELECT pg_logical_emit_message(true, 'test', ''); CHECKPOINT"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(server.StopImmediate(), server.Restart(t.Context())); err != nil {
		t.Fatal(err)
	}
	err := cluster.Wait(t.Context(), "the roll to be read", func(ctx context.Context) error {
		members, err := log.Members(ctx)
		if err == nil && len(members) != 1 {
			t.Fatalf("%d members are left", len(members))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A server that has no room says so, and has it again when there is room.
func TestFull(t *testing.T) {
	t.Parallel()
	server, c := own(t, cluster.PostgresConfig{})
	sql(t, server, fmt.Sprintf("CREATE TABLESPACE small LOCATION '%s'", smallDisk(t, server)))
	database := databaseOf(t, c)
	if _, err := server.SQL(t.Context(), database, "ALTER TABLE teishi.entries SET TABLESPACE small"); err != nil {
		t.Fatal(err)
	}
	log := open(t, c)
	payload := bytes.Repeat([]byte{1}, 900_000)
	var at policystore.Position
	var err error
	if _, err = server.SQL(t.Context(), database, "ALTER TABLE teishi.entries ALTER COLUMN payload SET STORAGE EXTERNAL"); err != nil {
		t.Fatal(err)
	}
	for i := 0; err == nil && i < 10; i++ {
		var e policystore.Entry
		if e, err = log.Append(watchdog(t), at, follower(at, fmt.Sprint("r", i), payload)); err == nil {
			at = e.Position()
		}
	}
	wantTrouble(t, err, policystore.Full, "could not extend file")
	if !errors.Is(err, policystore.ErrFull) {
		t.Errorf("Append = %v, want ErrFull", err)
	}
	if p, err := log.Head(t.Context()); p != at || err != nil {
		t.Errorf("Head = %s, %v, want %s", p, err, at)
	}
	if _, err := server.SQL(t.Context(), database, "ALTER TABLE teishi.entries SET TABLESPACE pg_default"); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(watchdog(t), at, follower(at, "with room", payload)); err != nil {
		t.Errorf("with room, Append = %v", err)
	}
}

// smallDisk mounts a file system of 4 MiB that the server may write in, and returns where.
func smallDisk(t *testing.T, server *cluster.Postgres) string {
	t.Helper()
	small := filepath.Join(server.Dir(), "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", small, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("no file system can be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(server.Kill(), unix.Unmount(small, 0)); err != nil {
			t.Error(err)
		}
	})
	var owner unix.Stat_t
	if err := unix.Stat(server.Dir(), &owner); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(small, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
	return small
}

func first(c postgres.Config, _ string) postgres.Config { return c }

// Authorities store the same checkpoint at the same time, and all of them succeed.
func TestCheckpointAtOnce(t *testing.T) {
	c, database := record(t)
	n := serve(t, c)
	pooled := open(t, postgres.Config{DSN: postgres.Pooler.DSN(database)})
	want, err := policystore.NewCheckpoint(postgres.DefaultDomain, n.view(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	want.Body = bytes.Repeat([]byte("x"), 1<<20)
	var all sync.WaitGroup
	for range 4 {
		for _, log := range []*postgres.Log{n.log, pooled} {
			all.Go(func() {
				if err := log.StoreCheckpoint(watchdog(t), want); err != nil {
					t.Errorf("StoreCheckpoint = %v", err)
				}
			})
		}
	}
	all.Wait()
	got, err := pooled.Checkpoint(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("Checkpoint = %v (-want +got):\n%s", err, diff)
	}
}
