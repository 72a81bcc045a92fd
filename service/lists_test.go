package service_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

// decided is a listed decision in short.
func decided(d *teishiv1.ListedDecision) string {
	return fmt.Sprintf("%s %s %s %s", d.Query.Organization, d.Query.App, d.Query.Purpose, strings.TrimPrefix(d.Response.Outcome.String(), "OUTCOME_"))
}

// list asks for all pages of a list of decisions.
func (h *house) list(format string, between func()) (all []string, pages int) {
	h.t.Helper()
	req := text(h.t, &teishiv1.ListDecisionsRequest{}, format)
	var revision int64
	var at time.Time
	for {
		resp, err := h.decisions.ListDecisions(h.t.Context(), req)
		if err != nil {
			h.t.Fatal(describe(err))
		}
		for _, d := range resp.Decisions {
			all = append(all, decided(d))
			if pages == 0 {
				revision, at = d.Response.Revision, d.Response.DecisionTime.AsTime()
			}
			if d.Response.Revision != revision || !d.Response.DecisionTime.AsTime().Equal(at) {
				h.t.Errorf("page %d is of revision %d at %v, want %d at %v", pages, d.Response.Revision, d.Response.DecisionTime.AsTime(), revision, at)
			}
		}
		pages++
		if resp.NextPageToken == "" {
			return all, pages
		}
		req.PageToken = resp.NextPageToken
		between()
	}
}

func TestListDecisions(t *testing.T) {
	h := open(t)
	h.suspend()
	nothing := func() {}
	got, _ := h.list(`organization: "*" app: "line" purpose: "service"`, nothing)
	want := []string{"city line service ALLOWED", "jp line service ALLOWED", "mic line service DENIED", "school line service ALLOWED"}
	if !slices.Equal(got, want) {
		t.Errorf("of every organization: %q, want %q", got, want)
	}
	got, pages := h.list(`organization: "mic" app: "*" purpose: "*" page_size: 7`, nothing)
	if n := len(do(h, h.registry.ListPurposes, &teishiv1.ListPurposesRequest{}, ``).Purposes); len(got) != n || pages != (n+6)/7 {
		t.Errorf("of every app and purpose: %d in %d pages, want %d", len(got), pages, n)
	}
	if !slices.IsSorted(got) {
		t.Errorf("not in order: %q", got)
	}
	got, _ = h.list(`organization: "corporate-number:2000012020001" app: "line"`, nothing)
	if !slices.Equal(got, []string{"corporate-number:2000012020001 line  DENIED"}) {
		t.Errorf("without a star: %q", got)
	}
}

// TestListIsPinned writes between two pages.
func TestListIsPinned(t *testing.T) {
	clock := time.Now()
	h := open(t, func(c *service.Config) {
		c.Clock = func() (time.Time, []time.Time) { clock = clock.Add(time.Second); return clock, nil }
	})
	h.settle()
	got, pages := h.list(`organization: "*" app: "line" page_size: 1`, func() {
		if h.head() < 13 {
			do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(`organization { id: "between-%d" } reason: "x"`, h.head()))
			do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+strings.Replace(halt, `"halt"`, fmt.Sprintf(`"halt-%d"`, h.head()), 1)+` } reason: "x"`)
		}
	})
	want := []string{"city line  ALLOWED", "jp line  ALLOWED", "mic line  ALLOWED", "school line  ALLOWED"}
	if !slices.Equal(got, want) || pages != 4 {
		t.Errorf("%q in %d pages, want %q in 4", got, pages, want)
	}
}

