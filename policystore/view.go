package policystore

import (
	"math"
	"time"

	"github.com/teishi-dev/teishi/policy"
)

// View is the whole policy at one place in the log, and how fresh that is.
type View struct {
	*policy.Snapshot
	Position  Position
	Time      policy.Instant // of the entry at the position
	Freshness Freshness
}

// Freshness says how long ago the record was last known to hold nothing newer.
type Freshness struct {
	State  State
	Age    time.Duration // Never, until there was a proof
	Source string        // what is followed
}

// State says whether policy is within its bounds of age.
type State uint8

// The states of freshness.
const (
	Expired State = iota // older than ExpireAfter, or not known to be of any age
	Stale                // older than FreshFor
	Fresh
)

// String returns the state in capitals.
func (s State) String() string { return [...]string{"EXPIRED", "STALE", "FRESH"}[s] }

const (
	// FreshFor is the age up to which policy is FRESH.
	FreshFor = 5 * time.Second
	// ExpireAfter is the age past which policy is EXPIRED.
	ExpireAfter = 60 * time.Second
	// Never is the age of policy of which nothing was ever proven: longer than any.
	Never time.Duration = math.MaxInt64
)

// Demand is what an answer must be made from. The zero value demands nothing.
type Demand struct {
	MinRevision  policy.Revision // at or after it; waited for
	Epoch        int64           // of MinRevision; 0 for any. A lower one than the replica's is refused, a higher one waited for
	MaxStaleness time.Duration   // of an age no greater; 0 for any
}

// proof is an accepted head proof.
type proof struct {
	position Position
	issued   time.Time // by the authority's clock
	wall     int64     // the same, nanoseconds since 1970, whatever the monotonic clock says
	received time.Time // by ours
}

func proven(h *HeadProof, now time.Time) *proof {
	return &proof{position: h.Position, issued: h.IssuedTime, wall: h.IssuedTime.UnixNano(), received: now}
}

// age returns the larger of the monotonic and the wall time that have passed since the proof. If it was made in this
// process it is timed from then; one that came from elsewhere has no monotonic reading but that of its arrival.
func (p *proof) age(now time.Time) time.Duration {
	if p == nil {
		return Never
	}
	return max(0, now.Sub(p.issued), now.Sub(p.received), time.Duration(now.UnixNano()-p.wall))
}

func freshness(age time.Duration) State {
	switch {
	case age <= FreshFor:
		return Fresh
	case age <= ExpireAfter:
		return Stale
	}
	return Expired
}

// state is what a replica has: it is swapped whole and never changed.
type state struct {
	fold
	proof   *proof        // the newest of what is applied; nil until there is one
	head    Position      // the last heard of, by entry or proof
	payload int64         // bytes of payload applied since the replica began
	changed chan struct{} // closed when another entry is applied
}

func (s *state) view(source string, now time.Time) View {
	age := s.proof.age(now)
	return View{
		Snapshot:  s.snapshot,
		Position:  s.position,
		Time:      s.time,
		Freshness: Freshness{State: freshness(age), Age: age, Source: source},
	}
}

// reaches reports whether what is applied is at or after what is demanded.
func (s *state) reaches(d Demand) bool {
	if d.Epoch != 0 && d.Epoch != s.position.Epoch {
		return false
	}
	return s.position.Revision >= d.MinRevision
}
