package client

import (
	"strings"
	"time"
)

// Details are everything that an answer says: what it rests on, what it asks for, and how good it is. Lists are ordered by
// directive, provision and release.
type Details struct {
	Citations         []Citation    `json:"citations,omitempty"`       // on whose authority: the first 32
	CitationsTotal    int           `json:"citations_total,omitempty"` // how many there are
	Obligations       []Obligation  `json:"obligations,omitempty"`
	Advice            []Advice      `json:"advice,omitempty"`             // what non-binding provisions recommend
	Missing           Missing       `json:"missing,omitzero"`             // what to state, if INDETERMINATE
	PermittedPurposes []string      `json:"permitted_purposes,omitempty"` // what to keep to, if INDETERMINATE
	Alternatives      []Alternative `json:"alternatives,omitempty"`       // other channels to use
	Unrecognized      []string      `json:"unrecognized,omitempty"`       // what the question stated that is not registered

	Revision       int64     `json:"revision,omitempty"`        // of the policy
	Epoch          int64     `json:"epoch,omitempty"`           // of the revision
	DecisionTime   time.Time `json:"decision_time,omitzero"`    // the instant decided for
	ValidUntilTime time.Time `json:"valid_until_time,omitzero"` // when it may next change by time alone; zero: never
	CacheUntilTime time.Time `json:"cache_until_time,omitzero"` // until when it may be kept, by the clock of DecisionTime
	Freshness      Freshness `json:"freshness,omitzero"`        // of the policy
	Hypothetical   bool      `json:"hypothetical,omitempty"`    // nobody may act on it
}

// Citation is an instrument that an answer rests on.
type Citation struct {
	Directive     string    `json:"directive"`
	Provision     string    `json:"provision"`
	Release       string    `json:"release,omitempty"`    // that lifts the provision
	Instrument    string    `json:"instrument,omitempty"` // the directive that grants the release
	Authority     string    `json:"authority,omitempty"`  // whose power the directive uses
	Number        string    `json:"number,omitempty"`     // the official one
	Title         string    `json:"title,omitempty"`
	Message       string    `json:"message,omitempty"`
	EffectiveTime time.Time `json:"effective_time,omitzero"` // since when it holds; zero: ever
	EndTime       time.Time `json:"end_time,omitzero"`       // when it no longer does; zero: none is known
	Sources       []Source  `json:"sources,omitempty"`       // where to read it
}

// String names the citation.
func (c Citation) String() string {
	var b strings.Builder
	b.WriteString(c.Directive + "/" + c.Provision)
	if c.Release != "" {
		b.WriteString("/" + c.Release)
	}
	if c.Authority != "" {
		b.WriteString(" of " + c.Authority)
	}
	if c.Title != "" {
		b.WriteString(" (" + c.Title + ")")
	}
	return b.String()
}

// Source is where a directive can be read.
type Source struct {
	URI  string `json:"uri,omitempty"`
	Text string `json:"text,omitempty"`
}

// Obligation is what must be honoured, or the caller may not act.
type Obligation struct {
	ID        string `json:"id"`
	Text      string `json:"text,omitempty"`
	Directive string `json:"directive"`
	Release   string `json:"release"` // that carries it
}

// Advice is what a non-binding provision recommends.
type Advice struct {
	Directive    string        `json:"directive"`
	Provision    string        `json:"provision"`
	Message      string        `json:"message,omitempty"`
	Met          bool          `json:"met,omitempty"` // a release covers the question, with these obligations
	Obligations  []Obligation  `json:"obligations,omitempty"`
	Alternatives []Alternative `json:"alternatives,omitempty"`
}

// Alternative is another channel to use.
type Alternative struct {
	ID   string `json:"id"`
	Text string `json:"text,omitempty"`
	URI  string `json:"uri,omitempty"`
}

// Missing is what a question would have to state to be decided.
type Missing struct {
	Attributes []string `json:"attributes,omitempty"`
	Purpose    bool     `json:"purpose,omitempty"` // a narrower one
}

// Freshness says how old the policy may be.
type Freshness struct {
	State  string        `json:"state"` // FRESH, STALE or EXPIRED
	Age    time.Duration `json:"age"`   // since the record was known to hold nothing newer; policystore.Never if it was at no time
	Source string        `json:"source,omitempty"`
}
