package redis

import (
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// Limit has the publisher keep and send less, so that a test need not make ten thousand entries.
func (p *Publisher) Limit(checkpointEntries, keep, backfill policy.Revision) {
	p.limits.checkpointEntries, p.limits.keep, p.limits.backfill = checkpointEntries, keep, backfill
}

// Hurry has the publisher look at Redis more often.
func (p *Publisher) Hurry() { p.limits.look = 100 * time.Millisecond }

// WaitForLoading has the publisher wait for a Redis that loads its data for so long at most.
func (p *Publisher) WaitForLoading(most time.Duration) { p.limits.loading = most }

// The scripts, and what tells a server that will do.
var (
	AppendScript     = appendLua
	SeedScript       = seedLua
	CheckpointScript = checkpointLua
)

// Publishable returns what keeps a server that says this of itself from being published to.
func Publishable(info string) error { return parseInfo(info).publishable() }

// SortOf returns the sort of an error.
var SortOf = sortOf
