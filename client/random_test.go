package client_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/client"
)

// dice makes policies and questions.
type dice struct {
	*rand.Rand
	now time.Time
}

func pick[T any](d *dice, list ...T) T { return list[d.IntN(len(list))] }

func (d *dice) once(in int) bool { return d.IntN(in) == 0 }

// some returns some of the list, one at least, each behind the field.
func (d *dice) some(field string, list ...string) string {
	var b strings.Builder
	for _, i := range d.Perm(len(list))[:1+d.IntN(2)] {
		fmt.Fprintf(&b, "%s: %q ", field, list[i])
	}
	return b.String()
}

// within returns an instant some days around now.
func (d *dice) within() time.Time {
	return d.now.Add(time.Duration(d.Int64N(int64(96*time.Hour))) - 48*time.Hour).Truncate(time.Hour)
}

func (d *dice) window() string {
	w := ""
	if d.once(2) {
		w += fmt.Sprintf("effective_time { seconds: %d } ", d.within().Unix())
	}
	if d.once(3) {
		w += fmt.Sprintf("expire_time { seconds: %d } ", d.within().Add(72*time.Hour).Unix())
	}
	return w
}

func (d *dice) conditions() string {
	all := []string{
		`conditions { attribute: "data-sensitivity" ` + d.some("values", "public", "internal", "confidential", "secret") + `} `,
		`conditions { attribute: "device" ` + d.some("values", "personal", "contractor", "government-issued") + `} `,
		`conditions { attribute: "account" values: "official" } `,
		`conditions { attribute: "platform" ` + d.some("values", "ios", "web") + `} `,
	}
	c := ""
	for _, i := range d.Perm(len(all))[:d.IntN(3)] {
		c += all[i]
	}
	return c
}

func (d *dice) targets() string {
	return "in { " + pick(d, `app: "line"`, `app: "mail"`, `tag: "sns"`, `vendor: "naver"`, `country: "KR"`) + " } "
}

func (d *dice) purposes() string {
	if d.once(2) {
		return ""
	}
	return "purposes { " + d.some("in", "feedback", "feedback.opinion", "service", "internal.messaging") + pick(d, "", `out: "service.payment"`) + " } "
}

func (d *dice) selector(organizations string) string {
	targets := "targets { " + pick(d, d.targets(), d.targets(), "all: true ") + pick(d, "", `out { app: "mail" }`) + " } "
	return "selector { organizations { " + organizations + " } " + targets + d.purposes() + d.conditions() + d.window() + " } "
}

func (d *dice) obligations() string {
	return pick(d, "", `obligations { id: "log" text: "Keep a log" } `, `obligations { id: "report" } obligations { id: "log" text: "Keep a log" } `)
}

func (d *dice) hole() string {
	return "selector { " + d.purposes() + d.conditions() + d.window() + "} " + d.obligations()
}

func (d *dice) provision(id string) string {
	organizations := d.some("in", "jp", "mic", "city", "school") + pick(d, "", "", `out: "school" `, `kinds: "municipality" `)
	return fmt.Sprintf(`provisions { id: %q force: %s message { key: %q value: %q } %s alternatives { id: %q } } `, id,
		pick(d, "FORCE_BINDING", "FORCE_BINDING", "FORCE_ADVISORY"), pick(d, "ja", "en", "fr"), "message of "+id, d.selector(organizations), pick(d, "phone", "post"))
}

// directive is one of the state, with carve-outs and grounds.
func (d *dice) directive(id string) string {
	text := fmt.Sprintf(`id: %q authority: "jp" number: "No. %s" title { key: "en" value: "Title of %s" } title { key: "ja" value: "題" } `, id, id, id)
	text += pick(d, "", `sources { uri: "https://example.org/" } `, `sources { text: "a" } sources { uri: "https://example.org/b" text: "b" } `)
	for i := range 1 + d.IntN(3) {
		text += d.provision(fmt.Sprintf("p%d", i))
	}
	for i := range d.IntN(3) {
		text += fmt.Sprintf(`carve_outs { id: "c%d" %s } `, i, d.hole())
	}
	return text + `exemption_rules { approver: APPROVER_AUTHORITY grounds { id: "disaster" } longest_duration { seconds: 2592000 } obligations { id: "monthly" text: "Report monthly" } } `
}

// govern withdraws what was issued in the round before, issues and lifts directives at random, and returns how many.
func (d *dice) govern(h *house, round int) (issued int) {
	for i := range 6 {
		_, _ = h.directives.WithdrawDirective(h.t.Context(), &teishiv1.WithdrawDirectiveRequest{Directive: fmt.Sprintf("d%d-%d", round-1, i), Reason: "x"})
		id := fmt.Sprintf("d%d-%d", round, i)
		_, err := h.directives.IssueDirective(h.t.Context(), text(h.t, &teishiv1.IssueDirectiveRequest{}, `directive { `+d.directive(id)+` } reason: "x"`))
		if err != nil {
			continue // it was not lawful
		}
		issued++
		if d.once(2) {
			_, _ = h.directives.LiftDirective(h.t.Context(), text(h.t, &teishiv1.LiftDirectiveRequest{}, fmt.Sprintf(`directive: %q release: "lift" reason: "x" %s`, id, d.hole())))
		}
		if d.once(2) {
			expiry := d.now.Add(48 * time.Hour).Unix()
			_, _ = h.directives.GrantExemption(h.t.Context(), text(h.t, &teishiv1.GrantExemptionRequest{}, fmt.Sprintf(`directive: %q release: "grant" ground: "disaster"
				justification: "x" reason: "x" selector { organizations { in: "mic" } %s expire_time { seconds: %d } } %s`, id, d.conditions(), expiry, d.obligations())))
		}
	}
	return issued
}

// query asks about what there is, mostly.
func (d *dice) query() client.Query {
	q := client.Query{
		Organization: pick(d, "jp", "mic", "city", "school", "corporate-number:2000012020001", "nobody"),
		App:          pick(d, "line", "line", "mail", "ios:jp.naver.line", "domain:www.line.me.", "domain:例え.jp", "ios:org.example", "domain:x.example", "nothing", "x:y"),
		Purpose:      pick(d, "", "feedback", "feedback.opinion", "service", "service.payment", "internal.messaging", "none"),
		Language:     pick(d, "", "ja", "en-GB", "de"),
		Attributes:   make(map[string]string),
	}
	d.state(q.Attributes, "data-sensitivity", "public", "internal", "confidential", "secret", "top")
	d.state(q.Attributes, "device", "personal", "contractor.incidental", "government-issued")
	d.state(q.Attributes, "account", "official", "personal")
	d.state(q.Attributes, "platform", "ios", "linux")
	if d.once(8) {
		q.Attributes["colour"] = "red"
	}
	return q
}

func (d *dice) state(attributes map[string]string, name string, values ...string) {
	if d.once(2) {
		attributes[name] = pick(d, values...)
	}
}
