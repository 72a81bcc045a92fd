package teishiv1_test

import (
	"fmt"
	"strings"
)

// A badValue is what a rule must refuse, wherever it stands: each of values, in text format, is put in each of fields.
type badValue struct {
	rule   string
	fields string // `Message.field`, separated by spaces; `Message.` is the message itself
	at     string // where in the field it is refused
	values []string
}

const (
	slugFields = `
		AdoptDirectiveRequest.directive AdoptDirectiveRequest.id AdoptDirectiveRequest.authority AdoptedFrom.directive
		ApproveChangeRequest.id RevokeRequest.id
		Alternative.id App.id Attribute.id Concern.id ConcernState.directive ConcernState.concern Condition.attribute
		DeleteAppRequest.id DeleteAttributeRequest.id DeleteOrganizationRequest.id DeleteVendorRequest.id Directive.id
		Directive.authority GetAppRequest.id GetAttributeRequest.id GetDirectiveRequest.id GetOrganizationRequest.id
		GetVendorRequest.id GrantExemptionRequest.directive GrantExemptionRequest.ground Ground.id
		LiftDirectiveRequest.directive ListReleasesRequest.directive Obligation.id Organization.id Ownership.vendor Provision.id Release.id
		ReopenConcernRequest.directive ReopenConcernRequest.concern ReportRequest.domain ResolveConcernRequest.directive
		ResolveConcernRequest.concern RevokeReleaseRequest.directive RevokeReleaseRequest.release Statement.directive
		Statement.id TailRequest.domain Vendor.id VendorPeriod.vendor WithdrawDirectiveRequest.directive`
	optionalSlugFields = `
		Grant.id Proposal.id ProposeChangeRequest.id
		GrantExemptionRequest.release GrantExemptionRequest.instrument LiftDirectiveRequest.release
		LiftDirectiveRequest.instrument ListDirectivesRequest.authority ListOrganizationsRequest.under Organization.kind
		Organization.parent Release.directive Release.instrument Release.ground Target.app Target.vendor Target.tag`
	slugListFields = `
		App.tags Directive.supersedes ExemptionRules.not_whole GrantExemptionRequest.provisions
		LiftDirectiveRequest.provisions OrganizationSelector.in OrganizationSelector.out OrganizationSelector.kinds
		Release.provisions`
	dottedFields     = `DeletePurposeRequest.id GetPurposeRequest.id Purpose.id`
	dottedListFields = `Attribute.values Condition.values PurposeSelector.in PurposeSelector.out`
	languageFields   = `
		AdoptDirectiveRequest.title App.names Attribute.names Directive.title Organization.names Provision.message
		Purpose.names Vendor.names`
	labelFields        = `App.labels Organization.labels Vendor.labels`
	requiredTextFields = `
		GrantExemptionRequest.justification ResolveConcernRequest.evidence Scenario.name Statement.author Statement.text`
	optionalTextFields = `
		AdoptDirectiveRequest.number AdoptDirectiveRequest.issuing_office Alternative.text Concern.text
		ConcernState.evidence ConcernState.resolved_by Directive.number Directive.issuing_office Directive.legal_basis
		Directive.rationale GrantExemptionRequest.approver Ground.text Obligation.text Release.justification
		Release.approver Scenario.source Source.text`
	timeFields = `
		ConcernState.time CountryPeriod.start_time CountryPeriod.end_time Directive.effective_time Directive.expire_time
		Expectation.valid_until_time Ownership.start_time Ownership.end_time Release.end_time
		RevokeReleaseRequest.end_time Selector.effective_time Selector.expire_time Statement.time VendorPeriod.start_time
		VendorPeriod.end_time Withdrawal.time`
	openEnumFields   = `App.on_stale Directive.device_action Directive.lift_mode Expectation.outcome Expectation.reason Release.kind`
	closedEnumFields = `Grant.role ConcernState.state ExemptionRules.approver Provision.force`
	pageFields       = `
		ListGrantsRequest.page_size ListProposalsRequest.page_size ListAppsRequest.page_size ListAttributesRequest.page_size ListDirectivesRequest.page_size
		ListEntriesRequest.page_size ListOrganizationsRequest.page_size ListPurposesRequest.page_size
		ListReleasesRequest.page_size ListVendorsRequest.page_size GetRestrictionsRequest.page_size`
	askingFields   = `GetRestrictionsRequest.organization WatchRestrictionsRequest.organization`
	platformFields = `GetRestrictionsRequest.platform WatchRestrictionsRequest.platform`
	deviceFields   = `GetRestrictionsRequest.device WatchRestrictionsRequest.device`
	askedLanguages = `GetRestrictionsRequest.languages WatchRestrictionsRequest.languages`
	requiredFields = `
		GrantRequest.grant ProposeChangeRequest.change
		AmendDirectiveRequest.directive GrantExemptionRequest.selector IssueDirectiveRequest.directive Provision.selector
		PutAppRequest.app PutAttributeRequest.attribute PutOrganizationRequest.organization PutPurposeRequest.purpose
		PutVendorRequest.vendor RecordStatementRequest.statement Scenario.check Scenario.expect`
)

