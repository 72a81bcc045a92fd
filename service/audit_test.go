package service_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/service"
)

// heldLog is a log whose first reader waits.
type heldLog struct {
	*sqlite.Log
	once  sync.Once
	begun chan struct{}
	goOn  chan struct{}
}

func (l *heldLog) Read(ctx context.Context, from policy.Revision, n int) ([]policystore.Entry, error) {
	l.once.Do(func() {
		close(l.begun)
		<-l.goOn
	})
	return l.Log.Read(ctx, from, n)
}

// TestVerifyLogIsOneAtATime asks for a second verification while one is under way, and for a third after it.
func TestVerifyLogIsOneAtATime(t *testing.T) {
	held := &heldLog{begun: make(chan struct{}), goOn: make(chan struct{})}
	h := open(t, func(c *service.Config) { held.Log, c.Record.Log = c.Record.Log.(*sqlite.Log), held })
	verify := func() error {
		_, err := h.audit.VerifyLog(t.Context(), &teishiv1.VerifyLogRequest{})
		return err
	}
	var first sync.WaitGroup
	first.Go(func() { h.must(verify()) })
	<-held.begun
	err := verify()
	problem{codes.ResourceExhausted, "LIMIT_EXCEEDED", ""}.check(t, "VerifyLog beside another", err)
	if after := detail[*errdetails.RetryInfo](err).GetRetryDelay().AsDuration(); after != 10*time.Second {
		t.Errorf("to be retried after %v, want 10 s", after)
	}
	close(held.goOn)
	first.Wait()
	h.must(verify())
}
