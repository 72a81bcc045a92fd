package faults

import (
	"github.com/teishi-dev/teishi/policy"
)

// target is what a call is about.
type target struct {
	organization, directive, release, grant, proposal string
	serial                                            string // of what is new
	revision                                          string // of the past
}

// right says whether somebody may do something about a target.
type right func(c *claims, who string, t target) bool

// deed is one way to call a method, in text format: messages of a stream are separated by ---. In it $o is the organization, $d the
// directive, $a its authority, $r the release, $g the grant, $p the proposal, $n a new name and $v a former revision.
type deed struct {
	method, ask string
	right       right
}

// here is a role over the organization of the target.
func here(roles ...policy.Role) right {
	return func(c *claims, who string, t target) bool { return c.may(who, t.organization, roles...) }
}

// everywhere is a role over everything.
func everywhere(roles ...policy.Role) right {
	return func(c *claims, who string, _ target) bool { return c.may(who, "*", roles...) }
}

// somewhere is a role over whatever.
func somewhere(roles ...policy.Role) right {
	return func(c *claims, who string, _ target) bool { return c.has(who, roles...) }
}

// issuing is power over the directive of the target.
func issuing(c *claims, who string, t target) bool { return c.issues(who, t.directive) }

func sighted(c *claims, who string, t target) bool { return c.seesDirective(who, t.directive) }

func anybodyKnown(*claims, string, target) bool { return true }

// knowing is power over the directive, or that one may exempt from what one sees: that is told why it fails.
func knowing(c *claims, who string, t target) bool {
	return issuing(c, who, t) || c.has(who, policy.Exempter) && c.seesRelease(who, t.directive+"/"+t.release)
}

// exempting is power over the directive, or over the organization where that exempts itself.
func exempting(c *claims, who string, t target) bool {
	return c.issues(who, t.directive) || c.exempts(who, t.directive, &policy.OrganizationSelector{In: []string{t.organization}})
}

func granting(c *claims, who string, t target) bool {
	g := c.grants[t.grant]
	return g != nil && c.may(who, g.Organization)
}

// approving is nobody's: all grants are younger than the proposals.
func approving(*claims, string, target) bool { return false }

const (
	written   = ` reason: "r"`
	validated = ` reason: "r" validate_only: true`
	newText   = `provisions { id: "p" force: FORCE_ADVISORY selector { organizations { in: "$o" } targets { in { app: "marked" } } } message { key: "en" value: "<d:$n>" } }`
	hole      = `selector { organizations { in: "$o" } conditions { attribute: "act" values: "develop" } expire_time { seconds: 4000000000 } }`
)

