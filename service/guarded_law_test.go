package service_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// writing is everybody who writes whatever occurs to him.
type writing struct {
	*testing.T
	*rand.Rand
	house   *house
	guard   *guard
	serial  int
	release []string // `directive: "x" release: "y"`
}

// one picks one of the words.
func (w *writing) one(words ...string) string { return words[w.IntN(len(words))] }

// maybe is the word, or nothing.
func (w *writing) maybe(word string) string { return w.one(word, "", "") }

func (w *writing) organization() string {
	return w.one("home", "city", "school", "office", "zz", "zz-city")
}

// guardedIDs are the directives that take approval to loosen.
var guardedIDs = []string{"halt-app", "halt-tag", "halt-all"}

// text is a random text of a directive. The original ones are drawn most.
func (w *writing) text(id string) string {
	in := map[string]string{"halt-app": `app: "line"`, "halt-tag": `tag: "sns"`, "halt-all": `vendor: "naver"`}[id]
	target := fmt.Sprintf(`targets { in { %s } %s %s }`, w.one(in, in, in, in, `country: "KR"`), w.maybe(`in { app: "chat" }`), w.one("", "", "", `out { app: "chat" }`))
	organizations := fmt.Sprintf(`organizations { in: %q %s %s %s }`, w.one("home", "home", "home", "city"), w.maybe(`in: "school"`), w.one("", "", "", `out: "school"`), w.one("", "", "", `kinds: "municipality"`))
	return fmt.Sprintf(`directive { id: %q authority: "home" effective_time { seconds: 1600000000 } %s lift_approvals: %d
		provisions { id: "p" force: FORCE_%s selector { %s %s %s %s } } %s %s
		concerns { id: "a" } concerns { id: "b" } lift_mode: %s exemption_rules { approver: APPROVER_SUBJECT grounds { id: "g" } } }`,
		id, w.one("", "", "", `expire_time { seconds: 3000000000 }`), w.IntN(4), w.one("BINDING", "BINDING", "BINDING", "ADVISORY"), organizations, target,
		w.one("", "", "", `purposes { in: "service" }`), w.one("", "", "", `conditions { attribute: "act" values: "use" }`),
		w.maybe(`provisions { id: "q" force: FORCE_BINDING selector { organizations { all: true } targets { in { app: "chat" } } } }`),
		w.one("", "", "", `carve_outs { id: "c" selector { purposes { in: "service" } } }`),
		w.one("LIFT_MODE_WHEN_CONCERNS_RESOLVED", "LIFT_MODE_MANUAL"))
}

// loosening draws a write that may loosen something, or not.
func (w *writing) loosening() (method, ask string) {
	w.serial++
	id := guardedIDs[w.IntN(len(guardedIDs))]
	if w.IntN(4) == 0 {
		id = "free"
	}
	const until = `expire_time { seconds: 4000000000 }`
	switch w.IntN(16) {
	case 0, 1, 2:
		return "DirectiveService/AmendDirective", w.text(id)
	case 3:
		return "DirectiveService/LiftDirective", fmt.Sprintf(`directive: %q release: "r-%d" %s`, id, w.serial, w.one("", fmt.Sprintf(`selector { organizations { in: %q } }`, w.organization()), `selector { effective_time { seconds: 2000000000 } }`))
	case 4:
		return "DirectiveService/GrantExemption", fmt.Sprintf(`directive: %q release: "r-%d" ground: "g" justification: "j" selector { organizations { in: %q } %s }`, id, w.serial, w.organization(), until)
	case 5:
		if len(w.release) > 0 {
			return "DirectiveService/RevokeRelease", w.release[w.IntN(len(w.release))] + w.one("", ` end_time { seconds: 3900000000 }`, ` end_time { seconds: 1 }`)
		}
		return "DirectiveService/WithdrawDirective", fmt.Sprintf(`directive: %q`, id)
	case 6:
		return "DirectiveService/" + w.one("ResolveConcern", "ReopenConcern"), fmt.Sprintf(`directive: %q concern: %q`, id, w.one("a", "b"))
	case 7:
		return "DirectiveService/IssueDirective", fmt.Sprintf(`directive { id: "next-%d" authority: %q supersedes: %q %s }`, w.serial, w.one("home", "zz"), id, w.maybe(`effective_time { seconds: 2000000000 }`))
	case 8, 9:
		o := w.organization()
		return "RegistryService/PutOrganization", `organization { ` + w.place(o) + ` }`
	case 10:
		return "RegistryService/PutApp", fmt.Sprintf(`app { id: %q %s %s %s %s }`, w.one("line", "chat", "other"), w.one(`tags: "sns"`, `tags: "sns"`, ``), w.maybe(`tags: "new"`),
			w.one(`ownerships { vendor: "naver" }`, `ownerships { vendor: "naver" }`, `ownerships { vendor: "us" }`, `ownerships { vendor: "naver" end_time { seconds: 2000000000 } }`), w.one(`on_stale: ON_STALE_DENY`, ``))
	case 11:
		return "RegistryService/PutVendor", fmt.Sprintf(`vendor { id: %q %s }`, w.one("naver", "us"), w.one(`countries { country: "KR" }`, ``, `parents { vendor: "parent" }`))
	case 12:
		return "RegistryService/" + w.one("DeletePurpose", "DeleteApp", "DeleteOrganization", "DeleteAttribute"), fmt.Sprintf(`id: %q`, w.one("service.payment", "other", "zz-city", "office", "school", "account", "line"))
	case 13:
		return "RegistryService/" + "PutPurpose", fmt.Sprintf(`purpose { id: %q }`, w.one("service.payment", "fresh", "service.fresh"))
	case 14:
		return "RegistryService/PutAttribute", fmt.Sprintf(`attribute { id: "act" values: "use" values: "install" values: "develop" values: "procure" %s }`, w.maybe(`values: "web-access"`))
	}
	return "RegistryService/Import", `---resource { organization { ` + w.place(w.organization()) + ` } }---resource { organization { id: "another" } }`
}

