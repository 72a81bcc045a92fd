package service

import (
	"slices"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
)

// manner is how the calls of a method are treated. The zero value of the rest is that of an administrative method: unknown fields
// are refused, the constraints of the protos hold, and every call has a line in the log.
type manner struct {
	may     access
	class   class
	plain   bool // none of that: the method looks after itself, or is not ours
	quiet   bool // called all the time: only a call that fails has a line in the log
	endless bool // a stream that callers hold open: it ends when the server drains
	limit   int  // bytes of a message; 0 is maxMessage
}

// access says who may call a method at all. About what, the method judges itself. The zero value is nobody.
type access struct {
	anybody    bool          // without a credential
	known      bool          // whoever has one
	granted    bool          // whoever has any grant
	roles      []policy.Role // whoever has one of the roles, over whatever
	everywhere bool          // the role over everything
}

// Who may call what.
var (
	anybody      = access{anybody: true}
	everyCaller  = access{known: true}
	anyGrant     = access{granted: true}
	asks         = anyOf(policy.Checker, policy.Auditor)
	issues       = anyOf(policy.Issuer)
	exempts      = anyOf(policy.Issuer, policy.Exempter)
	registers    = anyOf(policy.Registrar)
	administers  = anyOf(policy.Administrator)
	oversees     = anyOf(policy.Administrator, policy.Auditor)
	watchesFleet = anyOf(policy.Auditor)
	audits       = overAll(policy.Auditor)
	follows      = overAll(policy.Follower)
	rules        = overAll(policy.Administrator)
	proposes     = anyOf(policy.Issuer, policy.Exempter, policy.Registrar)
	deliberates  = anyOf(policy.Issuer, policy.Exempter, policy.Registrar, policy.Auditor)
)

func anyOf(roles ...policy.Role) access { return access{roles: roles} }

func overAll(role policy.Role) access { return access{roles: []policy.Role{role}, everywhere: true} }

// Reflection says to whom the server describes its services.
type Reflection uint8

const (
	// ReflectionAuthenticated describes them to whoever is authenticated, where anybody is. The default.
	ReflectionAuthenticated Reflection = iota
	// ReflectionOpen describes them to everybody.
	ReflectionOpen
	// ReflectionOff describes them to nobody.
	ReflectionOff
)

// manner returns how the calls of a method are treated here.
func (s *Server) manner(method string) manner {
	m := manners[method]
	if method == reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName && s.reflection == ReflectionOpen {
		m.may = anybody
	}
	return m
}

// unlisted returns the methods of the services that the table has not, or does not say all of.
func unlisted(services map[string]grpc.ServiceInfo) (names []string) {
	for service, info := range services {
		for _, m := range info.Methods {
			if full := "/" + service + "/" + m.Name; nobodyMay(manners[full].may) || manners[full].class == unclassed {
				names = append(names, full)
			}
		}
	}
	slices.Sort(names)
	return names
}

// nobodyMay reports whether it is the access of nobody.
func nobodyMay(a access) bool { return !a.anybody && !a.known && !a.granted && len(a.roles) == 0 }

// maxQuestion bounds a message that asks one question.
const maxQuestion = 64 << 10

