//go:build linux

package cluster

import (
	"context"
	"fmt"
	"time"
)

// Watchdog bounds every wait for a condition. It is never what a test measures.
const Watchdog = time.Minute

// interval is how often a condition is looked at.
const interval = 10 * time.Millisecond

// Wait returns when the condition holds, which it says by returning nil. Until then the condition returns what it sees
// instead, such as "revision 5, want 7". The error of Wait tells what was waited for and what was seen last; it is returned
// when the watchdog barks or ctx ends.
func Wait(ctx context.Context, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Watchdog, fmt.Errorf("not within %v", Watchdog))
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	deadline, _ := ctx.Deadline()
	var seen error
	for {
		state := condition(ctx)
		if state == nil {
			return nil
		}
		if seen == nil || ctx.Err() == nil && time.Until(deadline) > interval { // an end of ctx tells nothing of the state
			seen = state
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; seen last: %w", what, context.Cause(ctx), seen)
		case <-tick.C:
		}
	}
}
