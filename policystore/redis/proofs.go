package redis

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// keptProofs is about how many head proofs there are: who follows wants the next, not the last.
const keptProofs = 16

// publishProofs publishes each head proof as it comes, whatever becomes of entries. While that fails it is tried with each
// proof, which comes every second, and never with an old one.
func (p *Publisher) publishProofs(ctx context.Context) {
	way := path{Publisher: p, name: "head proofs"}
	var c *session
	drop := func() {
		if c != nil {
			c.close()
			c = nil
		}
	}
	defer drop()
	for {
		select {
		case <-p.inbox.proven:
		case <-ctx.Done():
			return
		}
		var err error
		if c == nil {
			c, err = p.open(ctx)
		}
		if err == nil {
			err = p.publishProof(ctx, c, p.inbox.take())
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			way.failed(err)
			drop()
		default:
			way.fine()
		}
	}
}

func (p *Publisher) publishProof(ctx context.Context, c *session, h *policystore.HeadProof) error {
	if h == nil {
		return nil
	}
	b, err := policystore.EncodeHead(h)
	if err != nil {
		return err
	}
	failpoint.Hit(ctx, "publish-proof")
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err = c.XAdd(ctx, &goredis.XAddArgs{
		Stream: p.keys.proofs(),
		MaxLen: keptProofs,
		Approx: true,
		Values: []any{proofField, b},
	}).Err()
	if err != nil {
		return fmt.Errorf("publish a head proof: %w", err)
	}
	return nil
}
