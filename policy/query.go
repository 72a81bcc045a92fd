package policy

// Query is what is asked: may the organization use the app for the purpose, in these circumstances, at this instant?
type Query struct {
	Organization string            // id or alias
	App          string            // id or identifier; a domain: identifier is in lower-case A-labels, without a trailing dot
	Purpose      string            // id; empty asks for every registered purpose
	Attributes   map[string]string // one value each; what is not given is unknown
	At           Instant
}

// Outcome is the answer. Its order is the order of strictness.
type Outcome uint8

// The outcomes, least strict first.
const (
	Allowed Outcome = iota + 1
	Indeterminate
	Denied
)

// String returns the outcome in capitals.
func (o Outcome) String() string {
	return [...]string{"UNSPECIFIED", "ALLOWED", "INDETERMINATE", "DENIED"}[o]
}

// Reason says why. The first that applies, in this order, is given.
type Reason uint8

// The reasons, in the order in which the first that applies is given.
const (
	UnknownOrganization Reason = iota + 1
	UnknownApp
	UnknownPurpose
	Suspended
	StalePolicy
	ClockUncertain
	DependsOnPurpose
	MissingAttribute
	Released
	UnregisteredApp
	NoDirective
)

var reasonNames = [...]string{"UNSPECIFIED", "UNKNOWN_ORGANIZATION", "UNKNOWN_APP", "UNKNOWN_PURPOSE", "SUSPENDED",
	"STALE_POLICY", "CLOCK_UNCERTAIN", "DEPENDS_ON_PURPOSE", "MISSING_ATTRIBUTE", "RELEASED", "UNREGISTERED_APP", "NO_DIRECTIVE"}

// String returns the reason in capitals.
func (r Reason) String() string { return reasonNames[r] }

// Truth is a value of three-valued logic.
type Truth uint8

// The truth values of Kleene's logic.
const (
	False Truth = iota
	Unknown
	True
)

// String returns the truth value in capitals.
func (t Truth) String() string { return [...]string{"FALSE", "UNKNOWN", "TRUE"}[t] }

// Citation is one ground of an answer. Release and Instrument are nil where there is none.
type Citation struct {
	Directive  *Directive
	Provision  *Provision
	Release    *Release
	Instrument *Directive
	Window     Window // of the release where there is one, else of the provision; clipped to what contains it
}

// Advice is an advisory provision that bites or might, or, if Met, one that Release releases.
type Advice struct {
	Directive *Directive
	Provision *Provision
	Release   *Release // nil unless Met
	Met       bool
}

// CarriedObligation is an obligation with the release that carries it.
type CarriedObligation struct {
	Obligation
	Directive, Release string
}

// Explanation is what Explain adds to an answer.
type Explanation struct {
	Considered []Considered // ordered like citations, at most MaxConsidered
	Upcoming   []Upcoming   // by time, at most MaxConsidered
}

// MaxConsidered bounds each list of an Explanation.
const MaxConsidered = 256

// Considered is a provision, or a release of one, that names the app at some instant, and the first facet that failed.
type Considered struct {
	Directive, Provision, Release string
	Truth                         Truth
	FailedFacet                   string // empty if Truth is True
}

// Upcoming is an instant at which the answer may change, and what brings it.
type Upcoming struct {
	Time                          Instant
	Directive, Provision, Release string
}
