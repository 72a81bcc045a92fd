package policystore

import (
	"math"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore/failpoint"
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
	// Spent says that it is so old that nothing is permitted by it any longer.
	Spent bool
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

// moment is one reading of both clocks.
type moment struct {
	mono time.Time
	wall time.Time // without monotonic reading
}

func reading() moment {
	t := time.Now()
	return moment{mono: t, wall: failpoint.Shift(t).Round(0)}
}

// proof is an accepted head proof.
type proof struct {
	position Position
	issued   time.Time // by the authority's wall clock
	received time.Time // by our monotonic clock: when the request was sent that brought it
	head     *HeadProof
}

func proven(h *HeadProof, now time.Time) *proof {
	p := &proof{position: h.Position, issued: h.IssuedTime.Round(0), received: h.Received, head: h}
	if p.received.IsZero() {
		p.received = now
	}
	return p
}

// age returns the larger of the monotonic and the wall time that have passed since the proof.
func (p *proof) age(now moment) time.Duration {
	if p == nil {
		return Never
	}
	return max(0, now.mono.Sub(p.received), now.wall.Sub(p.issued))
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
	proof   *proof   // the newest of what is applied; nil until there is one
	former  *proof   // of before the start, from the local checkpoint: it tells an age, and makes nothing FRESH
	head    Position // the last heard of, by entry or proof
	payload int64    // bytes of payload applied since the replica began
	source  string   // the name of the origin that brought the last news
	frozen  error    // why no origin is believed, or nil
	sequel  *sequel  // what is served once another entry is applied, or when it froze
}

// sequel leads from the states at one position, which differ in what proves them, to the one that is served after them.
type sequel struct {
	there chan struct{} // closed when next is set
	next  *state
}

func newSequel() *sequel { return &sequel{there: make(chan struct{})} }

func (q *sequel) is(next *state) {
	q.next = next
	close(q.there)
}

// view returns what is served, which permits nothing any longer once it is older than spent.
func (s *state) view(now moment, spent time.Duration) View {
	v := View{Snapshot: s.snapshot, Position: s.position, Time: s.time, Freshness: Freshness{Source: s.source}}
	if s.proof != nil {
		v.Freshness.Age = s.proof.age(now)
		v.Freshness.State = freshness(v.Freshness.Age)
	} else {
		v.Freshness.Age = s.former.age(now)
	}
	if failpoint.Without("age") {
		v.Freshness.Age, v.Freshness.State = 0, Fresh
	}
	v.Freshness.Spent = v.Freshness.Age > spent
	return v
}

// reaches reports whether what is applied is at or after what is demanded.
func (s *state) reaches(d Demand) bool {
	if d.Epoch != 0 && d.Epoch != s.position.Epoch {
		return false
	}
	return s.position.Revision >= d.MinRevision
}
