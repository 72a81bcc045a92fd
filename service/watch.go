package service

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

const (
	defaultHeartbeat = 5 * time.Second
	leastHeartbeat   = time.Second
	mostHeartbeat    = time.Minute
	// A watch ends of itself after so long, and a part more, that its caller may go on elsewhere: before its connection does.
	watchFor    = 20 * time.Minute
	watchSpread = 5 * time.Minute
	// sendWithin is for how long a caller may leave a message unread.
	sendWithin = 30 * time.Second
	// mostReplayed is how many entries are told one by one to a watch that is behind; more of them are told as what they came to.
	mostReplayed = 256
	// clockBack is how far the clock may go back: until it has come so far again, answers are for the instant they were for.
	clockBack = 10 * time.Second
	// retrySpread is over what time those whose watch has ended are told to come back.
	retrySpread = 2 * time.Second
)

// Why a watch is ended by the server.
var (
	errLagged = errors.New("the stream was not read for too long")
	errAged   = errors.New("the stream has lasted long enough")
)

// An endedError is the end of a watch by the server, which whoever asks can go on from.
type endedError struct {
	cause error
	place *teishiv1.WatchPosition // nil if nothing was told yet
	retry time.Duration
}

func (e *endedError) Error() string { return e.cause.Error() + ": go on from the last position" }
func (e *endedError) Unwrap() error { return e.cause }

func (e *endedError) reason() teishiv1.ErrorReason {
	switch {
	case errors.Is(e.cause, errLagged):
		return teishiv1.ErrorReason_ERROR_REASON_LAGGED
	case errors.Is(e.cause, errAged):
		return teishiv1.ErrorReason_ERROR_REASON_STREAM_ENDED
	}
	return teishiv1.ErrorReason_ERROR_REASON_DRAINING
}

// A compactedError says that a place is no longer at hand, and what is.
type compactedError struct{ now policystore.Position }

func (e *compactedError) Error() string {
	return fmt.Sprintf("what was answered there is no longer known here: begin anew, at revision %d", e.now.Revision)
}

// watch tells one caller the answers to its questions, and each that changes.
//
// What it has told are the answers at one place: the policy of one revision, at one instant, in one mood. From there it goes on by
// steps: to a later instant, to the policy after an entry, to another mood; in each it answers again what the step may have
// changed, and tells what it did change.
type watch struct {
	*watchers
	subject  subject
	language string
	interval time.Duration
	broad    string        // the organization, where it asks about all apps of a kind that there are; else empty
	woken    chan struct{} // holds one when there is something to look at
	asked    []asked

	from int64          // guarded by watchers: the first that may have touched it and was not taken; 0: nothing has
	edge policy.Instant // guarded by watchers: the least of those of the questions

	at        *passed // the place
	time      policy.Instant
	mood      mood
	place     *teishiv1.WatchPosition // that was told last; nil before the first
	selectors uint64
	allowed   *allowed  // nil: everybody may watch everything
	beats     time.Time // when the next heartbeat is due
	ends      time.Time
}

// asked is one question and what was answered last.
type asked struct {
	query  policy.Query
	digest uint64
	edge   policy.Instant // the first instant at which the answer may change by time
}

// subject is what a watch is of.
type subject interface {
	// apps returns the apps that there is a question about by a policy, in order, if that depends on it, and whether it does.
	apps(v *policystore.View) (apps []string, depends bool)
	// question returns that about an app.
	question(app string) policy.Query
	// answer returns the answer to a question in full, a digest of what of it does not change all the time, and the first
	// later instant at which it may change.
	answer(v *policystore.View, i int, q policy.Query, t *terms) (m proto.Message, digest uint64, edge policy.Instant)
	// tell sends changes of one place, by the number of their questions, and the apps that are no longer asked about.
	tell(list []change, gone []string, place *teishiv1.WatchPosition) error
	// say sends anything else.
	say(e event) error
}