// TestOvertakenPage is not to be cached and says that it is not fresh.
func TestOvertakenPage(t *testing.T) {
	h := open(t)
	h.settle()
	req := text(t, &teishiv1.ListDecisionsRequest{}, `organization: "*" app: "line" page_size: 2`)
	first, err := h.decisions.ListDecisions(t.Context(), req)
	h.must(err)
	if c := first.Decisions[0].Response; c.Freshness.State != teishiv1.Freshness_STATE_FRESH || !c.CacheUntilTime.AsTime().After(c.DecisionTime.AsTime()) {
		t.Errorf("first page: %v, cache until %v", c.Freshness, c.CacheUntilTime)
	}
	do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, `purpose { id: "new" } reason: "x"`)
	req.PageToken = first.NextPageToken
	second, err := h.decisions.ListDecisions(t.Context(), req)
	h.must(err)
	if c := second.Decisions[0].Response; c.Freshness.State != teishiv1.Freshness_STATE_STALE || !c.CacheUntilTime.AsTime().Equal(c.DecisionTime.AsTime()) {
		t.Errorf("overtaken page: %v, decided %v, cache until %v", c.Freshness, c.DecisionTime, c.CacheUntilTime)
	}
}

func TestBadList(t *testing.T) {
	h := open(t)
	h.suspend()
	of := func(format string, want problem) {
		t.Helper()
		refused(h, h.decisions.ListDecisions, &teishiv1.ListDecisionsRequest{}, format, want)
	}
	of(`organization: "*" app: "*"`, invalid("app"))
	of(`organization: "*"`, invalid("app"))
	of(`app: "*"`, invalid("organization"))
	of(`organization: "*" app: "line" page_size: -1`, invalid("page_size"))
	of(`organization: "*" app: "line" page_token: "AAAA"`, invalid("page_token"))
	of(`organization: "*" app: "line" as_of_revision: 1 as_of_time {}`, invalid("as_of_time"))

	token := func(format string) string {
		t.Helper()
		return do(h, h.decisions.ListDecisions, &teishiv1.ListDecisionsRequest{}, format).NextPageToken
	}
	mine := token(`organization: "*" app: "line" page_size: 1`)
	of(`organization: "*" app: "line" purpose: "service" page_token: "`+mine+`"`, invalid("page_token"))
	of(`organization: "*" app: "line" at {} page_token: "`+mine+`"`, invalid("page_token"))
	of(`organization: "*" app: "ios:jp.naver.line" page_token: "`+mine+`"`, invalid("page_token"))
	of(`organization: "*" app: "line" page_token: "`+mine[:len(mine)-2]+`"`, invalid("page_token"))
	refused(h, h.registry.ListApps, &teishiv1.ListAppsRequest{}, `page_token: "`+mine+`"`, invalid("page_token"))
	for i := range len(mine) / 4 * 3 {
		req := text(t, &teishiv1.ListDecisionsRequest{}, `organization: "*" app: "line" page_token: "`+altered(t, mine, i)+`"`)
		if page, err := h.decisions.ListDecisions(t.Context(), req); err == nil {
			t.Errorf("a token of which byte %d is another is answered by %v", i, page)
		}
	}
	if other := token(`organization: "*" app: "line" page_size: 2 page_token: "` + mine + `"`); other == "" {
		t.Error("another page size ends the list")
	}
	organizations := do(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `page_size: 1`).NextPageToken
	refused(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `under: "city" page_token: "`+organizations+`"`, invalid("page_token"))
	refused(h, h.registry.ListVendors, &teishiv1.ListVendorsRequest{}, `page_token: "`+organizations+`"`, invalid("page_token"))
	refused(h, h.audit.ListEntries, &teishiv1.ListEntriesRequest{}, `page_token: "`+organizations+`"`, invalid("page_token"))
}

