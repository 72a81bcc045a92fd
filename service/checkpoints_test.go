package service_test

import (
	"context"
	"crypto/rand"
	"runtime"
	"testing"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
)

// heap returns what is in use once what can be let go is.
func heap() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// However many begin with a checkpoint and do not read on, it is in memory once, and not for longer than anybody has begun.
func TestCheckpointIsHeldOnce(t *testing.T) {
	const followers, size = 60, 8 << 20
	h := open(t)
	h.settle()
	view, err := h.replica.View(t.Context(), policystore.Demand{})
	h.must(err)
	stored, err := policystore.NewCheckpoint(domain, view)
	h.must(err)
	stored.Body = make([]byte, size)
	rand.Read(stored.Body)
	h.must(h.log.StoreCheckpoint(t.Context(), stored))
	stored.Body = nil
	before := heap()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range followers {
		stream, err := h.following.Tail(ctx, &teishiv1.TailRequest{Domain: domain, Checkpoint: true})
		h.must(err)
		first, err := stream.Recv()
		h.must(err)
		if n := first.GetCheckpoint().GetBodySize(); n != size {
			t.Fatalf("a checkpoint of %d bytes comes, want %d", n, size)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 4*size {
		t.Errorf("%d followers of a checkpoint of %d MiB take %d MiB", followers, size>>20, grown>>20)
	}
	cancel()
	for int64(heap())-int64(before) > size/2 { // or the watchdog ends the test
		runtime.Gosched()
	}
}