// place is an organization, where it was or elsewhere.
func (w *writing) place(id string) string {
	parent := map[string]string{"city": "home", "school": "city", "office": "home", "zz-city": "zz"}[id]
	if w.IntN(3) == 0 {
		parent = w.one("", "home", "zz", "city")
	}
	return fmt.Sprintf(`id: %q parent: %q kind: %q names { key: "en" value: "%d" }`, id, parent, w.one("", "municipality"), w.serial)
}

// tightening draws a write that only tightens.
func (w *writing) tightening() (method, ask string) {
	w.serial++
	switch w.IntN(4) {
	case 0:
		return "DirectiveService/IssueDirective", fmt.Sprintf(`directive { id: "more-%d" authority: "home" provisions { id: "p" force: FORCE_BINDING
			selector { organizations { in: %q } targets { in { app: "line" } } conditions { attribute: "act" values: "develop" } } } }`, w.serial, w.one("home", "city", "school"))
	case 1:
		return "DirectiveService/ReopenConcern", fmt.Sprintf(`directive: %q concern: "a"`, w.one(guardedIDs...))
	case 2:
		return "RegistryService/PutOrganization", fmt.Sprintf(`organization { id: "new-%d" parent: %q }`, w.serial, w.one("home", "city", "school", "zz"))
	}
	if len(w.release) == 0 {
		return "DirectiveService/RecordStatement", fmt.Sprintf(`statement { directive: "halt-app" id: "s-%d" author: "a" text: "t" }`, w.serial)
	}
	return "DirectiveService/RevokeRelease", w.release[w.IntN(len(w.release))] + ` end_time { seconds: 1 }`
}

// write writes as somebody, and returns why it was refused.
func (w *writing) write(method, ask string) string {
	head, items, _ := strings.Cut(ask, "---")
	if head += ` reason: "r"`; strings.Contains(method, "ResolveConcern") {
		head += ` evidence: "e"`
	}
	if items != "" {
		head += "---" + items
	}
	_, err := w.guard.call(w.T, w.one("cn:root", "cn:root", "cn:issuer", "cn:issuer", "cn:approver", "cn:registrar", "cn:scribe", "cn:admin"), full(method), head)
	if status.Code(err) == codes.Internal {
		w.Fatalf("%s %s = %s", method, head, describe(err))
	}
	directive, release, isRelease := strings.Cut(ask, ` release: "r-`)
	if isRelease && err == nil && method != "DirectiveService/RevokeRelease" {
		number, _, _ := strings.Cut(release, `"`)
		w.release = append(w.release, directive+` release: "r-`+number+`"`)
	}
	return problemOf(err).reason
}

// questions are about everything that the directives are about.
func questions(t *testing.T) (list []*teishiv1.BatchCheckRequest) {
	for _, at := range []string{"", "at { seconds: 1900000000 }", "at { seconds: 2100000000 }", "at { seconds: 3950000000 }"} {
		var b strings.Builder
		for _, organization := range []string{"home", "city", "school", "office", "zz-city"} {
			for _, app := range []string{"line", "chat", "other"} {
				for _, more := range []string{"", `purpose: "service.application"`, `attributes { key: "act" value: "use" }`, `purpose: "internal" attributes { key: "act" value: "procure" }`} {
					fmt.Fprintf(&b, "queries { organization: %q app: %q %s } ", organization, app, more)
				}
			}
		}
		list = append(list, text(t, &teishiv1.BatchCheckRequest{}, b.String()+at))
	}
	return list
}

