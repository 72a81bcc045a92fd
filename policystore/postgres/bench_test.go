//go:build linux

package postgres_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/teishi-dev/teishi/policystore"
)

// BenchmarkAppend is an append of 1 KiB by one writer, until the server has it on its disk. A server whose files are in memory
// flushes them in no time.
func BenchmarkAppend(b *testing.B) {
	log := open(b, first(record(b)))
	payload := bytes.Repeat([]byte("x"), 1024)
	var at policystore.Position
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		e, err := log.Append(b.Context(), at, follower(at, fmt.Sprint("r", at.Revision), payload))
		if err != nil {
			b.Fatal(err)
		}
		took, at = append(took, time.Since(began)), e.Position()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
