package policystore

import (
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/teishi-dev/teishi/policy"
)

// The codec converts between the messages of teishi.v1 and the types of package policy, in files codec_*.go. Both sides
// of a conversion share strings, lists of strings and maps. Every ...FromProto is strict: a field, kind or enum number
// that this version does not know, at any depth, is a FormatError; so is a value that has no counterpart. Output-only
// fields of messages are ignored, but `withdrawn` and `adopted_from`, which are state: requests must be rid of them.

// known reports as an error the first field of m that this version does not know.
func known(m proto.Message) error {
	unknown := m.ProtoReflect().GetUnknown()
	if len(unknown) == 0 {
		return nil
	}
	number, _, _ := protowire.ConsumeTag(unknown)
	return &FormatError{Problem: fmt.Sprintf("field %d is not known", number), Unknown: true}
}

// unknownValue refuses a number of an enum.
func unknownValue[E ~int32](field string, value E) error {
	return &FormatError{Where: field, Problem: fmt.Sprintf("value %d is not known", value)}
}

// within says in which field an error was found.
func within(field string, err error) error {
	found, ok := err.(*FormatError)
	if !ok {
		return err
	}
	where := field
	if found.Where != "" {
		where += "." + found.Where
	}
	return &FormatError{Where: where, Problem: found.Problem, Unknown: found.Unknown}
}

// convert converts every message of a list.
func convert[M, T any](field string, messages []M, from func(M) (T, error)) ([]T, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	list := make([]T, len(messages))
	for i, m := range messages {
		var err error
		if list[i], err = from(m); err != nil {
			return nil, within(field+"["+strconv.Itoa(i)+"]", err)
		}
	}
	return list, nil
}

// messages makes a message of every item of a list.
func messages[T, M any](list []T, to func(*T) M) []M {
	if len(list) == 0 {
		return nil
	}
	ms := make([]M, len(list))
	for i := range list {
		ms[i] = to(&list[i])
	}
	return ms
}

// The first and the last second that a timestamp may have: years 1 to 9999.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

// InstantToProto returns the instant as a timestamp: unset, unless it is finite.
func InstantToProto(i policy.Instant) *timestamppb.Timestamp {
	if !i.Finite() {
		return nil
	}
	seconds, micros := int64(i)/1e6, int64(i)%1e6
	if micros < 0 {
		seconds, micros = seconds-1, micros+1e6
	}
	return &timestamppb.Timestamp{Seconds: seconds, Nanos: int32(micros) * 1000}
}

// InstantFromProto returns the timestamp as a stored instant, and unset if there is none. What is finer than a microsecond
// or outside the years 1 to 9999 is refused.
func InstantFromProto(t *timestamppb.Timestamp, unset policy.Instant) (policy.Instant, error) {
	if t == nil {
		return unset, nil
	}
	if err := known(t); err != nil {
		return 0, err
	}
	return instant(t.Seconds, int64(t.Nanos))
}

func instant(seconds, nanos int64) (policy.Instant, error) {
	switch {
	case seconds < minSeconds || seconds > maxSeconds:
		return 0, &FormatError{Problem: "must lie in the years 1 to 9999"}
	case nanos < 0 || nanos > 999_999_999:
		return 0, &FormatError{Problem: "nanos must be 0 to 999999999"}
	case nanos%1000 != 0:
		return 0, &FormatError{Problem: "must be in whole microseconds"}
	}
	return policy.Instant(seconds*1e6 + nanos/1000), nil
}

// windowFrom returns the window between two timestamps, open where they are unset.
func windowFrom(startField string, start *timestamppb.Timestamp, endField string, end *timestamppb.Timestamp) (w policy.Window, err error) {
	if w.Start, err = InstantFromProto(start, policy.Beginning); err != nil {
		return w, within(startField, err)
	}
	if w.End, err = InstantFromProto(end, policy.Forever); err != nil {
		return w, within(endField, err)
	}
	return w, nil
}

func durationTo(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

func durationFrom(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := known(d); err != nil {
		return 0, err
	}
	span := d.AsDuration()
	if back := durationpb.New(span); back.Seconds != d.Seconds || back.Nanos != d.Nanos {
		return 0, &FormatError{Problem: "must lie within 292 years, its parts of one sign"}
	}
	return span, nil
}