// absent in place of a value leaves the field out.
const absent = "absent"

var badValues = []badValue{
	{"string.pattern", slugFields, "", quoted("", "JP-MIC", "-a", "a-", "a_b", "a.b", "総務省", " a", long(64))},
	{"string.pattern", optionalSlugFields, "", quoted("JP-MIC", "-a", "a-", "a.b", long(64))},
	{"repeated.items.string.pattern", slugListFields, "[0]", lists("", "SNS", "a.b", long(64))},
	{"string.pattern", dottedFields, "", quoted("", ".", "service.", ".payment", "a..b", "Service", "a b", "a."+long(64))},
	{"string.max_len", dottedFields, "", quoted(strings.Repeat("a.", 127) + "ab")},
	{"repeated.items.string.pattern", dottedListFields, "[0]", lists("", "service.", "a..b", "A", "*")},
	{"repeated.items.string.max_len", dottedListFields, "[0]", lists(strings.Repeat("a.", 127) + "ab")},
	{"repeated.unique", slugListFields + " " + dottedListFields, "", lists("a", "b", "a")[3:]},
	{"repeated.unique", "Organization.aliases App.identifiers", "", lists("ios:a", "ios:b", "ios:a")[3:]},
	{"repeated.min_items", "Attribute.values Condition.values ScenarioFile.scenarios", "", []string{"[]"}},
	{"repeated.max_items", "Attribute.values Condition.values ExemptionRules.not_whole OrganizationSelector.kinds", "", []string{many(65, `"a%d"`)}},
	{"repeated.max_items", "Selector.conditions", "", []string{many(33, `{attribute: "a%d" values: "x"}`)}},
	{"repeated.max_items", "App.tags Directive.supersedes", "", []string{many(65, `"a%d"`)}},
	{"repeated.max_items", "Vendor.parents App.ownerships", "", []string{many(65, `{vendor: "a%d"}`)}},
	{"repeated.max_items", "Vendor.countries", "", []string{many(65, `{country: "KR" start_time {seconds: %d}}`)}},
	{"repeated.max_items", "Organization.aliases", "", []string{many(65, `"a:%d"`)}},
	{"repeated.max_items", "App.identifiers", "", []string{many(257, `"ios:%d"`)}},
	{"repeated.max_items", "Directive.concerns ExemptionRules.grounds", "", []string{many(65, `{id: "a%d"}`)}},
	{"repeated.max_items", "Directive.provisions", "", []string{many(257, `{id: "a%d" force: FORCE_BINDING selector {}}`)}},

	{"map.keys.string.pattern", languageFields, `["not a tag"]`, []string{`{key: "not a tag" value: "x"}`}},
	{"map.keys.string.pattern", languageFields, `["日本語"]`, []string{`{key: "日本語" value: "x"}`}},
	{"map.keys.string.max_len", languageFields, `["ja` + strings.Repeat("-a", 17) + `"]`, []string{`{key: "ja` + strings.Repeat("-a", 17) + `" value: "x"}`}},
	{"map.values.string.min_len", languageFields, `["ja"]`, []string{`{key: "ja" value: ""}`}},
	{"map.values.string.max_bytes", languageFields, `["ja"]`, []string{`{key: "ja" value: "` + long(8193) + `"}`, `{key: "ja" value: "` + strings.Repeat("停", 2731) + `"}`}},
	{"map.keys.string.pattern", labelFields, `["Region"]`, []string{`{key: "Region" value: "x"}`}},
	{"map.values.string.max_len", labelFields, `["region"]`, []string{`{key: "region" value: "` + long(257) + `"}`}},
	{"map.max_pairs", labelFields, "", []string{many(65, `{key: "a%d" value: "x"}`)}},

	{"string.min_len", requiredTextFields, "", quoted("")},
	{"string.max_bytes", requiredTextFields + optionalTextFields, "", quoted(long(8193), strings.Repeat("停", 2731))},
	{"string.max_bytes", "Withdrawal.reason", "", quoted(long(1025))},
	{"string.uri", "Alternative.uri Source.uri", "", quoted("line.me", "https://a b", "//line.me/x", "https://例.jp/%zz")},
	{"string.max_bytes", "Alternative.uri Source.uri", "", quoted("https://line.me/" + long(8192))},

	{"repeated.items.string.pattern", "Organization.aliases", "[0]", lists("131016", "JIS:131016", "jis:", "jis:13 1016", ":131016", "jis:東京")},
	{"repeated.items.string.max_len", "Organization.aliases", "[0]", lists("jis:" + long(125))},
	{"repeated.items.string.pattern", "App.identifiers", "[0]", lists("jp.naver.line", "iso:jp.naver.line", "iOS:jp.naver.line", "ios:", "domain:例.jp", "windows:a b")},
	{"repeated.items.string.max_len", "App.identifiers", "[0]", lists("ios:" + long(252))},
	{"string.pattern", "CountryPeriod.country", "", quoted("", "jp", "JPN", "J", "81")},
	{"string.pattern", "Target.country", "", quoted("jp", "JPN", "J", "81")},
	{"target.empty", "Target.", "", []string{""}},
	{"source.empty", "Source.", "", []string{""}},

	{"timestamp.gte_lte", timeFields, "", []string{"{seconds: -62135596801}", "{seconds: 253402300800}"}},
	{"duration.gt", "ExemptionRules.longest_duration", "", []string{"{}", "{seconds: -1}"}},
	{"enum.defined_only", openEnumFields + " " + closedEnumFields, "", []string{"99", "-1"}},
	{"enum.not_in", closedEnumFields, "", []string{"0"}},
	{"int32.gte", pageFields, "", []string{"-1"}},
	{"int32.gte_lte", "Directive.lift_approvals", "", []string{"-1", "17"}},
	{"int64.gte", "AdoptedFrom.revision ListEntriesRequest.from_revision", "", []string{"-1"}},
	{"int64.gt", "GetEntryRequest.revision WaitForRevisionRequest.revision", "", []string{"0", "-1"}},
	{"int64.gte", "WaitForRevisionRequest.epoch GetRestrictionsRequest.min_revision GetRestrictionsRequest.epoch", "", []string{"-1"}},
	{"duration.gte_lte", "WaitForRevisionRequest.timeout", "", []string{"{seconds: -1}", "{nanos: -1}", "{seconds: 600 nanos: 1}"}},
	{"string.pattern", "ReportRequest.id ForgetReplicaRequest.id", "", quoted("", "a b", "é", `\n`, long(129))},
	{"string.max_len", "ReportRequest.version", "", quoted(long(129))},
	{"bytes.max_len", "ReportRequest.state_hash", "", quoted(long(33))},
	{"string.min_len", askingFields, "", quoted("")},
	{"string.max_len", askingFields, "", quoted(long(129))},
	{"string.in", platformFields, "", quoted("", "iOS", "linux", "domain")},
	{"string.max_len", deviceFields, "", quoted(long(256))},
	{"repeated.max_items", askedLanguages, "", []string{many(17, `"a%d"`)}},

	{"required", writeRequests("reason", "ImportRequest"), "", quoted("")},
	{"string.max_bytes", writeRequests("reason"), "", quoted(long(1025), strings.Repeat("停", 342))},
	{"string.pattern", writeRequests("request_id"), "", quoted("a b", "a/2", "é", `\n`, long(129))},
	{"int64.gte", writeRequests("expect_revision"), "", []string{"-1"}},
	{"required", "Resource.kind ProposedChange.change", "", []string{""}},
	{"string.min_len", "Grant.principal", "", quoted("")},
	{"string.max_bytes", "Grant.principal", "", quoted(long(513), strings.Repeat("停", 171))},
	{"string.pattern", "Grant.principal", "", quoted(`a\n`, `\x7f`)},
	{"string.pattern", "Grant.organization", "", quoted("", "**", "JP", "a.b", long(64))},
	{"string.pattern", "Grant.identity", "", quoted("a b", "é", `\n`, long(129))},
	{"required", requiredFields, "", []string{absent}},
}

