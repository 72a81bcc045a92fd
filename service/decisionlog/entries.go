package decisionlog

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// Call is the call that decisions are told in.
type Call struct {
	Method    string // `teishi.v1.DecisionService/Check`
	Principal string // who asks
	ID        string // that the caller gave it; empty: none
}

// Question is what was decided. The requests are.
type Question interface {
	GetOrganization() string
	GetApp() string
	GetPurpose() string
	GetAttributes() map[string]string
}

// Entries are the decisions of one call, on their way into the log. They are made by Begin and end with Commit.
type Entries struct {
	log  *Log
	head []byte // of every line, after its number
	text []byte // the lines, each from after its number on
	ends []int  // where each line ends in text
}

// maxKept bounds the memory of Entries that is used again.
const maxKept = 64 << 10

var idle = sync.Pool{New: func() any { return &Entries{} }}

// Begin returns the entries of a call: as yet there are none.
func (l *Log) Begin(c Call) *Entries {
	e := idle.Get().(*Entries)
	e.log, e.text, e.ends = l, e.text[:0], e.ends[:0]
	b := appendTime(append(e.head[:0], `,"time":`...), time.Now())
	b = append(b, l.origin...)
	b = appendString(append(b, `,"method":`...), c.Method)
	b = appendString(append(b, `,"principal":`...), c.Principal)
	e.head = appendNamed(b, `,"call":`, c.ID)
	return e
}

// Add adds what was answered to a question. It keeps nothing of either.
func (e *Entries) Add(q Question, r *teishiv1.CheckResponse) {
	b := append(e.text, e.head...)
	b = e.log.appendQuestion(append(b, `,"query":`...), q)
	b = appendString(append(b, `,"outcome":`...), strings.TrimPrefix(r.Outcome.String(), "OUTCOME_"))
	b = appendString(append(b, `,"reason":`...), strings.TrimPrefix(r.Reason.String(), "REASON_"))
	b = appendGrounds(b, r)
	if r.Hypothetical {
		b = append(b, `,"hypothetical":true`...)
	}
	b = appendInt(append(b, `,"revision":`...), r.Revision)
	b = appendInt(append(b, `,"epoch":`...), r.Epoch)
	b = appendTime(append(b, `,"decision_time":`...), r.DecisionTime.AsTime())
	b = appendFreshness(append(b, `,"freshness":`...), r.Freshness)
	b = appendFloat(append(b, `,"share":`...), e.log.share(r.Outcome))
	e.text = append(b, '}')
	e.ends = append(e.ends, len(e.text))
}

// Commit puts the entries into the log, and where that blocks waits until they are written or ctx ends. Its error is an
// ErrNotLogged. The entries are not to be used after it.
func (e *Entries) Commit(ctx context.Context) error {
	l := e.log
	b, err := l.put(ctx, e)
	if cap(e.text) <= maxKept {
		idle.Put(e)
	}
	if err != nil || !l.block {
		return err
	}
	select {
	case <-b.written:
		return b.err
	case <-ctx.Done():
		return l.late(ctx)
	}
}

// share is of how many answers of an outcome a line stands for one.
func (l *Log) share(o teishiv1.Outcome) float64 {
	if o == teishiv1.Outcome_OUTCOME_ALLOWED {
		return l.allowed
	}
	return 1
}

// mask is written in place of a value that is not to be.
const mask = "masked"

func (l *Log) appendQuestion(b []byte, q Question) []byte {
	b = appendString(append(b, `{"organization":`...), q.GetOrganization())
	b = appendString(append(b, `,"app":`...), q.GetApp())
	b = appendNamed(b, `,"purpose":`, q.GetPurpose())
	attributes := q.GetAttributes()
	if len(attributes) == 0 {
		return append(b, '}')
	}
	names := make([]string, 0, 32)
	for name := range attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	b = append(b, `,"attributes":{`...)
	for i, name := range names {
		value := attributes[name]
		if slices.Contains(l.masked, name) {
			value = mask
		}
		b = append(appendString(comma(b, i), name), ':')
		b = appendString(b, value)
	}
	return append(b, `}}`...)
}

// appendGrounds appends what an answer rests on, and what it asks for, without a word of their texts.
func appendGrounds(b []byte, r *teishiv1.CheckResponse) []byte {
	for i, c := range r.Citations {
		if i == 0 {
			b = append(b, `,"directives":[`...)
		}
		b = appendString(append(comma(b, i), `{"directive":`...), c.Directive)
		b = appendString(append(b, `,"provision":`...), c.Provision)
		b = append(appendNamed(b, `,"release":`, c.Release), '}')
	}
	if len(r.Citations) > 0 {
		b = appendInt(append(b, `],"citations_total":`...), int64(r.CitationsTotal))
	}
	for i, o := range r.Obligations {
		if i == 0 {
			b = append(b, `,"obligations":[`...)
		}
		b = appendString(comma(b, i), o.Id)
	}
	if len(r.Obligations) > 0 {
		b = append(b, ']')
	}
	b = appendStrings(b, `,"permitted_purposes":`, r.PermittedPurposes)
	if r.Missing == nil {
		return b
	}
	b = append(b, `,"missing":{"purpose":`...)
	b = strconv.AppendBool(b, r.Missing.Purpose)
	return append(appendStrings(b, `,"attributes":`, r.Missing.Attributes), '}')
}

func appendFreshness(b []byte, f *teishiv1.Freshness) []byte {
	b = appendString(append(b, `{"state":`...), strings.TrimPrefix(f.GetState().String(), "STATE_"))
	if age := f.GetAge(); age != nil {
		b = appendSeconds(append(b, `,"age":`...), age)
	}
	return append(b, '}')
}

func appendSeconds(b []byte, d *durationpb.Duration) []byte {
	return appendFloat(b, float64(d.AsDuration().Microseconds())/1e6)
}