// change is an answer to be told.
type change struct {
	index   int
	message proto.Message
}

// event is what a watch says beside changes: exactly one of these.
type event struct {
	synced    *teishiv1.WatchSynced
	heartbeat *teishiv1.WatchHeartbeat
	restarted *teishiv1.WatchRestarted
	place     *teishiv1.WatchPosition
}

var digestSeed = maphash.MakeSeed()

// digest tells messages apart.
func digest(m proto.Message) uint64 {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return rand.Uint64() // as if it had changed; answers can always be marshalled
	}
	return maphash.Bytes(digestSeed, b)
}

// watchRequest is the request of a watch.
type watchRequest interface {
	proto.Message
	GetResume() *teishiv1.WatchPosition
	GetHeartbeatInterval() *durationpb.Duration
}

// newWatch returns the watch that is asked for, of a subject.
func (s *Server) newWatch(method string, req watchRequest, subject subject) (*watch, error) {
	w := &watch{watchers: s.watchers, subject: subject}
	var err error
	if w.interval, err = heartbeatOf(req.GetHeartbeatInterval()); err != nil {
		return nil, err
	}
	asked, err := questionDigest(method, req)
	if err != nil {
		return nil, err
	}
	w.selectors = max(1, binary.BigEndian.Uint64(asked[:])) // 0 is that of a place written by hand
	return w, placeable(req.GetResume(), w.selectors)
}

func heartbeatOf(m *durationpb.Duration) (time.Duration, error) {
	if m == nil {
		return defaultHeartbeat, nil
	}
	if d := m.AsDuration(); m.CheckValid() == nil && d >= leastHeartbeat && d <= mostHeartbeat {
		return d, nil
	}
	return 0, &policy.InvalidError{Field: "heartbeat_interval", Problem: fmt.Sprintf("not %s to %s", leastHeartbeat, mostHeartbeat)}
}

// placeable refuses a place that cannot be gone on from.
func placeable(p *teishiv1.WatchPosition, selectors uint64) error {
	switch {
	case p == nil:
		return nil
	case p.Revision <= 0:
		return &policy.InvalidError{Field: "resume.revision", Problem: "must be stated"}
	case p.Epoch < 0:
		return negative("resume.epoch")
	case p.Selectors != 0 && p.Selectors != selectors:
		return &policy.InvalidError{Field: "resume.selectors", Problem: "it is a place of other questions, or in other languages: begin anew"}
	}
	return nil
}

// mark notes that what was passed may have touched the watch. The caller holds the lock of the watchers.
func (w *watch) mark(number int64) {
	if w.from == 0 {
		w.from = number
	}
	w.wake()
}

func (w *watch) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// overdue reports whether an instant has passed at which an answer may change: the clock was set. The caller holds the lock of the
// watchers.
func (w *watch) overdue(now policy.Instant) bool { return now >= w.edge }

// run tells what there is to tell until ctx ends. It begins after a place, or without one anew.
func (w *watch) run(ctx context.Context, resume *teishiv1.WatchPosition) error {
	w.woken = make(chan struct{}, 1)
	w.beats, w.ends = time.Now().Add(w.interval), time.Now().Add(watchFor+rand.N(watchSpread))
	w.place = resume
	timer := time.NewTimer(0)
	defer timer.Stop()
	do := func() error { return w.begin(ctx, resume) }
	for {
		if left, err := w.apart(ctx, do); left || err != nil {
			return err
		}
		do = func() error { return w.look(ctx) }
		if !time.Now().Before(w.ends) {
			w.leave(w)
			return ended(errAged, w.place)
		}
		timer.Reset(w.rest())
		select {
		case <-w.woken:
		case <-timer.C:
		case <-ctx.Done():
			w.leave(w)
			return ended(context.Cause(ctx), w.place)
		}
	}
}