// manners lists every method there is. What is not in it is not served: a server that has such a method does not start.
var manners = map[string]manner{
	teishiv1.DecisionService_Check_FullMethodName:         {may: asks, class: checking, plain: true, limit: maxQuestion},
	teishiv1.DecisionService_BatchCheck_FullMethodName:    {may: asks, class: checking, plain: true},
	teishiv1.DecisionService_ListDecisions_FullMethodName: {may: asks, class: checking, plain: true, limit: maxQuestion},

	teishiv1.DecisionService_StreamCheck_FullMethodName:    {may: asks, class: checking, plain: true, limit: maxQuestion, endless: true},
	teishiv1.DecisionService_WatchDecisions_FullMethodName: {may: asks, class: checking, plain: true, endless: true},

	teishiv1.RestrictionService_GetRestrictions_FullMethodName:   {may: asks, class: checking, quiet: true, limit: maxQuestion},
	teishiv1.RestrictionService_WatchRestrictions_FullMethodName: {may: asks, class: checking, quiet: true, limit: maxQuestion, endless: true},

	teishiv1.RegistryService_PutOrganization_FullMethodName:    {may: registers, class: writing},
	teishiv1.RegistryService_GetOrganization_FullMethodName:    {may: anyGrant, class: reading},
	teishiv1.RegistryService_ListOrganizations_FullMethodName:  {may: anyGrant, class: reading},
	teishiv1.RegistryService_DeleteOrganization_FullMethodName: {may: registers, class: writing},
	teishiv1.RegistryService_PutVendor_FullMethodName:          {may: registers, class: writing},
	teishiv1.RegistryService_GetVendor_FullMethodName:          {may: anyGrant, class: reading},
	teishiv1.RegistryService_ListVendors_FullMethodName:        {may: anyGrant, class: reading},
	teishiv1.RegistryService_DeleteVendor_FullMethodName:       {may: registers, class: writing},
	teishiv1.RegistryService_PutApp_FullMethodName:             {may: registers, class: writing},
	teishiv1.RegistryService_GetApp_FullMethodName:             {may: anyGrant, class: reading},
	teishiv1.RegistryService_ListApps_FullMethodName:           {may: anyGrant, class: reading},
	teishiv1.RegistryService_DeleteApp_FullMethodName:          {may: registers, class: writing},
	teishiv1.RegistryService_PutPurpose_FullMethodName:         {may: registers, class: writing},
	teishiv1.RegistryService_GetPurpose_FullMethodName:         {may: anyGrant, class: reading},
	teishiv1.RegistryService_ListPurposes_FullMethodName:       {may: anyGrant, class: reading},
	teishiv1.RegistryService_DeletePurpose_FullMethodName:      {may: registers, class: writing},
	teishiv1.RegistryService_PutAttribute_FullMethodName:       {may: registers, class: writing},
	teishiv1.RegistryService_GetAttribute_FullMethodName:       {may: anyGrant, class: reading},
	teishiv1.RegistryService_ListAttributes_FullMethodName:     {may: anyGrant, class: reading},
	teishiv1.RegistryService_DeleteAttribute_FullMethodName:    {may: registers, class: writing},
	teishiv1.RegistryService_Import_FullMethodName:             {may: registers, class: writing},

	teishiv1.DirectiveService_IssueDirective_FullMethodName:    {may: issues, class: writing},
	teishiv1.DirectiveService_AmendDirective_FullMethodName:    {may: issues, class: writing},
	teishiv1.DirectiveService_WithdrawDirective_FullMethodName: {may: issues, class: writing},
	teishiv1.DirectiveService_LiftDirective_FullMethodName:     {may: issues, class: writing},
	teishiv1.DirectiveService_GrantExemption_FullMethodName:    {may: exempts, class: writing},
	teishiv1.DirectiveService_RevokeRelease_FullMethodName:     {may: exempts, class: writing},
	teishiv1.DirectiveService_ResolveConcern_FullMethodName:    {may: issues, class: writing},
	teishiv1.DirectiveService_ReopenConcern_FullMethodName:     {may: issues, class: writing},
	teishiv1.DirectiveService_RecordStatement_FullMethodName:   {may: issues, class: writing},
	teishiv1.DirectiveService_AdoptDirective_FullMethodName:    {may: issues, class: writing},
	teishiv1.DirectiveService_GetDirective_FullMethodName:      {may: anyGrant, class: reading},
	teishiv1.DirectiveService_ListDirectives_FullMethodName:    {may: anyGrant, class: reading},
	teishiv1.DirectiveService_ListReleases_FullMethodName:      {may: anyGrant, class: reading},

	teishiv1.AuditService_ListEntries_FullMethodName: {may: audits, class: reading},
	teishiv1.AuditService_GetEntry_FullMethodName:    {may: audits, class: reading},
	teishiv1.AuditService_VerifyLog_FullMethodName:   {may: audits, class: reading},

	teishiv1.AccessService_WhoAmI_FullMethodName:        {may: everyCaller, class: reading},
	teishiv1.AccessService_Grant_FullMethodName:         {may: administers, class: writing},
	teishiv1.AccessService_Revoke_FullMethodName:        {may: administers, class: writing},
	teishiv1.AccessService_ListGrants_FullMethodName:    {may: oversees, class: reading},
	teishiv1.AccessService_ProposeChange_FullMethodName: {may: proposes, class: writing},
	teishiv1.AccessService_ApproveChange_FullMethodName: {may: exempts, class: writing},
	teishiv1.AccessService_ListProposals_FullMethodName: {may: deliberates, class: reading},

	teishiv1.LogService_Tail_FullMethodName:    {may: follows, class: checking, endless: true, limit: maxQuestion},
	teishiv1.LogService_Report_FullMethodName:  {may: follows, class: checking, quiet: true, limit: maxQuestion},
	teishiv1.LogService_GetHead_FullMethodName: {may: follows, class: checking, quiet: true, limit: maxQuestion},

	teishiv1.FleetService_ListReplicas_FullMethodName:    {may: watchesFleet, class: reading},
	teishiv1.FleetService_WaitForRevision_FullMethodName: {may: watchesFleet, class: reading},
	teishiv1.FleetService_ForgetReplica_FullMethodName:   {may: rules, class: writing},

	healthv1.Health_Check_FullMethodName: {may: anybody, class: probing, plain: true, limit: maxQuestion},
	healthv1.Health_List_FullMethodName:  {may: anybody, class: probing, plain: true, limit: maxQuestion},
	healthv1.Health_Watch_FullMethodName: {may: anybody, class: probing, plain: true, limit: maxQuestion, endless: true},

	reflectionv1.ServerReflection_ServerReflectionInfo_FullMethodName: {may: everyCaller, class: reading, plain: true, limit: maxQuestion, endless: true},
}
