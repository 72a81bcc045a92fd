package faults

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// results gathers what the run measured.
var results table

type table struct {
	mu     sync.Mutex
	trials []*trial
	proofs []provenBy
}

type provenBy struct {
	proof
	invariant, problem string
}

func (t *table) passed(r *trial) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trials = append(t.trials, r)
}

func (t *table) proven(invariant string, p proof, problem string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proofs = append(t.proofs, provenBy{p, invariant, problem})
}

// tell shows the ends of the logs of what ran.
func (r *trial) tell() {
	for _, s := range r.servers {
		log := s.Log()
		if len(log) > 4000 {
			log = "…" + log[len(log)-4000:]
		}
		r.Logf("%s (pid %d):\n%s", s.Name(), s.PID(), log)
	}
}

// write writes the table of what was measured.
func (t *table) write(file string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `# Faults

What was broken, and how long it took until everything was as it should be again. `+"`make faults`"+` writes this page.

Every row is a test in [faults](../faults): real processes of PostgreSQL, Redis and Teishi are broken under load, and a judge holds
everything that was seen from outside against the record. Times are measured and never asserted; they are the median and
the longest of %d rounds on %d processors, among up to four rows at a time. A replica asks again after 50 ms to 5 s, and a
preferred source is probed after 1 to 30 s, so times of seconds are waiting, not working.

| Row | Fault | Invariants | What was waited for | Median | Longest |
|---|---|---|---|---|---|
`, t.rounds(), runtime.NumCPU())
	for _, r := range rows {
		t.row(&b, &r)
	}
	b.WriteString(`
## That the tests can fail

With one guard taken away from the program, by a build with the tag ` + "`faults`" + `, the row fails:

| Invariant | Without | Row | Fails by |
|---|---|---|---|
`)
	slices.SortFunc(t.proofs, func(a, b provenBy) int { return strings.Compare(a.invariant, b.invariant) })
	for _, p := range t.proofs {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.invariant, p.guard, p.row, escape(p.problem))
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

func (t *table) rounds() int {
	most := 0
	for _, r := range rows {
		n := 0
		for _, tr := range t.trials {
			if tr.row.number == r.number {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// row writes what was measured in all rounds of a row.
func (t *table) row(b *bytes.Buffer, r *row) {
	var order []string
	by := make(map[string][]measured)
	for _, tr := range t.trials {
		if tr.row.number != r.number {
			continue
		}
		for _, m := range tr.took {
			if by[m.what] == nil {
				order = append(order, m.what)
			}
			by[m.what] = append(by[m.what], m)
		}
	}
	number, fault, holds := r.number, r.fault, r.holds
	for _, what := range order {
		all := slices.SortedFunc(slices.Values(by[what]), func(a, b measured) int { return cmp.Compare(a.amount, b.amount) })
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", number, escape(fault), holds, escape(what), all[len(all)/2], all[len(all)-1])
		number, fault, holds = "", "", ""
	}
}

func escape(s string) string { return strings.NewReplacer("|", "\\|", "\n", " ").Replace(s) }