// apart does something on a stack that is given back, so that those who wait have small ones. Where ctx ends meanwhile, since the
// caller does not read or the server drains, it is left to itself, and the watch with it: what it sends ends with the stream.
func (w *watch) apart(ctx context.Context, do func() error) (left bool, err error) {
	place := w.place
	done := make(chan error, 1)
	w.hand(func() { done <- safely(do) })
	select {
	case err := <-done:
		if err != nil {
			w.leave(w)
			err = ended(err, w.place)
		}
		return false, err
	case <-ctx.Done():
		go func() {
			<-done
			w.leave(w)
		}()
		return true, ended(context.Cause(ctx), place)
	}
}

// ended returns what the caller is told of the end of a watch: where to go on from, and when, unless he ended it himself.
func ended(cause error, place *teishiv1.WatchPosition) error {
	if errors.Is(cause, errDraining) || errors.Is(cause, errLagged) || errors.Is(cause, errAged) {
		return &endedError{cause: cause, place: place, retry: rand.N(retrySpread)}
	}
	return cause
}

// patient is a stream to a caller who may leave a message unread for a while.
type patient[M any] struct {
	sender[M]
	lag *time.Timer
}

// patiently returns the stream, and the context of its watch, which ends when a message was left unread for too long.
func patiently[M any](ctx context.Context, stream sender[M]) (context.Context, patient[M]) {
	ctx, cancel := context.WithCancelCause(ctx)
	lag := time.AfterFunc(watchFor, func() { cancel(errLagged) })
	lag.Stop()
	return ctx, patient[M]{stream, lag}
}

// Send sends a message, on which the caller has some time.
func (p patient[M]) Send(m M) error {
	if !failpoint.Without("lagged") {
		p.lag.Reset(sendWithin)
		defer p.lag.Stop()
	}
	return p.sender.Send(m)
}

// rest returns for how long there is nothing to look at, unless it is woken.
func (w *watch) rest() time.Duration {
	d := min(time.Until(w.beats), time.Until(w.ends))
	if now := w.clock().now; w.edge.Finite() {
		d = min(d, time.Duration(min(max(w.edge-now, 0), policy.Instant(watchFor.Microseconds())))*time.Microsecond)
	}
	return d
}

// begin answers all questions anew, or only those whose answers are no longer what they were at the place; and says that it has.
func (w *watch) begin(ctx context.Context, resume *teishiv1.WatchPosition) error {
	why, err := w.settle(ctx, resume)
	if err != nil {
		return err
	}
	switch {
	case resume == nil:
		err = w.anew(ctx)
	case why != 0:
		return w.restart(ctx, why)
	default:
		err = w.look(ctx)
	}
	if err != nil {
		return err
	}
	return w.synced(ctx)
}

// settle finds the place, answers there what was answered there before, and enrolls. It returns why that cannot be gone on from,
// if so.
func (w *watch) settle(ctx context.Context, resume *teishiv1.WatchPosition) (why teishiv1.WatchRestarted_Reason, err error) {
	if err := enter(ctx, w.beginning); err != nil {
		return 0, err
	}
	defer func() { <-w.beginning }()
	failpoint.Hit(ctx, "watch-begin")
	within, cancel := inTime(ctx)
	defer cancel()
	epoch, revision := resume.GetEpoch(), policy.Revision(resume.GetRevision())
	v, err := w.replica.View(within, policystore.Demand{Epoch: epoch, MinRevision: revision})
	if err != nil {
		return 0, &placed{err, beneath("resume")}
	}
	if w.at, err = w.find(within, v.Position.Epoch, v.Position.Revision); err == nil && resume != nil {
		w.at, err = w.find(within, epoch, revision)
	}
	if err != nil {
		return 0, err
	}
	now := w.clock().now
	w.time, w.mood = now, mood{state: policystore.Fresh}
	if resume.GetTime() != nil {
		if w.time, err = queryInstant("resume.time", resume.Time); err != nil {
			return 0, err
		}
	}
	switch {
	case resume == nil:
	case resume.Uncertain:
		why = teishiv1.WatchRestarted_REASON_UNCERTAIN
	case w.time-now > policy.Instant(clockBack.Microseconds()):
		why = teishiv1.WatchRestarted_REASON_CLOCK_SET_BACK
	case failpoint.Without("baseline"):
	default:
		w.answer(w.at, nil, &policystore.Freshness{State: policystore.Fresh}, w.terms(w.time, moment{}))
	}
	w.enroll(w, w.at)
	return why, nil
}