// TestRegistryLists pages through each kind.
func TestRegistryLists(t *testing.T) {
	h := open(t)
	h.suspend()
	var ids []string
	token := ""
	for {
		page := do(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `under: "jp" page_size: 3 page_token: "`+token+`"`)
		for _, o := range page.Organizations {
			ids = append(ids, o.Id)
			if o.Revision == 0 {
				t.Errorf("organization %s shows no revision", o.Id)
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "town" parent: "jp" } reason: "x"`)
	}
	if want := []string{"city", "jp", "mic", "school"}; !slices.Equal(ids, want) {
		t.Errorf("organizations = %q, want %q", ids, want)
	}
	if got := do(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `under: "city"`).Organizations; len(got) != 2 {
		t.Errorf("under the city: %v", got)
	}
	if got := do(h, h.registry.ListVendors, &teishiv1.ListVendorsRequest{}, ``).Vendors; len(got) != 2 {
		t.Errorf("vendors = %v", got)
	}
	if got := do(h, h.registry.ListApps, &teishiv1.ListAppsRequest{}, ``).Apps; len(got) != 1 || got[0].Id != "line" {
		t.Errorf("apps = %v", got)
	}
	if got := do(h, h.registry.ListAttributes, &teishiv1.ListAttributesRequest{}, ``).Attributes; len(got) != 7 {
		t.Errorf("attributes = %v", got)
	}
	if got := do(h, h.directives.ListDirectives, &teishiv1.ListDirectivesRequest{}, `authority: "jp"`).Directives; len(got) != 1 {
		t.Errorf("directives of the state = %v", got)
	}
	if got := do(h, h.directives.ListDirectives, &teishiv1.ListDirectivesRequest{}, `authority: "city"`).Directives; len(got) != 0 {
		t.Errorf("directives of the city = %v", got)
	}
}

// TestListReleases pages through more releases than are shown with their directive, and grants another meanwhile.
func TestListReleases(t *testing.T) {
	const total = 250
	h := open(t)
	h.settle()
	carved := strings.Replace(halt, `exemption_rules`, `carve_outs { id: "fire" selector { purposes { in: "service" } } } exemption_rules`, 1)
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+carved+` } reason: "x"`)
	do(h, h.directives.IssueDirective, &teishiv1.IssueDirectiveRequest{}, `directive { `+strings.Replace(halt, `"halt"`, `"other"`, 1)+` } reason: "x"`)
	grant := func(id string) {
		t.Helper()
		req := exemption(h)
		req.Release = id
		_, err := h.directives.GrantExemption(t.Context(), req)
		h.must(err)
	}
	want := make([]string, total)
	for i := range total {
		want[i] = fmt.Sprintf("e-%03d", i)
		grant(fmt.Sprintf("e-%03d", i*7%total))
	}
	shown := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "halt"`)
	if got := releaseIDs(shown.Releases); !slices.Equal(got, want[:100]) || shown.ReleasesTotal != total {
		t.Errorf("GetDirective shows %q of %d, want %q of %d", got, shown.ReleasesTotal, want[:100], total)
	}
	var got []string
	var pages []int
	token := ""
	for {
		page := do(h, h.directives.ListReleases, &teishiv1.ListReleasesRequest{}, `directive: "halt" page_token: "`+token+`"`)
		got = append(got, releaseIDs(page.Releases)...)
		pages = append(pages, len(page.Releases))
		if page.Revision != shown.Revision || page.Releases[0].Revision == 0 {
			t.Errorf("page %d is of revision %d, want %d, and its first release shows revision %d", len(pages), page.Revision, shown.Revision, page.Releases[0].Revision)
		}
		if token = page.NextPageToken; token == "" {
			break
		}
		refused(h, h.directives.ListReleases, &teishiv1.ListReleasesRequest{}, `directive: "other" page_token: "`+token+`"`, invalid("page_token"))
		grant(fmt.Sprintf("e-249-%d", len(pages)))
	}
	if !slices.Equal(got, want) || !slices.Equal(pages, []int{100, 100, 50}) {
		t.Errorf("ListReleases = %q in pages of %d, want %q", got, pages, want)
	}
	if other := do(h, h.directives.ListReleases, &teishiv1.ListReleasesRequest{}, `directive: "other"`); len(other.Releases) != 0 || other.NextPageToken != "" {
		t.Errorf("releases of a directive without any = %v", other)
	}
}

// TestShownReleasesFit has a directive with releases that are more than a message holds.
func TestShownReleasesFit(t *testing.T) {
	h := open(t)
	h.suspend()
	var obligations []*teishiv1.Obligation
	for i := range 100 {
		obligations = append(obligations, &teishiv1.Obligation{Id: fmt.Sprintf("o-%d", i), Text: strings.Repeat("x", 8000)})
	}
	for i := range 6 {
		req := exemption(h)
		req.Release, req.Obligations = fmt.Sprintf("e-%d", i), obligations
		_, err := h.directives.GrantExemption(t.Context(), req)
		h.must(err)
	}
	shown := do(h, h.directives.GetDirective, &teishiv1.GetDirectiveRequest{}, `id: "halt"`)
	if len(shown.Releases) != 4 || shown.ReleasesTotal != 6 {
		t.Errorf("GetDirective shows %d of %d, want 4 of 6", len(shown.Releases), shown.ReleasesTotal)
	}
}

