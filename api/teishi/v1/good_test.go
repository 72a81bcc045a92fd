package teishiv1_test

const (
	goodSelector  = `organizations { in: "jp" } targets { in { app: "line" } }`
	goodProvision = `id: "all" selector { ` + goodSelector + ` } force: FORCE_BINDING`
	goodDirective = `id: "mic-line" authority: "jp-mic" provisions { ` + goodProvision + ` }`
	goodStatement = `directive: "mic-line" id: "first" author: "LINE" text: "Access from abroad has ended."`
	goodGrant     = `id: "alice" principal: "user:https://issuer.example#alice" role: ROLE_ISSUER organization: "jp-mic"`
	goodWrite     = ` reason: "Notice of 26 March 2021"`
	goodChange    = `withdraw_directive { directive: "mic-line"` + goodWrite + ` }`
)

// goodMessages are messages that no rule refuses, one of each that has rules, in text format.
var goodMessages = map[string]string{
	"Organization":         `id: "jp-mic" names { key: "ja" value: "総務省" } kind: "ministry" parent: "jp" aliases: "corporate-number:2000012020001" labels { key: "region" value: "kanto" }`,
	"Vendor":               `id: "naver" names { key: "ko" value: "네이버" } parents { vendor: "a" } countries { country: "KR" }`,
	"VendorPeriod":         `vendor: "naver" start_time { seconds: 1 } end_time { seconds: 2 }`,
	"CountryPeriod":        `country: "JP" start_time { seconds: 1 } end_time { seconds: 2 }`,
	"App":                  `id: "line" names { key: "en" value: "LINE" } ownerships { vendor: "naver" } tags: "sns" identifiers: "ios:jp.naver.line" on_stale: ON_STALE_DENY`,
	"Ownership":            `vendor: "naver" start_time { seconds: 1 } end_time { seconds: 2 }`,
	"Purpose":              `id: "feedback.opinion" names { key: "en" value: "Opinions" }`,
	"Attribute":            `id: "device" names { key: "en" value: "Device" } values: "contractor" values: "contractor.incidental"`,
	"Selector":             goodSelector + ` purposes { in: "service" } conditions { attribute: "act" values: "use" } effective_time { seconds: 1 } expire_time { seconds: 2 }`,
	"OrganizationSelector": `in: "jp" out: "jp-npa" kinds: "ministry"`,
	"Target":               `app: "line" vendor: "naver" tag: "sns" country: "KR"`,
	"PurposeSelector":      `in: "service" out: "service.payment"`,
	"Condition":            `attribute: "act" values: "use" values: "install"`,
	"Directive":            goodDirective + ` title { key: "en" value: "LINE" } carve_outs { id: "disasters" } lift_mode: LIFT_MODE_MANUAL device_action: DEVICE_ACTION_BLOCK lift_approvals: 2 supersedes: "old"`,
	"Source":               `uri: "https://www.soumu.go.jp/" text: "Notice"`,
	"Provision":            goodProvision + ` message { key: "en" value: "Do not use LINE." } alternatives { id: "web" uri: "https://www.e-gov.go.jp/" }`,
	"Alternative":          `id: "web" text: "The form on the web" uri: "https://www.e-gov.go.jp/"`,
	"Release":              `id: "lift-3" directive: "mic-line" kind: RELEASE_KIND_LIFT provisions: "all" instrument: "lifting" ground: "g" justification: "j" approver: "a"`,
	"Obligation":           `id: "no-personal-data" text: "Handle no personal data"`,
	"Concern":              `id: "abroad" text: "Access from abroad"`,
	"ExemptionRules":       `grounds { id: "disaster" } approver: APPROVER_SUBJECT longest_duration { seconds: 2592000 } not_whole: "municipality"`,
	"Ground":               `id: "disaster" text: "Disaster response"`,
	"Withdrawal":           `time { seconds: 1 } reason: "Issued by mistake"`,
	"AdoptedFrom":          `directive: "mic-line" revision: 3`,
	"ConcernState":         `directive: "mic-line" concern: "abroad" state: STATE_RESOLVED evidence: "Report" resolved_by: "LINE" time { seconds: 1 }`,
	"Statement":            goodStatement,
	"Grant":                goodGrant + ` identity: "employee-4711"`,
	"Proposal":             `id: "lift" proposer: "cn:bob"`,
	"Resource":             `statement { ` + goodStatement + ` }`,

	"PutOrganizationRequest":    `organization { id: "jp" }` + goodWrite,
	"GetOrganizationRequest":    `id: "jp"`,
	"ListOrganizationsRequest":  `under: "jp"`,
	"DeleteOrganizationRequest": `id: "jp"` + goodWrite,
	"PutVendorRequest":          `vendor { id: "naver" }` + goodWrite,
	"GetVendorRequest":          `id: "naver"`,
	"ListVendorsRequest":        `page_size: 10`,
	"DeleteVendorRequest":       `id: "naver"` + goodWrite,
	"PutAppRequest":             `app { id: "line" }` + goodWrite,
	"GetAppRequest":             `id: "line"`,
	"ListAppsRequest":           `page_size: 10`,
	"DeleteAppRequest":          `id: "line"` + goodWrite,
	"PutPurposeRequest":         `purpose { id: "service.payment" }` + goodWrite,
	"GetPurposeRequest":         `id: "service.payment"`,
	"ListPurposesRequest":       `page_size: 10`,
	"DeletePurposeRequest":      `id: "service.payment"` + goodWrite,
	"PutAttributeRequest":       `attribute { id: "act" values: "use" }` + goodWrite,
	"GetAttributeRequest":       `id: "act"`,
	"ListAttributesRequest":     `page_size: 10`,
	"DeleteAttributeRequest":    `id: "act"` + goodWrite,
	"ImportRequest":             `resource { app { id: "line" } }`,

	"IssueDirectiveRequest":    `directive { ` + goodDirective + ` }` + goodWrite,
	"GetDirectiveRequest":      `id: "mic-line"`,
	"ListDirectivesRequest":    `authority: "jp"`,
	"ListReleasesRequest":      `directive: "mic-line"`,
	"AmendDirectiveRequest":    `directive { ` + goodDirective + ` }` + goodWrite,
	"WithdrawDirectiveRequest": `directive: "mic-line"` + goodWrite,
	"LiftDirectiveRequest":     `directive: "mic-line" release: "lift" provisions: "all" instrument: "lifting"` + goodWrite,
	"GrantExemptionRequest":    `directive: "mic-line" selector { expire_time { seconds: 2 } } ground: "disaster" justification: "Typhoon"` + goodWrite,
	"RevokeReleaseRequest":     `directive: "mic-line" release: "lift" end_time { seconds: 1 }` + goodWrite,
	"ResolveConcernRequest":    `directive: "mic-line" concern: "abroad" evidence: "Report"` + goodWrite,
	"ReopenConcernRequest":     `directive: "mic-line" concern: "abroad"` + goodWrite,
	"RecordStatementRequest":   `statement { ` + goodStatement + ` }` + goodWrite,
	"AdoptDirectiveRequest":    `directive: "mic-line" id: "city-line" authority: "jp-131016" title { key: "en" value: "LINE" }` + goodWrite,

	"GrantRequest":         `grant { ` + goodGrant + ` }` + goodWrite,
	"RevokeRequest":        `id: "alice"` + goodWrite,
	"ListGrantsRequest":    `principal: "cn:bob"`,
	"ProposedChange":       goodChange,
	"ProposeChangeRequest": `id: "lift" change { ` + goodChange + ` }` + goodWrite,
	"ApproveChangeRequest": `id: "lift"` + goodWrite,
	"ListProposalsRequest": `open: true`,

	"ListEntriesRequest": `from_revision: 2`,
	"GetEntryRequest":    `revision: 1`,

	"TailRequest":            `domain: "teishi" after { epoch: 1 revision: 2 }`,
	"ReportRequest":          `domain: "teishi" id: "decision-0" version: "v1"`,
	"ForgetReplicaRequest":   `id: "decision-0"`,
	"WaitForRevisionRequest": `revision: 2 epoch: 1 timeout { seconds: 600 }`,

	"GetRestrictionsRequest":   `organization: "jp-mic" platform: "ios" device: "government-issued" languages: "ja" page_size: 10`,
	"WatchRestrictionsRequest": `organization: "jp-mic" platform: "web" heartbeat_interval { seconds: 5 }`,

	"ScenarioFile": `scenarios { name: "n" check {} expect {} }`,
	"Scenario":     `name: "MIC halts" source: "Press release" check { organization: "jp-mic" } expect { outcome: OUTCOME_DENIED }`,
	"Expectation":  `outcome: OUTCOME_DENIED reason: REASON_SUSPENDED`,
}
