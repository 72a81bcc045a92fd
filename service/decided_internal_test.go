package service

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// A line names who asked.
func TestLoggedOfWhom(t *testing.T) {
	reader, writer := io.Pipe()
	l := decisionlog.New(decisionlog.Config{Sink: decisionlog.Stream(writer), Replica: "replica-1"})
	ctx := withCaller(t.Context(), &Caller{Principal: "user:issuer#a"})
	asked := func(context.Context) (Caller, error) { return Caller{}, nil }
	telling := (&Server{decisions: l, identify: asked}).tells(teishiv1.DecisionService_Check_FullMethodName)
	telling.add(ctx, &teishiv1.Query{Organization: "mic", App: "line"}, &teishiv1.CheckResponse{Outcome: teishiv1.Outcome_OUTCOME_DENIED})
	if err := telling.logged(ctx); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil || !strings.Contains(line, `"principal":"user:issuer#a"`) {
		t.Errorf("the line is %s, %v", line, err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// An answer waits for its line a little less long than its caller, and never for long.
func TestLoggedWithin(t *testing.T) {
	for _, c := range []struct{ deadline, want time.Duration }{{0, loggedWithin}, {time.Minute, loggedWithin}, {time.Second, 900 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			reader, writer := io.Pipe() // which nobody reads
			l := decisionlog.New(decisionlog.Config{Sink: decisionlog.Stream(writer), Replica: "replica-1", Block: true})
			ctx := t.Context()
			if c.deadline > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, c.deadline)
				defer cancel()
			}
			telling := (&Server{decisions: l}).tells(teishiv1.DecisionService_Check_FullMethodName)
			telling.add(ctx, &teishiv1.Query{Organization: "mic", App: "line"}, &teishiv1.CheckResponse{Outcome: teishiv1.Outcome_OUTCOME_DENIED})
			began := time.Now()
			err := telling.logged(ctx)
			if waited := time.Since(began); !errors.Is(err, decisionlog.ErrNotLogged) || waited != c.want {
				t.Errorf("with %v, logged = %v after %v, want after %v", c.deadline, err, waited, c.want)
			}
			reader.Close()
			if err := l.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