// edgeValues are the last that the rules allow.
var edgeValues = []badValue{
	{fields: slugFields + optionalSlugFields, values: quoted("a", "0", "a-b", "a--b", long(63))},
	{fields: optionalSlugFields[:strings.Index(optionalSlugFields, "Target.")], values: quoted("")},
	{fields: slugListFields, values: append(lists("a", long(63)), "[]", `["a", "b"]`)},
	{fields: dottedFields, values: quoted("service", "service.payment", strings.Repeat("a.", 127)+"a", long(63)+"."+long(63))},
	{fields: dottedListFields, values: lists("contractor.incidental", strings.Repeat("a.", 127)+"a")},
	{fields: "Attribute.values Condition.values OrganizationSelector.kinds", values: []string{many(64, `"a%d"`)}},
	{fields: "Selector.conditions", values: []string{many(32, `{attribute: "a%d" values: "x"}`)}},
	{fields: "App.tags Directive.supersedes", values: []string{many(64, `"a%d"`)}},
	{fields: "Vendor.parents App.ownerships", values: []string{many(64, `{vendor: "a%d"}`)}},
	{fields: "Vendor.countries", values: []string{many(64, `{country: "KR" start_time {seconds: %d}}`)}},
	{fields: "Organization.aliases", values: []string{many(64, `"a:%d"`)}},
	{fields: "App.identifiers", values: []string{many(256, `"ios:%d"`)}},
	{fields: "Directive.concerns ExemptionRules.grounds", values: []string{many(64, `{id: "a%d"}`)}},
	{fields: "Directive.provisions", values: []string{many(256, `{id: "a%d" force: FORCE_BINDING selector {}}`)}},
	{fields: "Directive.carve_outs", values: []string{many(5000, `{id: "a%d"}`)}},
	{fields: languageFields, values: []string{
		"[]", `{key: "zh-Hant-TW" value: "停止"}`, `{key: "fil" value: "` + long(8192) + `"}`, `{key: "ja" value: "` + strings.Repeat("停", 2730) + `"}`}},
	{fields: labelFields, values: []string{many(64, `{key: "a%d" value: ""}`), `{key: "a" value: "` + strings.Repeat("停", 256) + `"}`}},
	{fields: requiredTextFields + optionalTextFields, values: quoted("停", long(8192))},
	{fields: "Alternative.uri Source.uri", values: quoted("", "https://www.soumu.go.jp/menu_news/s-news/01.html?a=%E5%81%9C#1", "urn:isbn:0451450523")},
	{fields: "Organization.aliases", values: lists("jis:131016", "corporate-number:7000012050002", "a:/", "jis:"+long(124))},
	{fields: "App.identifiers", values: lists("ios:jp.naver.line", "windows:NAVER.LINEwin8_8ptj331gd3tyt", "domain:line.me", "macos:"+long(249))},
	{fields: "Grant.principal", values: quoted("a", "cn:停 止", long(512))},
	{fields: "Grant.organization", values: quoted("*", "a", long(63))},
	{fields: "Grant.identity", values: quoted("", "!", long(128))},
	{fields: timeFields, values: []string{"{seconds: -62135596800}", "{seconds: 253402300799 nanos: 999999000}"}},
	{fields: "ExemptionRules.longest_duration", values: []string{"{nanos: 1000}", "{seconds: 315576000000}"}},
	{fields: openEnumFields, values: []string{"0", "1"}},
	{fields: pageFields, values: []string{"0", "2147483647"}},
	{fields: "Directive.lift_approvals", values: []string{"0", "16"}},
	{fields: askingFields, values: quoted("jp-mic", "corporate-number:2000012020001", long(128))},
	{fields: platformFields, values: quoted("ios", "android", "macos", "windows", "web")},
	{fields: deviceFields, values: quoted("", "government-issued.standalone", long(255))},
	{fields: askedLanguages, values: []string{"[]", many(16, `"a%d"`)}},
	{fields: "GetEntryRequest.revision", values: []string{"1", "9223372036854775807"}},
	{fields: writeRequests("reason"), values: quoted("x", long(1024))},
	{fields: writeRequests("request_id"), values: quoted("", "!", "a~.-_:", long(128))},
	{fields: writeRequests("expect_revision"), values: []string{"0", "9223372036854775807"}},
}

// writeRequests returns a field of every write request, those excepted that are named.
func writeRequests(field string, except ...string) string {
	var fields strings.Builder
	for _, md := range ourMessages() {
		name := string(md.Name())
		if isWriteRequest(md) && !strings.Contains(strings.Join(except, " "), name) {
			fmt.Fprintf(&fields, " %s.%s", name, field)
		}
	}
	return fields.String()
}

func long(n int) string {
	return strings.Repeat("a", n)
}

// quoted returns each value as a text format string.
func quoted(values ...string) []string {
	var all []string
	for _, v := range values {
		all = append(all, `"`+v+`"`)
	}
	return all
}

// lists returns a list of each value alone, and at the end the list of all.
func lists(values ...string) []string {
	all := quoted(values...)
	if len(values) > 1 {
		all = append(all, strings.Join(all, ", "))
	}
	for i := range all {
		all[i] = "[" + all[i] + "]"
	}
	return all
}

// many returns a list of n items, each format with its number.
func many(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return "[" + strings.Join(items, ", ") + "]"
}
