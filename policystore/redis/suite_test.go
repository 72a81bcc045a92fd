//go:build linux

package redis_test

import (
	"context"
	"errors"
	"testing"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/sqlite"
	"github.com/teishi-dev/teishi/policystore/storetest"
)

// carried is a record whose entries are in Redis when they are appended, so that whoever follows Redis finds them.
type carried struct {
	*sqlite.Log
	h *house
}

func (c carried) Append(ctx context.Context, after policystore.Position, e policystore.Entry) (policystore.Entry, error) {
	e, err := c.Log.Append(ctx, after, e)
	if err == nil {
		c.h.at = e.Position()
		c.h.waitPublished()
	}
	return e, err
}

func TestSource(t *testing.T) {
	storetest.RunSource(t, func(t *testing.T) storetest.Followed {
		h := newHouse(t)
		h.publish(nil)
		h.wait("a head proof", func(ctx context.Context) error {
			if n, err := h.admin.XLen(ctx, hbKey).Result(); err != nil || n == 0 {
				return errors.Join(err, errors.New("there is none"))
			}
			return nil
		})
		return storetest.Followed{Log: carried{h.record, h}, Source: h.source(h.reader())}
	})
}
