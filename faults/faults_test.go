package faults

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

// row is one row of the table of faults.
type row struct {
	number string // in docs/faults.md
	fault  string
	holds  string // the invariants that the row is about
	plan   plan
	run    func(h *house)
}

// rows are all of them. Every one begins with a house under load and must end with all of it FRESH.
var rows = slices.Concat(redisRows, deliveryRows, storeRows, clockRows, recordRows, watchRows, hostileRows, identityRows, trespassRows, auditRows)

// proof is a mutation proof: the row must fail by each of the invariants once the guard is gone.
type proof struct {
	invariants string
	guard      string
	row        string
}

var mutations = []proof{
	{"I1", "durable", "1"},
	{"I2 I3", "chain", "10b"},
	{"I4", "monotone", "11"},
	{"I5", "min-revision", "5b"},
	{"I6", "age", "5b"},
	{"I7", "expire", "34"},
	{"I8", "placed", "33b"},
	{"I8", "baseline", "22b"},
	{"I8", "meanwhile", "22b"},
	{"I9", "chain", "31a"},
	{"I9", "head", "31b"},
	{"I9", "signatures", "31b"},
	{"I11", "lagged", "19"},
	{"I11", "beginning", "21"},
	{"I12", "drain", "22a"},
	{"I11", "backoff", "1b"},
	{"I11", "message", "24"},
	{"I11", "headers", "24"},
	{"I11", "pings", "25"},
	{"I11", "handshake", "25"},
	{"I12", "silence", "7d"},
	{"I10", "client-chain", "26"},
	{"I10", "certificate-expiry", "26"},
	{"I10", "grants", "28"},
	{"I10", "scope", "28"},
	{"I10", "powers", "28"},
	{"I10", "signature", "27"},
	{"I10", "token-expiry", "27"},
	{"I10", "audience", "27"},
}

// whole is the cluster of the whole run: what takes long to make is made once.
var whole *cluster.Cluster

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	var err error
	if whole, err = cluster.New(cluster.Config{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer whole.Close()
	code := m.Run()
	if *write_ != "" && code == 0 {
		if err := results.write(*write_); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// TestFaults runs every row.
func TestFaults(t *testing.T) {
	for _, r := range rows {
		t.Run(strings.ReplaceAll(r.number+" "+r.fault, "/", " or "), func(t *testing.T) {
			t.Parallel()
			for i := range *rounds {
				s := *seed + uint64(i)
				problems := try(t, &r, s, "")
				for _, p := range problems {
					t.Error(p)
				}
				if len(problems) > 0 {
					t.Fatalf("row %s fails with seed %d", r.number, s)
				}
			}
		})
	}
}

// TestMutations runs rows with a guard taken away: each must fail, by the invariant that the guard keeps.
func TestMutations(t *testing.T) {
	if !*proofs {
		t.Skip("mutation proofs run with make faults")
	}
	for _, m := range mutations {
		t.Run(m.invariants+" without "+m.guard, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(rows, func(r row) bool { return r.number == m.row })
			if i < 0 {
				t.Fatalf("there is no row %s", m.row)
			}
			r := rows[i]
			r.plan.tagged = true
			problems := try(t, &r, *seed, m.guard)
			for _, invariant := range strings.Fields(m.invariants) {
				n := slices.IndexFunc(problems, func(p string) bool { return strings.HasPrefix(p, invariant+":") })
				if n < 0 {
					t.Errorf("row %s does not fail by %s without %q: %q", m.row, invariant, m.guard, problems)
					continue
				}
				results.proven(invariant, m, problems[n])
			}
		})
	}
}

// try runs a row in a cluster of its own and returns what is not as it must be.
func try(t *testing.T, r *row, seed uint64, without string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	name := "row-" + r.number
	if without != "" {
		name = "without-" + without
	}
	part, err := whole.Part(fmt.Sprintf("%s-%d", name, seed))
	if err != nil {
		t.Fatal(err)
	}
	tr := &trial{T: t, ctx: ctx, cluster: part, row: r, seed: seed, without: without}
	tr.perform()
	cancel()
	tr.leaving.Wait()
	if len(tr.problems) > 0 && without == "" {
		tr.tell()
	}
	if err := part.Close(); err != nil {
		t.Error(err)
	}
	if without == "" && len(tr.problems) == 0 {
		results.passed(tr)
	}
	return tr.problems
}

// perform runs the row, and judges what was seen, even where the row could not go on.
func (r *trial) perform() {
	var h *house
	over := r.attempt(func() {
		h = open(r, r.row.plan)
		defer h.hangUp()
		r.leaving.Go(h.load.running.Wait)
		r.row.run(h)
		h.end()
	})
	if over && h != nil {
		r.attempt(h.judge)
	}
}

// attempt does something, and reports whether it ended early because the rest made no sense.
func (r *trial) attempt(do func()) (over bool) {
	defer func() {
		if p := recover(); p != nil {
			if over = p == error(errTrialOver); !over {
				panic(p)
			}
		}
	}()
	do()
	return false
}

// shared is a PostgreSQL for the rows that do not break it.
var shared = struct {
	once sync.Once
	pg   *cluster.Postgres
	err  error
}{}

// pg returns a PostgreSQL: one of the row's own if it may be broken.
func (h *house) pg() *cluster.Postgres {
	h.Helper()
	if h.plan.breaksPostgres {
		pg, err := h.cluster.StartPostgres(h.ctx, cluster.PostgresConfig{})
		h.must(err)
		return pg
	}
	shared.once.Do(func() {
		shared.pg, shared.err = whole.StartPostgres(context.Background(), cluster.PostgresConfig{Settings: map[string]string{"max_connections": "400"}})
	})
	h.must(shared.err)
	return shared.pg
}

// binary returns the program, as it is or such that it can be broken.
func (h *house) binary(tagged bool) string {
	h.Helper()
	b := cluster.Build{}
	if tagged {
		b.Tags = []string{"faults"}
	}
	path, err := whole.Build(h.ctx, b)
	h.must(err)
	return path
}