// restart says that what was told no longer counts, and tells all of it again.
func (w *watch) restart(ctx context.Context, why teishiv1.WatchRestarted_Reason) error {
	if err := w.subject.say(event{restarted: &teishiv1.WatchRestarted{Reason: why}}); err != nil {
		return err
	}
	w.place = nil
	for i := range w.asked {
		w.asked[i].digest = 0
	}
	if err := w.anew(ctx); err != nil {
		return err
	}
	return w.synced(ctx)
}

// anew tells all answers, as they are now.
func (w *watch) anew(ctx context.Context) error {
	_, now, _ := w.take(w)
	m := w.clock()
	f, err := w.freshness(ctx, m)
	if err != nil {
		return err
	}
	return w.step(now, nil, f, w.terms(m.now, m))
}

// look goes on to what is served now, and tells what changes on the way.
func (w *watch) look(ctx context.Context) error {
	states, now, lost := w.take(w)
	m := w.clock() // after: what is in force by an entry is so from an instant before it could be taken
	if w.time-m.now > policy.Instant(clockBack.Microseconds()) {
		return w.restart(ctx, teishiv1.WatchRestarted_REASON_CLOCK_SET_BACK)
	}
	if slices.ContainsFunc(states, func(p *passed) bool { return p.jumped }) {
		return w.restart(ctx, teishiv1.WatchRestarted_REASON_COMPACTED)
	}
	before, told := w.mood, w.place
	f, err := w.freshness(ctx, m)
	if err != nil {
		return err
	}
	t := w.terms(max(m.now, w.time), m)
	if lost || w.mood.changes(before) || len(states) > mostReplayed {
		err = w.step(now, nil, f, t)
	} else {
		err = w.steps(ctx, states, f, t)
	}
	if err != nil {
		return err
	}
	w.at, w.time = now, t.at
	if w.place == told && (w.mood.state != before.state || !time.Now().Before(w.beats)) {
		return w.beat(f)
	}
	return nil
}

// steps goes on to an instant, and then from entry to entry.
func (w *watch) steps(ctx context.Context, states []*passed, f *policystore.Freshness, t *terms) error {
	if due := w.numbers(func(a *asked) bool { return a.edge <= t.at }); len(due) > 0 {
		if err := w.step(w.at, due, f, t); err != nil {
			return err
		}
	}
	for _, s := range states {
		if err := w.allowed.then(ctx, &s.view); err != nil {
			return err
		}
		touched := w.numbers(func(a *asked) bool { return s.whole || s.touched.Query(a.query.Organization, a.query.App) })
		if _, others := w.others(&s.view); len(touched) == 0 && !others {
			continue
		}
		if err := w.step(s, touched, f, t); err != nil {
			return err
		}
	}
	return nil
}

