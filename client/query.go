package client

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// Query is a question: may the organization use the app for the purpose, in these circumstances, now?
type Query struct {
	Organization string // id or alias; required
	App          string // id or identifier (`ios:jp.naver.line`, `domain:line.me`); required
	Purpose      string // id; empty asks for every registered purpose
	// Attributes are the circumstances, each with its value. One that is left out is unknown, which is never laxer than any
	// value it could have.
	Attributes map[string]string
	Language   string // of texts (BCP 47); where there is none in it, English

	MinRevision  int64         // answer at this revision or a later one: that of a write, to see what was written; 0 is any
	Epoch        int64         // of MinRevision; 0 is any
	MaxStaleness time.Duration // of the policy answered from; 0 is any

	// IfUndecided is what to do where there is no answer.
	IfUndecided Fallback
}

// Fallback is what to do where there is no answer.
type Fallback uint8

const (
	// Refuse does not allow what could not be decided.
	Refuse Fallback = iota
	// Allow allows what could not be decided for now: the answer is Allowed and Overridden, and counted. What can never be
	// decided, since the question is wrong or not permitted, is refused all the same.
	Allow
)

// What a question may measure, in characters, and in bytes altogether.
const (
	maxOrganization = 128
	maxApp          = 255
	maxPurpose      = 255
	maxAttributes   = 32
	maxQuestion     = 64 << 10
)

// demanding reports whether not every answer to the question will do.
func (q *Query) demanding() bool { return q.MinRevision != 0 || q.Epoch != 0 || q.MaxStaleness != 0 }

// request returns the question as it is sent.
func (q *Query) request() *teishiv1.CheckRequest {
	r := &teishiv1.CheckRequest{
		Organization: q.Organization,
		App:          q.App,
		Purpose:      q.Purpose,
		Attributes:   q.Attributes,
		Language:     q.Language,
		MinRevision:  q.MinRevision,
		Epoch:        q.Epoch,
	}
	if q.MaxStaleness != 0 {
		r.MaxStaleness = durationpb.New(q.MaxStaleness)
	}
	return r
}

// key returns what tells questions apart whose answers are kept.
func (q *Query) key() string {
	var b strings.Builder
	part := func(s string) {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	for _, s := range [...]string{q.Organization, q.App, q.Purpose, q.Language} {
		part(s)
	}
	for _, name := range slices.Sorted(maps.Keys(q.Attributes)) {
		part(name)
		part(q.Attributes[name])
	}
	return b.String()
}

// text refuses what is no text, which gRPC cannot send.
func (q *Query) text() error {
	switch {
	case !utf8.ValidString(q.Organization):
		return notText("organization")
	case !utf8.ValidString(q.App):
		return notText("app")
	case !utf8.ValidString(q.Purpose):
		return notText("purpose")
	case !utf8.ValidString(q.Language):
		return notText("language")
	}
	for name, value := range q.Attributes {
		if !utf8.ValidString(name) || !utf8.ValidString(value) {
			return notText("attributes")
		}
	}
	return nil
}

func notText(field string) error { return &policy.InvalidError{Field: field, Problem: "not UTF-8"} }

// size returns how many bytes the question has.
func (q *Query) size() int {
	size := len(q.Organization) + len(q.App) + len(q.Purpose) + len(q.Language)
	for name, value := range q.Attributes {
		size += len(name) + len(value)
	}
	return size
}

// A sizeError says that a question is too large, whatever it asks.
type sizeError struct{ size int }

func (e *sizeError) Error() string {
	return fmt.Sprintf("a question of %d bytes: at most %d", e.size, maxQuestion)
}

// local checks the question as a server does, and returns it as the engine takes it.
func (q *Query) local() (policy.Query, error) {
	asked := policy.Query{Organization: q.Organization, App: ascii(q.App), Purpose: q.Purpose, Attributes: q.Attributes}
	if err := q.text(); err != nil {
		return asked, err
	}
	if size := q.size(); size > maxQuestion {
		return asked, &sizeError{size}
	}
	if err := q.terms(); err != nil {
		return asked, err
	}
	return asked, q.names()
}

// terms checks what is demanded of the answer.
func (q *Query) terms() error {
	switch {
	case q.MinRevision < 0:
		return &policy.InvalidError{Field: "min_revision", Problem: "negative"}
	case q.Epoch < 0:
		return &policy.InvalidError{Field: "epoch", Problem: "negative"}
	case q.MaxStaleness < 0:
		return &policy.InvalidError{Field: "max_staleness", Problem: "negative"}
	}
	return nil
}

// names checks what is asked about. It need not exist: that is for the policy to answer.
func (q *Query) names() error {
	if err := named("organization", q.Organization, maxOrganization); err != nil {
		return err
	}
	if err := named("app", counted(q.App), maxApp); err != nil {
		return err
	}
	switch {
	case len(q.Purpose) > maxPurpose:
		return tooLong("purpose", maxPurpose)
	case len(q.Attributes) > maxAttributes:
		return &policy.InvalidError{Field: "attributes", Problem: fmt.Sprintf("more than %d", maxAttributes)}
	}
	return nil
}

func (q *Query) demand() policystore.Demand {
	return policystore.Demand{MinRevision: policy.Revision(q.MinRevision), Epoch: q.Epoch, MaxStaleness: q.MaxStaleness}
}

func named(field, name string, most int) error {
	switch {
	case name == "":
		return &policy.InvalidError{Field: field, Problem: "must be stated"}
	case len(name) > most && utf8.RuneCountInString(name) > most:
		return tooLong(field, most)
	}
	return nil
}

func tooLong(field string, most int) error {
	return &policy.InvalidError{Field: field, Problem: fmt.Sprintf("longer than %d characters", most)}
}

const domainScheme = "domain:"

// labels converts domains to A-labels as a server does.
var labels = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(false))

// ascii returns the app with a domain in A-labels. One that cannot be converted stays as it is: there is no such app.
func ascii(app string) string {
	if !beyondASCII(app) || !hasDomainScheme(app) {
		return app
	}
	converted, err := labels.ToASCII(app[len(domainScheme):])
	if err != nil {
		return app
	}
	return domainScheme + converted
}

// counted returns what of an app is counted: a domain loses its trailing dot first.
func counted(app string) string {
	if len(app) <= maxApp || !hasDomainScheme(app) {
		return app
	}
	for _, dot := range [...]string{".", "。", "．", "｡"} {
		if bare, cut := strings.CutSuffix(app, dot); cut {
			return bare
		}
	}
	return app
}

func hasDomainScheme(app string) bool {
	return len(app) > len(domainScheme) && strings.EqualFold(app[:len(domainScheme)], domainScheme)
}

func beyondASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
