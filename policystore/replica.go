package policystore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// An Origin is a source that a replica may follow, by the name that answers, log lines and metrics have for it.
type Origin struct {
	Name string
	// Setting is what whoever set it up calls it, for log lines about what is wrong with it; may be empty.
	Setting string
	Source  Source
	// Record says that it is the record itself, in this process: nobody else could sign its proofs.
	Record bool
}

// ReplicaConfig says what a Replica follows.
type ReplicaConfig struct {
	Origins []Origin // in order of preference; at least one
	Domain  string   // of the record
	// Trust is whose signatures of entries, checkpoints and proofs count. Nil: none are asked for.
	Trust *TrustedKeys
	// Local is the file in which the replica keeps what it has, for a start with nothing reachable. Empty: none.
	Local string
	// MaxClockSkew is how far the time of a head proof may be off the clock; 0 is 10 s.
	MaxClockSkew time.Duration
	// ServeStaleFor is for how long policy that nothing proves any longer may still permit anything; 0 is 24 h.
	ServeStaleFor time.Duration
	Metrics       *Metrics     // nil counts nothing
	Logger        *slog.Logger // nil discards
}

// Replica keeps the state of a record that it follows. It verifies everything it is given, whoever gives it, and serves the
// last state that was good; View may be called by any number of goroutines and never waits for Run unless it is
// demanded to.
type Replica struct {
	origins []Origin
	domain  string
	trust   *TrustedKeys
	local   string
	spent   time.Duration
	metrics *Metrics
	logger  *slog.Logger
	state   atomic.Pointer[state]
	fresh   chan struct{} // closed when what is applied was first proven
	turns   []turn        // of the origins; of Run alone

	mu       sync.Mutex // guards what follows, which is swapped in with the next event
	current  state      // its fold may lie behind what is served, while a later epoch is folded
	proofs   proofs
	recent   *recent      // nil unless an authority needs it
	doubted  func() error // says why the record is not to be believed; nil where there is no authority
	proven   bool         // fresh is closed
	followed followed

	hashed    hashed     // of the last state whose hash was computed
	assisting sync.Mutex // held by who asks another origin for a revision that is demanded
	absent    absence
}

const (
	defaultClockSkew     = 10 * time.Second
	defaultServeStaleFor = 24 * time.Hour
)

// NewReplica returns a replica that has nothing until Run follows its origins.
func NewReplica(c ReplicaConfig) *Replica {
	r := &Replica{
		origins: c.Origins,
		domain:  c.Domain,
		trust:   c.Trust,
		local:   c.Local,
		spent:   c.ServeStaleFor,
		metrics: c.Metrics,
		logger:  c.Logger,
		fresh:   make(chan struct{}),
		turns:   make([]turn, len(c.Origins)),
	}
	if r.spent == 0 {
		r.spent = defaultServeStaleFor
	}
	if r.metrics == nil {
		r.metrics = NewMetrics(nil)
	}
	if r.logger == nil {
		r.logger = slog.New(slog.DiscardHandler)
	}
	r.proofs.said = make(map[string]time.Time)
	r.proofs.skew = c.MaxClockSkew
	if r.proofs.skew == 0 {
		r.proofs.skew = defaultClockSkew
	}
	r.current = state{fold: born(c.Domain), sequel: newSequel(), source: r.origins[0].Name}
	r.state.Store(&state{sequel: r.current.sequel, source: r.current.source})
	return r
}

// A refusal is an entry or a checkpoint that the replica may not take, whatever the reason.
type refusal struct{ err error }

func (e *refusal) Error() string { return e.err.Error() }
func (e *refusal) Unwrap() error { return e.err }

// poisonous reports whether an error will be met again at the same place: whoever gave it is not believed any longer.
func poisonous(err error) bool {
	_, refused := errors.AsType[*refusal](err)
	return refused || errors.Is(err, ErrDiverged) || errors.Is(err, ErrBroken) || errors.Is(err, ErrFormat)
}

// apply verifies an entry and folds it in. One that was applied before is verified and skipped: several origins may
// deliver it.
func (r *Replica) apply(o *Origin, e *Entry) error {
	if err := r.signedEntry(o, e); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.current.position
	if at.Revision >= e.Revision && at.Epoch >= e.Epoch && at.Revision > 0 {
		if err := r.again(e); err != nil {
			return err
		}
		r.followed.delivers(o, e.Position(), time.Now())
		return nil
	}
	f, err := r.current.next(e)
	if err != nil {
		return err
	}
	r.followed.delivers(o, e.Position(), time.Now())
	r.take(f, o)
	r.current.payload += int64(len(e.Payload))
	r.proofs.applied(f.position)
	r.recent.add(e)
	r.publish(r.proofs.due(), reading())
	return nil
}

