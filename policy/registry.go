package policy

// Organization is a body whose use of apps is decided.
type Organization struct {
	ID      string            // slug
	Names   Text              // display names
	Kind    string            // free slug: ministry, municipality, …; empty is allowed
	Parent  string            // the body whose directives bind it; empty for a root
	Aliases []string          // scheme:value, one holder each: jis:131016, corporate-number:7000012050002
	Labels  map[string]string // slug to at most 256 characters; geography belongs here
	Retired bool              // decides as before, may not be named anew
}

// Vendor makes apps. A vendor means itself and every vendor below it at that instant.
type Vendor struct {
	ID        string
	Names     Text
	Parents   []VendorPeriod // no two overlap
	Countries []CountryPeriod
	Labels    map[string]string
	Retired   bool
}

// VendorPeriod says which vendor owned, and when.
type VendorPeriod struct {
	Vendor string
	Window Window
}

// CountryPeriod says of which country, ISO 3166-1 alpha-2 in upper case, and when.
type CountryPeriod struct {
	Country string
	Window  Window
}

// App is what may be suspended.
type App struct {
	ID          string
	Names       Text
	Ownerships  []VendorPeriod // no two overlap
	Tags        []string       // slugs: sns, generative-ai
	Identifiers []string       // scheme:value, one holder each: ios:jp.naver.line, domain:line.me
	OnStale     OnStale
	Labels      map[string]string
	Retired     bool
}

// OnStale says what an ALLOWED answer about an app becomes when policy has EXPIRED.
type OnStale uint8

const (
	// StaleServe keeps the answer, flagged. The default.
	StaleServe OnStale = iota
	// StaleDeny turns ALLOWED into DENIED for the reason STALE_POLICY.
	StaleDeny
)

// Purpose is what an app is used for. IDs are dotted, and every prefix of a registered purpose is a purpose.
type Purpose struct {
	ID      string
	Names   Text
	Retired bool
}

// Attribute is a circumstance of use with a closed vocabulary of values, which may be dotted.
type Attribute struct {
	ID      string
	Names   Text
	Values  []string
	Retired bool
}

// Limits of the vocabulary.
const (
	MaxPurposes      = 256 // registered at one time
	MaxAttributes    = 32  // registered at one time
	MaxValues        = 64  // of one attribute
	MaxKinds         = 64  // in use at one time
	MaxDepth         = 16  // of the organization and vendor forests, the root counted
	MaxCitations     = 32  // given with an answer; the total is counted
	MaxIDLength      = 255 // of a dotted id
	MaxSlugLength    = 63
	MaxAliasLength   = 128
	MaxIdentLength   = 255 // of an app identifier, scheme included
	MaxLabels        = 64
	MaxPeriods       = 64      // of one list: a vendor's parents or countries, an app's ownerships
	MaxAliases       = 64      // of one organization
	MaxTags          = 64      // of one app
	MaxIdentifiers   = 256     // of one app
	MaxProvisions    = 256     // of one directive; carve-outs are as many as an entry holds
	MaxConcerns      = 64      // of one directive
	MaxGrounds       = 64      // of one directive
	MaxSupersedes    = 64      // by one directive
	MaxLiftApprovals = 16      // of one directive
	MaxLabelLength   = 256     // characters
	MaxTextLength    = 8 << 10 // bytes
	MaxReasonLength  = 1 << 10 // bytes
)
