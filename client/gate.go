package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Gate guards endpoints: what it lets through was answered ALLOWED, and every obligation honoured. [Guard] and
// [UnaryServerInterceptor] are gates where there are no obligations.
type Gate struct {
	Checker Checker // asks; required
	// Honour makes sure that the obligations are honoured by what is let through; an error says that one is not. Nil: nobody
	// does, so that an answer with obligations opens nothing.
	Honour func(context.Context, Query, []Obligation) error
	Logger *slog.Logger // gets a line for each that is refused for another reason than a denial; nil discards
}

// ErrUnguarded is returned in place of a query for what needs no decision, and is let through.
var ErrUnguarded = errors.New("this needs no decision")

// open returns nil if what is asked may be done, and what refuses it if not.
func (g *Gate) open(ctx context.Context, q Query) error {
	d, err := g.Checker.Check(ctx, q)
	if err != nil {
		return undecided(err)
	}
	if !d.Allowed() {
		return d.Err()
	}
	obligations := d.Obligations()
	if len(obligations) == 0 {
		return nil
	}
	if err := g.honour(ctx, q, obligations); err != nil {
		return &DeniedError{Decision: d, Unhonoured: err}
	}
	return nil
}

func (g *Gate) honour(ctx context.Context, q Query, obligations []Obligation) error {
	if g.Honour != nil {
		return g.Honour(ctx, q, obligations)
	}
	ids := make([]string, len(obligations))
	for i, o := range obligations {
		ids[i] = o.ID
	}
	return fmt.Errorf("nobody honours %s", strings.Join(ids, ", "))
}

// complain logs what is no denial.
func (g *Gate) complain(ctx context.Context, what string, err error) {
	if g.Logger != nil {
		g.Logger.WarnContext(ctx, "refused", slog.String("what", what), slog.Any("error", err))
	}
}

// What strangers are told of what is no denial.
const (
	unhonoured  = "this is permitted only with obligations that are not honoured here"
	undecidable = "whether this is permitted cannot be decided now"
)
