package k8s_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// end is where a flow may begin or end: a pod, ours or another's.
type end struct {
	name      string
	namespace map[string]string // its labels; nil for what is outside the cluster
	pod       map[string]string
	ours      bool
	open      map[string]int32 // of ours, ports by name
}

// want is every flow that there may be. Whatever else is tried is denied.
var want = map[string][]string{
	"base": {
		"teishi-authority → dns TCP 53", "teishi-authority → dns UDP 53",
		"teishi-authority → postgres TCP 5432",
		"teishi-authority → redis TCP 26379", "teishi-authority → redis TCP 6379",
		"teishi-decision-point → dns TCP 53", "teishi-decision-point → dns UDP 53",
		"teishi-decision-point → redis TCP 26379", "teishi-decision-point → redis TCP 6379",
		"teishi-decision-point → teishi-authority TCP 50051",
		"teishi-migrate → dns TCP 53", "teishi-migrate → dns UDP 53",
		"teishi-migrate → postgres TCP 5432",
		"caller → teishi-decision-point TCP 50051",
		"prometheus → teishi-authority TCP 9090", "prometheus → teishi-decision-point TCP 9090",
	},
	"overlays/production": {
		"teishi-authority → dns TCP 53", "teishi-authority → dns UDP 53",
		"teishi-authority → issuer TCP 443",
		"teishi-authority → postgres TCP 5432",
		"teishi-authority → redis TCP 26379", "teishi-authority → redis TCP 6379",
		"teishi-decision-point → dns TCP 53", "teishi-decision-point → dns UDP 53",
		"teishi-decision-point → issuer TCP 443",
		"teishi-decision-point → redis TCP 26379", "teishi-decision-point → redis TCP 6379",
		"teishi-decision-point → teishi-authority TCP 50051",
		"teishi-migrate → dns TCP 53", "teishi-migrate → dns UDP 53",
		"teishi-migrate → postgres TCP 5432",
		"administrator → teishi-authority TCP 50051",
		"caller → teishi-decision-point TCP 50051",
		"prometheus → teishi-authority TCP 9090", "prometheus → teishi-decision-point TCP 9090",
	},
	"overlays/dev": {
		"teishi-decision-point → dns TCP 53", "teishi-decision-point → dns UDP 53",
		"caller → teishi-decision-point TCP 50051",
		"prometheus → teishi-decision-point TCP 9090",
	},
}

// others are whom our pods may meet, and some whom they must not.
func others() []end {
	in := func(name string, more ...string) map[string]string {
		all := map[string]string{corev1.LabelMetadataName: name}
		for _, label := range more {
			all[label] = "true"
		}
		return all
	}
	return []end{
		{name: "dns", namespace: in("kube-system"), pod: map[string]string{"k8s-app": "kube-dns"}},
		{name: "kube-system", namespace: in("kube-system"), pod: map[string]string{"k8s-app": "other"}},
		{name: "caller", namespace: in("agency", "teishi-caller")},
		{name: "administrator", namespace: in("office", "teishi-administrator")},
		{name: "issuer", namespace: in("identity", "teishi-issuer")},
		{name: "prometheus", namespace: in("monitoring", "teishi-prometheus")},
		{name: "postgres", namespace: in("databases", "teishi-postgres")},
		{name: "redis", namespace: in("caches", "teishi-redis")},
		{name: "neighbour", namespace: in("teishi"), pod: map[string]string{"app.kubernetes.io/name": "other"}, ours: true},
		{name: "stranger", namespace: in("stranger")},
		{name: "impostor", namespace: in("stranger"), pod: map[string]string{
			"app.kubernetes.io/name": "teishi", "app.kubernetes.io/component": "decision-point"}},
		{name: "internet"},
	}
}

// TestFlows tries ports from everywhere to everywhere, as a network does that enforces the policies.
func TestFlows(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		ends := append(m.ends(), others()...)
		var got []string
		for _, from := range ends {
			for _, to := range ends {
				if from.ours || to.ours {
					got = append(got, m.flows(t, from, to)...)
				}
			}
		}
		wanted := slices.Sorted(slices.Values(want[m.directory]))
		slices.Sort(got)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("flows (-want +got):\n%s", diff)
		}
	})
}

// ends are the kinds of pods that there are.
func (m *manifests) ends() []end {
	var all []end
	for _, p := range m.pods {
		e := end{name: p.owner, namespace: map[string]string{corev1.LabelMetadataName: p.namespace}, pod: p.meta.Labels, ours: true,
			open: map[string]int32{}}
		for _, port := range p.container().Ports {
			e.open[port.Name] = port.ContainerPort
		}
		all = append(all, e)
	}
	return all
}

