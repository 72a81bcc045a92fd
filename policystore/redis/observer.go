package redis

import "github.com/teishi-dev/teishi/policystore"

// Happening is something that publishing met, of a closed set.
type Happening string

// What publishing may meet.
const (
	Gap                 Happening = "gap"        // entries that were published are there no longer, and are published again
	Fork                Happening = "fork"       // what is there is not what the record has: an alarm
	Seed                Happening = "seed"       // the stream was made anew
	PublishedCheckpoint Happening = "checkpoint" // a checkpoint was published
)

// Observer is told what a Publisher does, from several goroutines. Functions that are nil are not called.
type Observer struct {
	Published func(entries int)              // so many were published, or found to be
	Lag       func(entries int64)            // of the record's entries so many are not published, as last known
	Trouble   func(sort policystore.Trouble) // an attempt failed
	Happened  func(Happening)
}

// whole returns the observer with every function.
func (o Observer) whole() Observer {
	if o.Published == nil {
		o.Published = func(int) {}
	}
	if o.Lag == nil {
		o.Lag = func(int64) {}
	}
	if o.Trouble == nil {
		o.Trouble = func(policystore.Trouble) {}
	}
	if o.Happened == nil {
		o.Happened = func(Happening) {}
	}
	return o
}
