package policy

import "time"

// Selector is a set of (organization, app, purpose, attributes, instant). It is a set and not a program, so that every
// question about it can be decided. An empty facet is no restriction.
type Selector struct {
	Organizations OrganizationSelector
	Targets       TargetSelector
	Purposes      PurposeSelector
	Conditions    []Condition // all must hold
	Window        Window      // Always when the text names none
}

// OrganizationSelector selects organizations by subtree and by kind.
type OrganizationSelector struct {
	All   bool     // every organization; excludes In
	In    []string // subtrees in
	Out   []string // subtrees out; out wins
	Kinds []string // the organization or an ancestor is of one of these; they narrow, they do not name
}

// Names reports whether the selector names organizations: some subtrees, or all.
func (s OrganizationSelector) Names() bool { return s.All || len(s.In) > 0 }

// TargetSelector selects apps: any target in, unless any target out matches.
type TargetSelector struct {
	All bool // every app, registered or not; excludes In
	In  []Target
	Out []Target
}

// Names reports whether the selector names targets: some, or all.
func (s TargetSelector) Names() bool { return s.All || len(s.In) > 0 }

// Target names an app, a vendor, a tag, a country, or several of these; all it names must hold. It names at least one.
type Target struct{ App, Vendor, Tag, Country string }

// PurposeSelector selects purposes by subtree; out wins.
type PurposeSelector struct{ In, Out []string }

// Condition holds if the query's value of the attribute is one of Values or lies beneath one.
type Condition struct {
	Attribute string
	Values    []string
}

// Force says whether a provision binds.
type Force uint8

const (
	// Binding provisions decide.
	Binding Force = iota + 1
	// Advisory provisions are returned as advice and never change an outcome.
	Advisory
)

// LiftMode says what the last resolved concern does.
type LiftMode uint8

const (
	// LiftManual only marks the directive liftable. The default.
	LiftManual LiftMode = iota
	// LiftWhenConcernsResolved lifts the whole directive with the entry that resolves the last concern.
	LiftWhenConcernsResolved
)

// DeviceAction says what a device that knows no purpose does with an app that a directive restricts, but does not deny for
// every purpose. It never enters a decision.
type DeviceAction uint8

const (
	// DeviceAllow lets the app be used. The default.
	DeviceAllow DeviceAction = iota
	// DeviceBlock blocks it.
	DeviceBlock
)

// Approver says who grants exemptions.
type Approver uint8

const (
	// ApproverAuthority is the directive's own authority. The default.
	ApproverAuthority Approver = iota
	// ApproverSubject is the body that asks to be exempted.
	ApproverSubject
)

// Directive is the instrument: the authored text and what became of it.
type Directive struct {
	ID             string
	Number         string // official number
	Title          Text
	Authority      string // the organization whose power it uses
	IssuingOffice  string
	LegalBasis     string
	Rationale      string
	Sources        []Source
	Provisions     []Provision
	CarveOuts      []Release
	LiftMode       LiftMode
	DeviceAction   DeviceAction
	LiftApprovals  int    // how many distinct people approve what loosens it; it never enters a decision
	Window         Window // Start is always finite
	Supersedes     []string
	Concerns       []Concern
	ExemptionRules *ExemptionRules // nil: no exemptions
	Withdrawal     *Withdrawal     // nil unless withdrawn
	AdoptedFrom    *AdoptedFrom    // nil unless adopted
}

// Source is where the text can be read.
type Source struct{ URI, Text string }

// Provision is one rule of a directive.
type Provision struct {
	ID           string // slug, unique in the directive, kept by amendments
	Selector     Selector
	Force        Force
	Message      Text
	Alternatives []Alternative
}

// Alternative is another channel to use.
type Alternative struct{ ID, Text, URI string }

// Concern is why a suspension exists. Concerns never enter a decision.
type Concern struct{ ID, Text string }

// ExemptionRules is the closed list of grounds on which exemptions are granted, and what they must carry.
type ExemptionRules struct {
	Grounds         []Ground
	Approver        Approver
	LongestDuration time.Duration // 0: any
	Obligations     []Obligation  // carried by every release with a ground, read when deciding
	NotWhole        []string      // kinds of organization whose exemption must name both a purpose and a condition
}

// Ground is a reason for which an exemption may be granted.
type Ground struct{ ID, Text string }

// Obligation must be honoured by the caller, or it may not act.
type Obligation struct{ ID, Text string }

// Withdrawal makes a directive void: in force at no time, past or future.
type Withdrawal struct {
	Time   Instant
	Reason string
}

// AdoptedFrom names the directive, as of a revision, that an adopted one copied.
type AdoptedFrom struct {
	Directive string
	Revision  Revision
}

// ReleaseKind decides who may write a release and what it must carry. It never matters to a decision.
type ReleaseKind uint8

const (
	// CarveOut is part of the directive's text.
	CarveOut ReleaseKind = iota + 1
	// Lift is the authority resuming something.
	Lift
	// Exemption is granted on a ground of the directive's closed list.
	Exemption
)

// Release is a hole in the provisions it names.
type Release struct {
	ID            string // unique in the directive, carve-outs included
	Directive     string
	Kind          ReleaseKind
	Provisions    []string // none: all of the directive
	Selector      Selector
	Obligations   []Obligation
	Instrument    string  // the directive that says so, cited with it; may be empty
	EndTime       Instant // set by revocation, else Forever; may precede the start: then it never held
	Ground        string  // exemptions only
	Justification string  // exemptions only
	Approver      string  // exemptions only: who granted it, in words
	GrantedBy     string  // exemptions only: the principal that did; empty if it was not by the service
}

// Window returns the span in which the release holds if its directive does.
func (r *Release) Window() Window {
	return Window{r.Selector.Window.Start, min(r.Selector.Window.End, r.EndTime)}
}

// ConcernState is what became of one concern. A concern without one is open.
type ConcernState struct {
	Directive, Concern string
	Resolved           bool
	Evidence           string
	ResolvedBy         string
	Time               Instant // of the last change of state
}

// Statement is what the vendor or others answered to a directive.
type Statement struct {
	Directive, ID string
	Author        string
	Text          string
	Sources       []Source
	Time          Instant
}
