package storetest

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
)

// ending ends as soon as it was seen not to have ended.
type ending struct {
	context.Context
	cancel context.CancelFunc
}

func (e ending) Err() error {
	err := e.Context.Err()
	e.cancel()
	return err
}

// An append that has begun is finished, whatever becomes of who asked for it.
func testAppendIsFinished(t *testing.T, open func() policystore.Log) {
	log, c := open(), &chain{t: t}
	e := c.next()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := log.Append(ending{ctx, cancel}, policystore.Position{}, e); err != nil {
		t.Errorf("Append = %v", err)
	}
	if ctx.Err() == nil {
		t.Error("its context did not end")
	}
	if p, err := log.Head(t.Context()); p != e.Position() || err != nil {
		t.Errorf("Head = %s, %v, want %s", p, err, e.Position())
	}
}

// A log that is closed says so to whoever follows it and to whoever asks, and may be closed again.
func testClosed(t *testing.T, open func() policystore.Log) {
	log := open()
	closer, ok := log.(io.Closer)
	if !ok {
		t.Fatalf("a %T cannot be closed", log)
	}
	ended := make(chan error)
	following := make(chan struct{})
	go func() {
		var last error
		for e, err := range log.Tail(context.Background(), policystore.Position{}) {
			if last = err; e.Head != nil {
				close(following)
			}
		}
		ended <- last
	}()
	<-following
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, policystore.ErrClosed) {
		t.Errorf("the tail ends with %v, want ErrClosed", err)
	}
	if _, err := log.Head(t.Context()); !errors.Is(err, policystore.ErrClosed) {
		t.Errorf("Head = %v, want ErrClosed", err)
	}
	for _, err := range log.Tail(t.Context(), policystore.Position{}) {
		if !errors.Is(err, policystore.ErrClosed) {
			t.Errorf("a tail that begins later ends with %v, want ErrClosed", err)
		}
	}
	if err := closer.Close(); err != nil {
		t.Errorf("Close again = %v", err)
	}
}
