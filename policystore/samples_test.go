package policystore_test

import (
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/teishi-dev/teishi/policy"
)

// samples returns a resource of each kind with everything set, between them every value of every enum but the defaults.
func samples() []policy.Resource {
	text := policy.TextOf(map[string]string{"ja": "停止", "en": "halt"})
	labels := map[string]string{"region": "kanto"}
	window := policy.Window{Start: 1, End: 2_000_000}
	return []policy.Resource{
		&policy.Organization{ID: "jp-mic", Names: text, Kind: "ministry", Parent: "jp", Aliases: []string{"corporate-number:2000012020001"}, Labels: labels, Retired: true},
		&policy.Vendor{
			ID: "naver", Names: text, Labels: labels, Retired: true,
			Parents:   []policy.VendorPeriod{{Vendor: "softbank", Window: window}},
			Countries: []policy.CountryPeriod{{Country: "KR", Window: window}},
		},
		&policy.App{
			ID: "line", Names: text, Tags: []string{"sns"}, Identifiers: []string{"ios:jp.naver.line"}, Labels: labels, Retired: true,
			Ownerships: []policy.VendorPeriod{{Vendor: "naver", Window: window}},
			OnStale:    policy.StaleDeny,
		},
		&policy.Purpose{ID: "feedback.opinion", Names: text, Retired: true},
		&policy.Attribute{ID: "act", Names: text, Values: []string{"use", "install"}, Retired: true},
		sampleDirective(),
		sampleRelease(policy.Exemption, "halt", 1_500_000),
		&policy.ConcernState{Directive: "halt", Concern: "access", Resolved: true, Evidence: "report", ResolvedBy: "local", Time: 5},
		&policy.Grant{ID: "alice", Principal: "user:https://issuer.example#alice", Role: policy.Exempter, Organization: "jp-mic", Identity: "employee-1"},
		&policy.Proposal{
			ID: "lift", Proposer: "cn:bob", Groups: []string{"group:https://issuer.example#a"}, Identities: []string{"employee-2"}, Change: []byte{1, 2, 3}, Base: []policy.BaseRevision{{Key: policy.Key{Kind: policy.KindRelease, Directive: "halt", ID: "hole"}, Changed: 7}},
			Needs: []policy.ApprovalNeed{{Directive: "halt", Approvals: 2}}, Window: window, Proposed: 9,
			Approvals: []policy.Approval{{Principal: "cn:carol", Groups: []string{"group:https://issuer.example#b"}, Identities: []string{"employee-3"}, Time: 8}}, Applied: 11,
		},
		&policy.Statement{Directive: "halt", ID: "reply", Author: "naver", Text: "we moved it", Sources: []policy.Source{{URI: "https://example.org/", Text: "reply"}}, Time: -5},
	}
}

func sampleDirective() *policy.Directive {
	carveOut := *sampleRelease(policy.CarveOut, "halt", policy.Forever)
	return &policy.Directive{
		ID: "halt", Number: "第1号", Title: policy.TextOf(map[string]string{"ja": "停止"}), Authority: "jp-mic", IssuingOffice: "office", LegalBasis: "law", Rationale: "why",
		Sources: []policy.Source{{URI: "https://example.org/", Text: "text"}},
		Provisions: []policy.Provision{
			{ID: "all", Selector: sampleSelector(), Force: policy.Binding, Message: policy.TextOf(map[string]string{"en": "no"}), Alternatives: []policy.Alternative{{ID: "form", Text: "a form", URI: "https://example.org/form"}}},
			{ID: "advice", Selector: sampleSelector(), Force: policy.Advisory, Message: policy.TextOf(map[string]string{"en": "better not"}), Alternatives: []policy.Alternative{{ID: "form", Text: "a form", URI: "https://example.org/form"}}},
		},
		CarveOuts:    []policy.Release{carveOut},
		LiftMode:     policy.LiftWhenConcernsResolved,
		DeviceAction: policy.DeviceBlock, LiftApprovals: 2,
		Window:     policy.Window{Start: 10, End: 20_000_000},
		Supersedes: []string{"older"},
		Concerns:   []policy.Concern{{ID: "access", Text: "from abroad"}},
		ExemptionRules: &policy.ExemptionRules{
			Grounds: []policy.Ground{{ID: "disaster", Text: "disaster response"}}, Approver: policy.ApproverSubject, LongestDuration: 36*time.Hour + time.Microsecond,
			Obligations: []policy.Obligation{{ID: "log", Text: "keep a log"}}, NotWhole: []string{"ministry"},
		},
		Withdrawal:  &policy.Withdrawal{Time: 3, Reason: "void"},
		AdoptedFrom: &policy.AdoptedFrom{Directive: "original", Revision: 4},
	}
}

func sampleRelease(kind policy.ReleaseKind, directive string, end policy.Instant) *policy.Release {
	return &policy.Release{
		ID: "hole", Directive: directive, Kind: kind, Provisions: []string{"all"}, Selector: sampleSelector(),
		Obligations: []policy.Obligation{{ID: "watch", Text: "watch it"}}, Instrument: "partial", EndTime: end,
		Ground: "disaster", Justification: "flood", Approver: "the mayor", GrantedBy: "cn:alice",
	}
}

func sampleSelector() policy.Selector {
	target := policy.Target{App: "line", Vendor: "naver", Tag: "sns", Country: "KR"}
	return policy.Selector{
		Organizations: policy.OrganizationSelector{All: true, In: []string{"jp"}, Out: []string{"jp-mod"}, Kinds: []string{"ministry"}},
		Targets:       policy.TargetSelector{All: true, In: []policy.Target{target}, Out: []policy.Target{target}},
		Purposes:      policy.PurposeSelector{In: []string{"feedback"}, Out: []string{"feedback.chatbot"}},
		Conditions:    []policy.Condition{{Attribute: "act", Values: []string{"use"}}},
		Window:        policy.Window{Start: 7, End: 9_000_001},
	}
}

// wantNoZero finds what a sample leaves zero, so that it would not be missed if it got lost.
func wantNoZero(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if v.IsZero() {
		t.Errorf("the sample leaves %s zero", path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		wantNoZero(t, v.Elem(), path)
	case reflect.Struct:
		for i := range v.NumField() {
			wantNoZero(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		for i := range v.Len() {
			wantNoZero(t, v.Index(i), path+"[]")
		}
	}
}

// reachable returns the message types that one of this type can hold, itself first; entries of maps are no types.
func reachable(d protoreflect.MessageDescriptor) []protoreflect.MessageDescriptor {
	list := []protoreflect.MessageDescriptor{d}
	seen := map[protoreflect.FullName]bool{d.FullName(): true}
	for i := 0; i < len(list); i++ {
		for j := range list[i].Fields().Len() {
			m := list[i].Fields().Get(j).Message()
			if m != nil && !m.IsMapEntry() && !seen[m.FullName()] {
				seen[m.FullName()] = true
				list = append(list, m)
			}
		}
	}
	return list
}

// eachMessage visits m and every message in it.
func eachMessage(m protoreflect.Message, visit func(protoreflect.Message)) {
	visit(m)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				eachMessage(v.List().Get(i).Message(), visit)
			}
		default:
			eachMessage(v.Message(), visit)
		}
		return true
	})
}