// again reports as an error that an entry is not the one that was applied at its place, as far as that is known.
func (r *Replica) again(e *Entry) error {
	known := r.proofs.at(e.Revision)
	switch {
	case known.Revision == e.Revision && known != e.Position():
		return fmt.Errorf("entry %s was %s when it was applied: %w", e.Position(), known, ErrDiverged)
	case e.Hash != e.Sum(r.domain):
		return fmt.Errorf("entry %d does not have the hash it states: %w", e.Revision, ErrBroken)
	}
	return nil
}

// take goes on from a fold that an origin has brought.
func (r *Replica) take(f fold, o *Origin) {
	r.current.fold = f
	r.current.head = later(r.current.head, f.position)
	r.current.source = o.Name
	r.current.frozen = nil
}

// prove takes a head proof for what it is worth, and reports whether it is news that the origin lives. One that answers a
// report is of no origin.
func (r *Replica) prove(o *Origin, h *HeadProof) (alive bool) {
	unsigned, doubtful := r.signedHead(o, h), r.doubtful(o)
	now := reading()
	r.mu.Lock()
	defer r.mu.Unlock()
	if doubtful {
		r.followed.proves(o, now.mono) // it lives, and that is all
		return true
	}
	if unsigned != nil {
		r.refuse(h, unsigned)
		return false
	}
	p, err := r.proofs.judge(h, r.domain, r.current.position, now)
	if err != nil && !errors.Is(err, errProofSeen) {
		r.refuse(h, err)
		r.publish(nil, now)
		return false
	}
	if err != nil && now.wall.Sub(h.IssuedTime.Round(0)) > maxSilence {
		return false // somebody repeats it
	}
	if err == nil {
		r.current.head = later(r.current.head, h.Position)
	}
	r.followed.owes(h.Position, now.mono)
	if o != nil {
		r.followed.proves(o, now.mono)
		r.current.source, r.current.frozen = o.Name, nil
	}
	r.publish(p, now)
	return true
}

// doubtful reports whether an origin is a record that is in doubt: a head that others must not believe proves nothing here
// either.
func (r *Replica) doubtful(o *Origin) bool {
	return o != nil && o.Record && r.doubted != nil && r.doubted() != nil
}

func (r *Replica) signedEntry(o *Origin, e *Entry) error {
	switch {
	case failpoint.Without("signatures"):
		return nil
	case o.Record:
		return r.trust.verifyRecorded(r.domain, e)
	}
	return r.trust.VerifyEntry(r.domain, e)
}

func (r *Replica) signedHead(o *Origin, h *HeadProof) error {
	if o != nil && o.Record || failpoint.Without("signatures") {
		return nil
	}
	return r.trust.verifyHead(h)
}

// refuse counts a proof that proves nothing, and says so, once a minute for each of the reasons that there are: between the
// proofs of one authority come those of others, which may well be good.
func (r *Replica) refuse(h *HeadProof, err error) {
	trouble := proofTrouble(err)
	r.metrics.proofsRefused.WithLabelValues(trouble).Inc()
	if said, ok := r.proofs.said[trouble]; ok && time.Since(said) < repeatedAfter {
		return
	}
	r.proofs.said[trouble] = time.Now()
	r.logger.Warn("a head proof proves nothing", slog.String("authority", h.Authority), slog.Any("error", err))
}

// publish swaps the state in, with a newer proof if there is one, and wakes whoever waits for another revision. What lies
// behind what is served already is not served.
func (r *Replica) publish(p *proof, now moment) {
	if p != nil && p.age(now) <= r.current.proof.age(now) {
		r.current.proof = p
	}
	before, next := r.state.Load(), r.current
	if next.position.Revision == 0 || later(before.position, next.position) != next.position && !failpoint.Without("monotone") {
		return // nothing is not policy
	}
	if before.position != next.position || (before.frozen == nil) != (next.frozen == nil) {
		r.current.sequel = newSequel()
		next.sequel = r.current.sequel
		defer before.sequel.is(&next)
	}
	r.state.Store(&next)
	if !r.proven && freshness(next.proof.age(now)) == Fresh {
		r.proven = true
		close(r.fresh)
	}
}

// freeze says that there is no origin left that could be believed. What is served stays, and grows old; the origins are
// tried again.
func (r *Replica) freeze(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	frozen := fmt.Errorf("%w at %s: %w", ErrFrozen, r.current.position, err)
	if r.current.frozen == nil {
		r.logger.Error("frozen: this may not be skipped", slog.Any("error", err), slog.Int64("revision", int64(r.current.position.Revision)))
	}
	r.current.frozen = frozen
	before := r.state.Load()
	next := *before
	next.frozen, next.sequel = frozen, newSequel()
	r.current.sequel = next.sequel
	r.state.Store(&next)
	before.sequel.is(&next)
}

func later(a, b Position) Position {
	if b.Epoch > a.Epoch || b.Epoch == a.Epoch && b.Revision > a.Revision {
		return b
	}
	return a
}