// numbers returns those of the questions that it holds for; never nil.
func (w *watch) numbers(holds func(*asked) bool) []int {
	numbers := []int{}
	for i := range w.asked {
		if holds(&w.asked[i]) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// step goes on to a place: it answers the questions of those numbers, or all if that is nil, and tells those whose answers are not
// what they were.
func (w *watch) step(to *passed, numbers []int, f *policystore.Freshness, t *terms) error {
	list, gone := w.answer(to, numbers, f, t)
	if len(list)+len(gone) == 0 {
		return nil
	}
	place := w.here()
	if err := w.subject.tell(list, gone, place); err != nil {
		return err
	}
	w.told(place)
	w.beats = w.beats.Add(-rand.N(w.interval / 4).Truncate(time.Millisecond)) // many are told the same change at once: their heartbeats are not to be one burst
	return nil
}

// others returns the apps that there is a question about by a policy, and whether they are others than there were.
func (w *watch) others(v *policystore.View) (apps []string, others bool) {
	apps, depends := w.subject.apps(v)
	same := func(app string, a asked) bool { return app == a.query.App }
	return apps, depends && !slices.EqualFunc(apps, w.asked, same)
}

// renew takes up questions about other apps, each with what was answered before, and returns the apps that are no longer asked about.
func (w *watch) renew(apps []string) (gone []string) {
	before := make(map[string]uint64, len(w.asked))
	for i := range w.asked {
		before[w.asked[i].query.App] = w.asked[i].digest
	}
	w.asked = make([]asked, len(apps))
	for i, app := range apps {
		w.asked[i] = asked{query: w.subject.question(app), digest: before[app]}
		delete(before, app)
	}
	return slices.Sorted(maps.Keys(before))
}

// answer answers questions at a place, and returns the answers that are not what they were, and the apps that are no longer asked
// about there.
func (w *watch) answer(to *passed, numbers []int, f *policystore.Freshness, t *terms) (list []change, gone []string) {
	v := to.view
	v.Freshness = *f
	if next, others := w.others(&v); others {
		gone, numbers = w.renew(next), nil
	}
	one := func(i int) {
		a := &w.asked[i]
		before := a.digest
		var m proto.Message
		if m, a.digest, a.edge = w.subject.answer(&v, i, a.query, t); a.digest != before {
			list = append(list, change{i, m})
		}
	}
	if numbers == nil {
		for i := range w.asked {
			one(i)
		}
	}
	for _, i := range numbers {
		one(i)
	}
	w.at, w.time = to, t.at
	edge := policy.Forever
	for i := range w.asked {
		edge = min(edge, w.asked[i].edge)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edge = edge
	return list, gone
}

// freshness returns how fresh policy is, and notes the mood. It refuses to go on where policy no longer allows that.
func (w *watch) freshness(ctx context.Context, m moment) (*policystore.Freshness, error) {
	v, err := w.replica.View(ctx, policystore.Demand{})
	if err == nil {
		err = w.allowed.by(&v)
	}
	w.mood = moodOf(&v.Freshness, m)
	return &v.Freshness, err
}

func (w *watch) terms(at policy.Instant, m moment) *terms {
	return &terms{at: at, instead: m.instead, asOfTime: policy.Beginning, language: w.language}
}

// here returns the place.
func (w *watch) here() *teishiv1.WatchPosition {
	p := w.at.view.Position
	return &teishiv1.WatchPosition{
		Epoch:     p.Epoch,
		Revision:  int64(p.Revision),
		Time:      timestamp(&timestamppb.Timestamp{}, w.time),
		Uncertain: w.mood.uncertain(),
		Selectors: w.selectors,
	}
}

// told notes that everything up to a place was told.
func (w *watch) told(place *teishiv1.WatchPosition) {
	w.place, w.beats = place, time.Now().Add(w.interval)
}

// beat says that the watch lives.
func (w *watch) beat(f *policystore.Freshness) error {
	return w.state(event{heartbeat: &teishiv1.WatchHeartbeat{Freshness: freshnessMessage(f)}})
}

// synced says that everything was answered.
func (w *watch) synced(ctx context.Context) error {
	f, err := w.freshness(ctx, w.clock())
	if err != nil {
		return err
	}
	return w.state(event{synced: &teishiv1.WatchSynced{Freshness: freshnessMessage(f)}})
}

// state says something of the place.
func (w *watch) state(e event) error {
	e.place = w.here()
	if err := w.subject.say(e); err != nil {
		return err
	}
	w.told(e.place)
	return nil
}

func freshnessMessage(f *policystore.Freshness) *teishiv1.Freshness {
	var a answer
	a.fresh(f)
	return &a.freshness
}
