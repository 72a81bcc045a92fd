package sqlite_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// victimOf names the record that a process which this test starts shall write until it is killed; victimFrom how many
// requests of each writer are acknowledged already.
const (
	victimOf   = "TEISHI_TEST_VICTIM_OF"
	victimFrom = "TEISHI_TEST_VICTIM_FROM"
)

const crashWriters = 5

func TestMain(m *testing.M) {
	if path := os.Getenv(victimOf); path != "" {
		if err := beVictim(path, os.Getenv(victimFrom)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// beVictim writes from several goroutines and prints each acknowledgement: the writer, its request, revision and hash.
// Meanwhile it stores one checkpoint after the other.
func beVictim(path, from string) error {
	ctx := context.Background()
	log, err := sqlite.Open(ctx, sqlite.Config{Path: path})
	if err != nil {
		return err
	}
	if err := policystore.Initialize(ctx, log, sqlite.DefaultDomain, nil); err != nil {
		return err
	}
	replica := policystore.NewReplica(policystore.ReplicaConfig{Origins: []policystore.Origin{{Name: "sqlite", Source: log, Record: true}}, Domain: sqlite.DefaultDomain})
	authority := policystore.NewAuthority(policystore.AuthorityConfig{Log: log, Replica: replica})
	go replica.Run(ctx)
	if err := replica.WaitReady(ctx); err != nil {
		return err
	}
	failed := make(chan error)
	for w, start := range strings.Fields(from) {
		var next int
		if _, err := fmt.Sscan(start, &next); err != nil {
			return err
		}
		go func() { failed <- writeForEver(ctx, authority, w, next) }()
	}
	go func() { failed <- checkpointForEver(ctx, log, replica) }()
	return <-failed
}

func writeForEver(ctx context.Context, authority *policystore.Authority, w, next int) error {
	for ; ; next++ {
		e, err := authority.Write(ctx, storetest.Put(fmt.Sprint("w", w, "-", next)))
		if err != nil {
			return err
		}
		if _, err := fmt.Printf("%d %d %d %s\n", w, next, e.Revision, e.Hash); err != nil {
			return err
		}
	}
}

func checkpointForEver(ctx context.Context, log *sqlite.Log, replica *policystore.Replica) error {
	for {
		changed := replica.Changed()
		v, err := replica.View(ctx, policystore.Demand{})
		if err != nil {
			return err
		}
		if v.Position.Revision%10 == 0 {
			c, err := policystore.NewCheckpoint(sqlite.DefaultDomain, v)
			if err == nil {
				err = log.StoreCheckpoint(ctx, c)
			}
			if err != nil {
				return err
			}
		}
		<-changed
	}
}

// acknowledgement is what a victim printed.
type acknowledgement struct {
	writer, request int
	revision        policy.Revision
	hash            string
}

// crash is a record and what was acknowledged of it.
type crash struct {
	t            *testing.T
	path         string
	random       *rand.Rand
	acknowledged []acknowledgement
	next         [crashWriters]int // of each writer, the first request that is not acknowledged
	checked      int               // how many acknowledgements were compared with the record
	verified     policystore.Entry // the last entry that was
	between      int               // how many kills came after a commit and before its acknowledgement
}

// However often and whenever the process is killed, nothing that it acknowledged is lost or changed, what it did not
// acknowledge can be sent again, and the record is one history.
func TestKilled(t *testing.T) {
	const kills = 200
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crash{t: t, path: filepath.Join(t.TempDir(), "teishi.db"), random: rand.New(rand.NewPCG(seed, 0))}
	began := time.Now()
	for i := range kills {
		c.kill()
		c.check((i+1)%50 == 0)
		if t.Failed() {
			t.Fatalf("after %d kills", i+1)
		}
	}
	t.Logf("%d kills, %d of them between a commit and its acknowledgement; %d acknowledged writes, %d entries, in %s",
		kills, c.between, len(c.acknowledged), c.verified.Revision, time.Since(began).Round(time.Millisecond))
}

// kill starts a victim and kills it at some moment: while it starts, or after some acknowledgements and a while.
func (c *crash) kill() {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), victimOf+"="+c.path, victimFrom+"="+strings.Trim(fmt.Sprint(c.next), "[]"))
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	before := len(c.acknowledged)
	for range c.random.IntN(40) {
		c.read(lines)
	}
	var killed sync.WaitGroup
	killed.Go(func() {
		spin(c.random.IntN(20_000))
		if err := cmd.Process.Kill(); err != nil {
			c.t.Errorf("kill: %v", err)
		}
	})
	for c.read(lines) { // what was printed is acknowledged, read or not
	}
	killed.Wait()
	if err := cmd.Wait(); complaint.Len() > 0 || err == nil {
		c.t.Fatalf("the victim ended itself after %d acknowledgements: %v\n%s", len(c.acknowledged)-before, err, &complaint)
	}
}

// read takes one acknowledgement, if there is another.
func (c *crash) read(lines *bufio.Scanner) bool {
	if !lines.Scan() {
		return false
	}
	var a acknowledgement
	if _, err := fmt.Sscan(lines.Text(), &a.writer, &a.request, &a.revision, &a.hash); err != nil {
		c.t.Errorf("the victim prints %q: %v", lines.Text(), err)
		return false
	}
	c.acknowledged = append(c.acknowledged, a)
	c.next[a.writer] = a.request + 1
	return true
}

// spin passes some time that nothing else depends on.
func spin(n int) {
	var sum [sha256.Size]byte
	for range n {
		sum = sha256.Sum256(sum[:])
	}
}

// check opens the record as the next process would, compares what was acknowledged with it, and verifies the entries that
// are new, or all of them.
func (c *crash) check(whole bool) {
	log, err := sqlite.Open(c.t.Context(), sqlite.Config{Path: c.path})
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	for _, a := range c.acknowledged[c.checked:] {
		e, err := log.Request(c.t.Context(), "local", fmt.Sprint("w", a.writer, "-", a.request))
		if err != nil || e.Revision != a.revision || e.Hash.String() != a.hash {
			c.t.Errorf("request %d of writer %d was acknowledged as %d %s and is %d %s (%v)",
				a.request, a.writer, a.revision, a.hash, e.Revision, e.Hash, err)
		}
	}
	c.checked = len(c.acknowledged)
	c.follow(log)
	if int(c.verified.Revision) > 1+len(c.acknowledged) {
		c.between++
	}
	if !whole {
		return
	}
	v, err := policystore.Verify(c.t.Context(), log, sqlite.DefaultDomain, policystore.Evidence{}, nil)
	if err != nil || v.Problem != "" || v.Head != c.verified.Position() {
		c.t.Errorf("Verify = %+v, %v, want %s", v, err, c.verified.Position())
	}
}

// follow verifies the chain from where it was verified before.
func (c *crash) follow(log *sqlite.Log) {
	for {
		entries, err := log.Read(c.t.Context(), c.verified.Revision+1, 1000)
		if err != nil {
			c.t.Fatal(err)
		}
		if len(entries) == 0 {
			return
		}
		for _, e := range entries {
			if err := e.Follows(c.verified.Position(), c.verified.Time, sqlite.DefaultDomain); err != nil {
				c.t.Fatal(err)
			}
			c.verified = e
		}
	}
}