// deeds are of every method. Those that would change who may do what are only validated: what is judged stays as it is meanwhile.
var deeds = []deed{
	{"DecisionService/Check", `organization: "$o" app: "marked" explain: true`, here(policy.Checker)},
	{"DecisionService/Check", `organization: "name:$o" app: "marked"`, here(policy.Checker)},
	{"DecisionService/Check", `organization: "$o" app: "marked" explain: true at { seconds: 1700000000 }`, here(policy.Auditor)},
	{"DecisionService/Check", `organization: "$o" app: "marked" explain: true as_of_revision: $v`, here(policy.Auditor)},
	{"DecisionService/BatchCheck", `queries { organization: "$o" app: "marked" } explain: true`, here(policy.Checker)},
	{"DecisionService/BatchCheck", `queries { organization: "$o" app: "marked" } as_of_revision: $v`, here(policy.Auditor)},
	{"DecisionService/StreamCheck", `check { organization: "$o" app: "marked" explain: true }`, here(policy.Checker)},
	{"DecisionService/ListDecisions", `organization: "$o" app: "*"`, here(policy.Checker)},
	{"DecisionService/ListDecisions", `organization: "*" app: "marked"`, somewhere(policy.Checker, policy.Auditor)},
	{"DecisionService/WatchDecisions", `selectors { organizations: "$o" apps: "marked" }`, here(policy.Checker)},
	{"RestrictionService/GetRestrictions", `organization: "$o" platform: "ios"`, here(policy.Checker)},
	{"RestrictionService/WatchRestrictions", `organization: "$o" platform: "ios"`, here(policy.Checker)},

	{"RegistryService/PutOrganization", `organization { id: "$n" parent: "$o" names { key: "en" value: "<o:$n>" } }` + written, here(policy.Registrar)},
	{"RegistryService/PutOrganization", `organization { id: "$n" parent: "$o" kind: "ministry" }` + validated, everywhere(policy.Registrar)},
	{"RegistryService/PutOrganization", `organization { id: "$n" parent: "$o" aliases: "name:$n" }` + validated, everywhere(policy.Registrar)},
	{"RegistryService/GetOrganization", `id: "$o"`, here(anyRole)},
	{"RegistryService/ListOrganizations", ``, somewhere(anyRole)},
	{"RegistryService/ListOrganizations", `under: "$o"`, here(anyRole)},
	{"RegistryService/DeleteOrganization", `id: "$o"` + validated, everywhere(policy.Registrar)},
	{"RegistryService/PutVendor", `vendor { id: "$n" }` + written, everywhere(policy.Registrar)},
	{"RegistryService/GetVendor", `id: "spare"`, somewhere(anyRole)},
	{"RegistryService/ListVendors", ``, somewhere(anyRole)},
	{"RegistryService/DeleteVendor", `id: "spare"` + validated, everywhere(policy.Registrar)},
	{"RegistryService/PutApp", `app { id: "$n" }` + written, everywhere(policy.Registrar)},
	{"RegistryService/GetApp", `id: "marked"`, somewhere(anyRole)},
	{"RegistryService/ListApps", ``, somewhere(anyRole)},
	{"RegistryService/DeleteApp", `id: "marked"` + validated, everywhere(policy.Registrar)},
	{"RegistryService/PutPurpose", `purpose { id: "service.$n" }` + validated, everywhere(policy.Registrar)},
	{"RegistryService/GetPurpose", `id: "service"`, somewhere(anyRole)},
	{"RegistryService/ListPurposes", ``, somewhere(anyRole)},
	{"RegistryService/DeletePurpose", `id: "service.payment"` + validated, everywhere(policy.Registrar)},
	{"RegistryService/PutAttribute", `attribute { id: "$n" values: "a" }` + validated, everywhere(policy.Registrar)},
	{"RegistryService/GetAttribute", `id: "act"`, somewhere(anyRole)},
	{"RegistryService/ListAttributes", ``, somewhere(anyRole)},
	{"RegistryService/DeleteAttribute", `id: "account"` + validated, everywhere(policy.Registrar)},
	{"RegistryService/Import", written + `---resource { organization { id: "$n" parent: "$o" names { key: "en" value: "<o:$n>" } } }---resource { organization { id: "$n-b" parent: "$n" } }`, here(policy.Registrar)},
	{"RegistryService/Import", written + `---resource { app { id: "$n" } }`, everywhere(policy.Registrar)},

	{"DirectiveService/IssueDirective", `directive { id: "$n" authority: "$o" ` + newText + ` }` + written, here(policy.Issuer)},
	{"DirectiveService/IssueDirective", `directive { id: "$n" authority: "$a" supersedes: "$d" ` + newText + ` }` + validated, issuing},
	{"DirectiveService/AmendDirective", `directive { id: "$d" authority: "$a" effective_time { seconds: 1600000000 } ` + newText + ` }` + validated, issuing},
	{"DirectiveService/WithdrawDirective", `directive: "$d"` + validated, issuing},
	{"DirectiveService/LiftDirective", `directive: "$d" release: "$n" obligations { id: "o" text: "<r:$d/$n>" } selector { organizations { in: "$o" } conditions { attribute: "act" values: "develop" } }` + written, issuing},
	{"DirectiveService/GrantExemption", `directive: "$d" release: "$n" ground: "g" justification: "<r:$d/$n>" ` + hole + written, exempting},
	{"DirectiveService/RevokeRelease", `directive: "$d" release: "$r"` + validated, issuing},
	{"DirectiveService/RevokeRelease", `directive: "$d" release: "$r" expect_revision: 1` + validated, knowing},
	{"DirectiveService/ResolveConcern", `directive: "$d" concern: "open" evidence: "<d:$d>"` + validated, issuing},
	{"DirectiveService/ReopenConcern", `directive: "$d" concern: "done"` + validated, issuing},
	{"DirectiveService/RecordStatement", `statement { directive: "$d" id: "$n" author: "a" text: "<d:$d>" }` + written, issuing},
	{"DirectiveService/AdoptDirective", `directive: "shared" id: "$n" authority: "$o"` + validated, here(policy.Issuer)},
	{"DirectiveService/GetDirective", `id: "$d"`, sighted},
	{"DirectiveService/ListDirectives", ``, somewhere(anyRole)},
	{"DirectiveService/ListDirectives", `authority: "$o"`, here(anyRole)},
	{"DirectiveService/ListReleases", `directive: "$d"`, sighted},

	{"AuditService/ListEntries", `page_size: 1000`, everywhere(policy.Auditor)},
	{"AuditService/GetEntry", `revision: $v`, everywhere(policy.Auditor)},
	{"AuditService/VerifyLog", ``, everywhere(policy.Auditor)},

	{"AccessService/WhoAmI", ``, anybodyKnown},
	{"AccessService/Grant", `grant { principal: "cn:new" role: ROLE_CHECKER organization: "$o" }` + validated, here()},
	{"AccessService/Grant", `grant { principal: "cn:new" role: ROLE_CHECKER organization: "*" }` + validated, everywhere()},
	{"AccessService/Revoke", `id: "$g"` + validated, granting},
	{"AccessService/Revoke", `id: "$g" expect_revision: 1` + validated, granting},
	{"AccessService/ListGrants", `page_size: 1000`, somewhere(policy.Auditor)},
	{"AccessService/ProposeChange", `change { withdraw_directive { directive: "$d" reason: "<p:$n>" } }` + validated, issuing},
	{"AccessService/ApproveChange", `id: "$p"` + validated, approving},
	{"AccessService/ListProposals", ``, somewhere(policy.Issuer, policy.Exempter, policy.Registrar, policy.Auditor)},

	{"LogService/Tail", `domain: "teishi"`, everywhere(policy.Follower)},
	{"LogService/Tail", `domain: "teishi" checkpoint: true`, everywhere(policy.Follower)},
	{"LogService/Report", `domain: "teishi" id: "r" goodbye: true`, everywhere(policy.Follower)},
	{"LogService/GetHead", ``, everywhere(policy.Follower)},

	{"FleetService/ListReplicas", ``, somewhere(policy.Auditor)},
	{"FleetService/WaitForRevision", `revision: 1 timeout { nanos: 1000000 }`, somewhere(policy.Auditor)},
	{"FleetService/ForgetReplica", `id: "gone"`, everywhere()},
}