func releaseIDs(releases []*teishiv1.Release) (ids []string) {
	for _, r := range releases {
		ids = append(ids, r.Id)
	}
	return ids
}

// TestPageBytes lists what does not fit into a message together.
func TestPageBytes(t *testing.T) {
	h := open(t)
	names := ""
	for i := range 100 {
		names += fmt.Sprintf(`names { key: "aa-%03d" value: "%s" } `, i, strings.Repeat("n", 8000))
	}
	for i := range 6 {
		do(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, fmt.Sprintf(`organization { id: "o%d" %s } reason: "x"`, i, names))
	}
	page := do(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, ``)
	if len(page.Organizations) != 4 || page.NextPageToken == "" {
		t.Errorf("a page of %d, next %q, want 4 and more to come", len(page.Organizations), page.NextPageToken)
	}
	rest := do(h, h.registry.ListOrganizations, &teishiv1.ListOrganizationsRequest{}, `page_token: "`+page.NextPageToken+`"`)
	if len(rest.Organizations) != 2 || rest.NextPageToken != "" {
		t.Errorf("the rest has %d, next %q, want 2 and no more", len(rest.Organizations), rest.NextPageToken)
	}
	entries := do(h, h.audit.ListEntries, &teishiv1.ListEntriesRequest{}, `from_revision: 2`)
	if len(entries.Entries) != 2 || entries.NextPageToken == "" {
		t.Errorf("a page of %d entries, want 2 and more to come", len(entries.Entries))
	}
	names += fmt.Sprintf(`names { key: "bb" value: "%s" } `, strings.Repeat("n", 8000)) // with its like, more than fits an entry
	for i := range 40 {
		names += fmt.Sprintf(`names { key: "cc-%03d" value: "%s" } `, i, strings.Repeat("n", 8000))
	}
	refused(h, h.registry.PutOrganization, &teishiv1.PutOrganizationRequest{}, `organization { id: "o" `+names+` } reason: "x"`,
		problem{code: codes.ResourceExhausted, reason: "ENTRY_TOO_LARGE"})
}

func TestAudit(t *testing.T) {
	h := open(t)
	h.suspend()
	var revisions []int64
	token := ""
	for {
		page := do(h, h.audit.ListEntries, &teishiv1.ListEntriesRequest{}, `from_revision: 3 page_size: 2 page_token: "`+token+`"`)
		for _, e := range page.Entries {
			revisions = append(revisions, e.Entry.Revision)
			if e.Entry.Principal != "local" || len(e.Changes.GetChanges()) != 1 || len(e.Entry.Hash) != 32 {
				t.Errorf("entry %v", e)
			}
		}
		if token = page.NextPageToken; token == "" {
			break
		}
		if h.head() < 20 {
			do(h, h.registry.PutPurpose, &teishiv1.PutPurposeRequest{}, fmt.Sprintf(`purpose { id: "p%d" } reason: "x"`, h.head()))
		}
	}
	if want := []int64{3, 4, 5, 6, 7, 8, 9}; !slices.Equal(revisions, want) {
		t.Errorf("revisions %v, want %v", revisions, want)
	}
	entry := do(h, h.audit.GetEntry, &teishiv1.GetEntryRequest{}, `revision: 9`).Entry
	if entry.Entry.Method != "teishi.v1.DirectiveService/IssueDirective" || entry.Entry.Reason != "suspend" || entry.Entry.RequestId == "" {
		t.Errorf("entry 9 = %v", entry.Entry)
	}
	if got := entry.Changes.Changes[0].GetPut().GetDirective().GetId(); got != "halt" {
		t.Errorf("entry 9 puts directive %q", got)
	}
}

// altered returns a token whose i-th byte is another.
func altered(t *testing.T, token string, i int) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	b[i] ^= 2
	return base64.RawURLEncoding.EncodeToString(b)
}