// suspended returns which questions are denied by each of the guarded directives, and which may not be asked.
func (h *house) suspended(list []*teishiv1.BatchCheckRequest) (by, unknown map[string]bool) {
	h.t.Helper()
	by, unknown = make(map[string]bool), make(map[string]bool)
	for i, req := range list {
		resp, err := h.decisions.BatchCheck(h.t.Context(), req)
		h.must(err)
		for j, r := range resp.GetResults() {
			question := fmt.Sprintf("%d %v", i, req.Queries[j])
			unknown[question] = r.GetResponse().Reason <= teishiv1.Reason_REASON_UNKNOWN_PURPOSE
			for _, c := range r.GetResponse().Citations {
				if r.GetResponse().Outcome == denied && slices.Contains(guardedIDs, c.Directive) {
					by[question+" by "+c.Directive] = true
				}
			}
		}
	}
	return by, unknown
}

// TestLawNothingGuardedIsMilderWithoutApproval has everybody write whatever occurs to him. What a guarded directive denies it goes on to
// deny, and what only tightens needs nobody's approval.
func TestLawNothingGuardedIsMilderWithoutApproval(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	defer func() {
		if t.Failed() {
			t.Logf("-seed %d repeats it", seed)
		}
	}()
	h, g := openGuarded(t)
	w := &writing{T: t, Rand: rand.New(rand.NewPCG(seed, 0)), house: h, guard: g}
	w.settle()
	list := questions(t)
	first, _ := h.suspended(list)
	refusals := make(map[string]int)
	for range 250 {
		tighten := w.IntN(4) == 0
		method, ask := w.loosening()
		if tighten {
			method, ask = w.tightening()
		}
		reason := w.write(method, ask)
		if refusals[reason]++; tighten && reason == "APPROVAL_REQUIRED" {
			t.Errorf("%s %s only tightens, and is refused for want of approval", method, ask)
		}
		if reason != "" {
			continue
		}
		now, unknown := h.suspended(list)
		for denial := range first {
			if question, _, _ := strings.Cut(denial, " by "); !now[denial] && !unknown[question] {
				t.Fatalf("after %s %s, this is no more denied: %s", method, ask, denial)
			}
		}
	}
	t.Logf("%d denials; writes by why they were refused: %v", len(first), refusals)
	if len(first) == 0 || refusals[""] < 10 || refusals["APPROVAL_REQUIRED"] < 10 {
		t.Errorf("too little was tried: %d denials, %v", len(first), refusals)
	}
}

// settle makes what there is to begin with.
func (w *writing) settle() {
	h := w.house
	for _, o := range []string{`id: "home"`, `id: "city" parent: "home"`, `id: "school" parent: "city"`, `id: "office" parent: "home"`, `id: "zz"`, `id: "zz-city" parent: "zz"`} {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { `+o+` } reason: "r"`)
	}
	for _, v := range []string{`id: "parent"`, `id: "naver" countries { country: "KR" }`, `id: "us"`} {
		do(h, h.registry.PutVendor, &teishiv1.PutVendorRequest{}, `vendor { `+v+` } reason: "r"`)
	}
	for _, a := range []string{`id: "line" ownerships { vendor: "naver" }`, `id: "chat" tags: "sns"`, `id: "other"`} {
		do(h, h.registry.PutApp, &teishiv1.PutAppRequest{}, `app { `+a+` } reason: "r"`)
	}
	for id, target := range map[string]string{"halt-app": `app: "line"`, "halt-tag": `tag: "sns"`, "halt-all": `vendor: "naver"`, "free": `app: "other"`} {
		approvals := `lift_approvals: 2`
		if id == "free" {
			approvals = ""
		}
		do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, fmt.Sprintf(`directive { id: %q authority: "home" effective_time { seconds: 1600000000 } %s
			provisions { id: "p" force: FORCE_BINDING selector { organizations { in: "home" } targets { in { %s } } } } concerns { id: "a" } concerns { id: "b" }
			lift_mode: LIFT_MODE_WHEN_CONCERNS_RESOLVED exemption_rules { approver: APPROVER_SUBJECT grounds { id: "g" } } } reason: "r"`, id, approvals, target))
	}
	h.grant("cn:root", "administrator", "*")
	h.grant("cn:issuer", "issuer", "home")
	h.grant("cn:approver", "approver", "city")
	h.grant("cn:registrar", "registrar", "*")
	h.grant("cn:registrar", "issuer", "*")
	h.grant("cn:scribe", "registrar", "home")
	h.grant("cn:admin", "administrator", "home")
}