// flows are those from one end to another that neither end's policies deny. The ports tried are those that anybody has,
// and one that nobody has.
func (m *manifests) flows(t *testing.T, from, to end) []string {
	var all []string
	for _, port := range []int32{1, 53, 443, 5432, 6379, 9090, 26379, 50051} {
		for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP} {
			f := flow{from, to, port, protocol}
			if m.permits(t, f, networkingv1.PolicyTypeEgress) && m.permits(t, f, networkingv1.PolicyTypeIngress) {
				all = append(all, fmt.Sprintf("%s → %s %s %d", from.name, to.name, protocol, port))
			}
		}
	}
	return all
}

type flow struct {
	from, to end
	port     int32
	protocol corev1.Protocol
}

// permits reports whether a flow may leave where it begins, or enter where it ends. Of others we have no policies.
func (m *manifests) permits(t *testing.T, f flow, direction networkingv1.PolicyType) bool {
	here, there := f.to, f.from
	if direction == networkingv1.PolicyTypeEgress {
		here, there = f.from, f.to
	}
	permitted := true // what no policy is about
	for _, p := range m.policies {
		if !slices.Contains(p.Spec.PolicyTypes, direction) || !here.ours || !matches(t, &p.Spec.PodSelector, here.pod) {
			continue
		}
		if slices.ContainsFunc(rules(p, direction), func(r rule) bool { return r.permits(t, p.Namespace, there, f) }) {
			return true
		}
		permitted = false
	}
	return permitted
}

// rule is one of either direction.
type rule struct {
	peers []networkingv1.NetworkPolicyPeer
	ports []networkingv1.NetworkPolicyPort
}

func rules(p *networkingv1.NetworkPolicy, direction networkingv1.PolicyType) []rule {
	var all []rule
	if direction == networkingv1.PolicyTypeIngress {
		for _, r := range p.Spec.Ingress {
			all = append(all, rule{r.From, r.Ports})
		}
		return all
	}
	for _, r := range p.Spec.Egress {
		all = append(all, rule{r.To, r.Ports})
	}
	return all
}

func (r rule) permits(t *testing.T, namespace string, there end, f flow) bool {
	peer := func(p networkingv1.NetworkPolicyPeer) bool { return isPeer(t, p, namespace, there) }
	port := func(p networkingv1.NetworkPolicyPort) bool { return isPort(t, p, f) }
	return (len(r.peers) == 0 || slices.ContainsFunc(r.peers, peer)) && (len(r.ports) == 0 || slices.ContainsFunc(r.ports, port))
}

func isPeer(t *testing.T, p networkingv1.NetworkPolicyPeer, namespace string, e end) bool {
	if p.IPBlock != nil {
		t.Fatalf("nothing here checks a policy of addresses: %v", p.IPBlock)
	}
	if e.namespace == nil {
		return false
	}
	if p.NamespaceSelector == nil {
		return e.namespace[corev1.LabelMetadataName] == namespace && matches(t, p.PodSelector, e.pod)
	}
	return matches(t, p.NamespaceSelector, e.namespace) && (p.PodSelector == nil || matches(t, p.PodSelector, e.pod))
}

func isPort(t *testing.T, p networkingv1.NetworkPolicyPort, f flow) bool {
	if p.EndPort != nil {
		t.Fatalf("nothing here checks a range of ports up to %d", *p.EndPort)
	}
	if p.Protocol == nil || *p.Protocol != f.protocol {
		return false
	}
	switch {
	case p.Port == nil:
		return true
	case p.Port.Type == intstr.String:
		return f.to.open[p.Port.StrVal] == f.port
	}
	return p.Port.IntVal == f.port
}

func matches(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(of))
}

// TestPorts checks that every port that a policy lets in is open in the pods that it is about.
func TestPorts(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, policy := range m.policies {
			if len(policy.Spec.PolicyTypes) == 0 {
				t.Errorf("NetworkPolicy %s does not say which way it is about", policy.Name)
			}
			for _, p := range m.selected(t, policy.Namespace, &policy.Spec.PodSelector) {
				for _, r := range policy.Spec.Ingress {
					for _, port := range r.Ports {
						if !slices.Contains(openPorts(p.container()), port.Port.String()) {
							t.Errorf("NetworkPolicy %s lets in port %s, which %s does not open", policy.Name, port.Port, p.owner)
						}
					}
				}
			}
		}
	})
}
