package service_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

const (
	soakRounds   = 20
	soakWatchers = 500
	soakLeast    = 400 // bytes: what is open takes more than ten times as much of the server alone
)

// wire is a client whose connection can be cut beneath it.
type wire struct {
	*grpc.ClientConn
	mu   sync.Mutex
	conn net.Conn
}

// wired connects to a listener on the loopback.
func (h *house) wired(address string) *wire {
	h.t.Helper()
	w := &wire{}
	var err error
	w.ClientConn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.conn = c
			return c, err
		}))
	h.must(err)
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.Close()
}

// Watchers leave nothing behind, whether they cancel or their connection is cut: no goroutine, no descriptor, no memory.
func TestWatchersLeaveNothing(t *testing.T) {
	h := built(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.serve(listener)
	address := listener.Addr().String()
	h.conn = h.wired(address).ClientConn
	t.Cleanup(func() { h.must(h.conn.Close()) })
	h.call()
	h.settle()
	h.wave(address, codes.Canceled)
	h.wave(address, codes.Unavailable)
	last := held{goroutines: math.MaxInt}
	before := holdsOnce(func(now held) bool {
		less := now.goroutines < last.goroutines || now.descriptors < last.descriptors
		last = now
		return !less
	})
	for range soakRounds / 2 {
		h.wave(address, codes.Canceled)
		h.wave(address, codes.Unavailable)
	}
	after := holdsOnce(func(now held) bool {
		return now.goroutines <= before.goroutines && now.descriptors <= before.descriptors
	})
	if after.goroutines > before.goroutines+soakRounds/2 || after.descriptors > before.descriptors+soakRounds/2 ||
		after.heap > before.heap+soakRounds*soakWatchers*soakLeast {
		t.Errorf("after %d rounds of %d watchers %s are held, want the %s of before", soakRounds, soakWatchers, after, before)
	}
}

// wave has watchers begin, be told that LINE is suspended, and go: they cancel, or their connection is cut.
func (h *house) wave(address string, end codes.Code) {
	h.t.Helper()
	w := h.wired(address)
	defer w.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	req := text(h.t, &teishiv1.WatchDecisionsRequest{}, lineOfAll)
	var synced, told, ended sync.WaitGroup
	synced.Add(soakWatchers)
	told.Add(soakWatchers)
	for range soakWatchers {
		ended.Go(func() {
			if err := watchUntil(ctx, w, req, synced.Done, told.Done); status.Code(err) != end {
				h.t.Errorf("a watch ends with %v, want %v", err, end)
			}
		})
	}
	synced.Wait()
	id := fmt.Sprintf("halt-%d", h.head())
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { id: "`+id+`" authority: "jp"
		provisions { id: "all" force: FORCE_BINDING selector { organizations { in: "jp" } targets { in { app: "line" } } } } } reason: "halt"`)
	told.Wait()
	do(h, h.directives.WithdrawDirective, &teishiv1.WithdrawDirectiveRequest{}, `directive: "`+id+`" reason: "end"`)
	if end == codes.Canceled {
		cancel()
	} else {
		w.cut()
	}
	ended.Wait()
}

// watchUntil watches until the stream ends. It calls synced and told once each, at the latest then.
func watchUntil(ctx context.Context, w *wire, req *teishiv1.WatchDecisionsRequest, synced, told func()) error {
	synced, told = sync.OnceFunc(synced), sync.OnceFunc(told)
	defer synced()
	defer told()
	stream, err := teishiv1.NewDecisionServiceClient(w).WatchDecisions(ctx, req)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if m.GetSynced() != nil {
			synced()
		}
		for _, c := range m.GetChanges().GetChanges() {
			if c.Response.Outcome == denied {
				told()
			}
		}
	}
}

// held is what the process holds.
type held struct {
	goroutines, descriptors int
	heap                    uint64 // bytes
}

func (h held) String() string {
	return fmt.Sprintf("%d goroutines, %d descriptors and %d KiB", h.goroutines, h.descriptors, h.heap>>10)
}

// holdsOnce returns what is held without garbage, once that is so or after ten seconds.
func holdsOnce(so func(held) bool) held {
	looks := time.NewTicker(50 * time.Millisecond)
	defer looks.Stop()
	for began := time.Now(); !so(holds()) && time.Since(began) < 10*time.Second; {
		<-looks.C
	}
	runtime.GC()
	runtime.GC() // frees what the first has finalized
	return holds()
}

func holds() held {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, _ := os.ReadDir("/proc/self/fd") // nowhere but on Linux
	return held{runtime.NumGoroutine(), len(open), m.HeapAlloc}
}
