package redis

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// What is appended in one round trip.
const (
	batchEntries = 128
	batchBytes   = 1 << 20 // of encoded entries, but for the last
)

// publishEntries publishes the record's entries, in order, until ctx ends.
func (p *Publisher) publishEntries(ctx context.Context) {
	way := path{Publisher: p, name: "entries"}
	said := course{}
	for retry := minRetry; ctx.Err() == nil; retry = min(2*retry, maxRetry) {
		w := writer{Publisher: p, said: said, good: func() { way.fine(); retry = minRetry }}
		err := w.session(ctx)
		if ctx.Err() != nil {
			return
		}
		said = w.said
		p.loading.Store(sortOf(err) == policystore.Loading)
		way.failed(err)
		pause(ctx, retry)
	}
}

// writer publishes entries by one connection.
type writer struct {
	*Publisher
	c     *session
	at    policystore.Position // the last entry of the record that is published
	head  policystore.Position // of the record, when it was last looked at
	long  bool                 // the stream is far behind, and there is no checkpoint by which it would be less so
	said  course               // what was last said to be wrong
	retry time.Duration        // after what time it is tried again to make the stream anew
	good  func()               // is called when what is to be done is done
}

func (w *writer) session(ctx context.Context) (err error) {
	if w.c, err = w.open(ctx); err != nil {
		return err
	}
	defer w.c.close()
	for ctx.Err() == nil {
		if err := w.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// step looks at what Redis has and does what follows from it.
func (w *writer) step(ctx context.Context) error {
	look, course, err := w.judge(ctx)
	if err != nil {
		return err
	}
	w.tell(course)
	switch course.step {
	case goOn:
		w.retry = 0
		return w.publish(ctx)
	case makeAnew:
		if made, err := w.makeAnew(ctx, look, course.replace); err != nil || made {
			return err
		}
		w.retry = min(max(2*w.retry, minRetry), maxRetry)
		pause(ctx, w.retry)
		return nil
	}
	w.good()
	w.retry = 0
	if course.alarm != nil {
		pause(ctx, w.limits.look)
	} else {
		w.wait(ctx, time.Now().Add(w.limits.look))
	}
	return nil
}

// tell says what a look has shown, when it shows something else than the one before.
func (w *writer) tell(c course) {
	w.doubts.set(c.doubt)
	if c.alarm != nil && text(c.alarm) != text(w.said.alarm) {
		w.observe.Happened(Fork)
		w.logger.Error("Redis has what the record has not", slog.String("redis", w.address.String()), slog.Any("error", c.alarm))
	}
	if c.alarm == nil && w.said.alarm != nil {
		w.logger.Info("Redis has what the record has, and no more", slog.String("redis", w.address.String()))
	}
	w.said = c
}

// publish publishes what follows the place, until it is time to look again or something is not as it was.
func (w *writer) publish(ctx context.Context) error {
	look := time.Now().Add(w.limits.look)
	for ctx.Err() == nil {
		if all, err := w.drain(ctx); err != nil || !all {
			return err
		}
		w.good()
		if !w.wait(ctx, look) {
			return nil
		}
	}
	return nil
}

// wait reports whether something has arrived before the time.
func (w *writer) wait(ctx context.Context, until time.Time) bool {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-w.inbox.arrived:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// drain publishes all there is, and reports whether that is so: else something is not as it was.
func (w *writer) drain(ctx context.Context) (all bool, err error) {
	for ctx.Err() == nil {
		batch, err := w.next(ctx)
		if err != nil || len(batch) == 0 {
			return true, err
		}
		if batch[0].PreviousHash != w.at.Hash || batch[len(batch)-1].Epoch > w.head.Epoch {
			return false, nil // the record is another by now
		}
		if all, err := w.send(ctx, batch); err != nil || !all {
			pause(ctx, minRetry)
			return false, err
		}
	}
	return false, ctx.Err()
}

// next returns a batch of what follows the place: what is at hand, else what the record has; none if there is nothing.
func (w *writer) next(ctx context.Context) ([]sent, error) {
	entries := w.inbox.after(w.at)
	if len(entries) == 0 && max(w.inbox.heard(), w.head.Revision) > w.at.Revision {
		var err error
		if entries, err = w.read(ctx, w.at.Revision+1, batchEntries); err != nil {
			return nil, fmt.Errorf("read from entry %d: %w", w.at.Revision+1, err)
		}
	}
	var batch []sent
	size := 0
	for _, e := range entries[:min(len(entries), batchEntries)] {
		s, err := encoded(e)
		if err != nil {
			return nil, err
		}
		batch = append(batch, s)
		if size += len(s.encoded); size > batchBytes {
			break
		}
	}
	return batch, nil
}

// send appends a batch, and reports whether it is published, or the beginning of it.
func (w *writer) send(ctx context.Context, batch []sent) (bool, error) {
	failpoint.Hit(ctx, "before-publish")
	answers, err := w.append(ctx, w.c, w.head.Epoch, batch)
	for i, a := range answers {
		if a.word != answerOK && a.word != answerDup {
			w.odd(&batch[i], a)
			return false, nil
		}
		w.published(&batch[i])
	}
	return true, err
}

// published moves on to an entry that is published.
func (w *writer) published(e *sent) {
	w.good()
	w.at = e.Position()
	w.shown.top.Store(int64(w.at.Revision))
	w.shown.bytes.Add(int64(len(e.encoded)))
	w.observe.Published(1)
	w.lag(max(w.inbox.heard(), w.head.Revision))
}

// odd notes an answer that says that what Redis has is not what it had. What follows from it, the next look tells.
func (w *writer) odd(e *sent, a answer) {
	w.logger.Warn("Redis is not as it was", slog.String("answer", a.word), slog.String("detail", a.detail),
		slog.Int64("revision", int64(e.Revision)))
}
