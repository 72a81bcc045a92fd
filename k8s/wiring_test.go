package k8s_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// selected returns the pods in a namespace that a selector selects.
func (m *manifests) selected(t *testing.T, namespace string, s *metav1.LabelSelector) []pod {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	var all []pod
	for _, p := range m.pods {
		if p.namespace == namespace && selector.Matches(labels.Set(p.meta.Labels)) {
			all = append(all, p)
		}
	}
	return all
}

// TestServices checks that every Service is headless, since callers balance, stands for one kind of pod, and leads to ports
// that those pods open.
func TestServices(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, s := range m.services {
			pods := m.selected(t, s.Namespace, &metav1.LabelSelector{MatchLabels: s.Spec.Selector})
			if len(s.Spec.Selector) == 0 || len(pods) != 1 {
				t.Errorf("Service %s stands for %d kinds of pods, want 1", s.Name, len(pods))
				continue
			}
			if s.Spec.ClusterIP != "None" {
				t.Errorf("Service %s has an address of its own", s.Name)
			}
			if len(s.Spec.Ports) != len(pods[0].container().Ports) {
				t.Errorf("Service %s has %d ports, its pods %d", s.Name, len(s.Spec.Ports), len(pods[0].container().Ports))
			}
			for _, port := range s.Spec.Ports {
				// A name without an address of its own leads to the pod's port, whatever the Service calls it.
				if n, ok := portNamed(pods[0], port.TargetPort.StrVal); !ok || n != port.Port || port.Name != port.TargetPort.StrVal {
					t.Errorf("port %s (%d) of Service %s leads to %q, which is %d", port.Name, port.Port, s.Name, port.TargetPort.StrVal, n)
				}
			}
		}
	})
}

// TestBudgets checks that whoever drains nodes takes one pod of a kind at a time, and always may take one.
func TestBudgets(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		protected := map[string]bool{}
		for _, b := range m.budgets {
			for _, p := range m.selected(t, b.Namespace, b.Spec.Selector) {
				protected[p.owner] = true
			}
			if pods := m.selected(t, b.Namespace, b.Spec.Selector); len(pods) != 1 {
				t.Errorf("PodDisruptionBudget %s protects %d kinds of pods, want 1", b.Name, len(pods))
			}
			if b.Spec.MaxUnavailable == nil || b.Spec.MaxUnavailable.String() != "1" || b.Spec.MinAvailable != nil {
				t.Errorf("PodDisruptionBudget %s allows %v, want one at a time", b.Name, b.Spec.MaxUnavailable)
			}
		}
		for _, p := range m.pods {
			if p.serves() && !protected[p.owner] {
				t.Errorf("nothing protects %s from being drained all at once", p.owner)
			}
		}
	})
}

// TestAutoscalers checks that what is scaled follows the load that its pods ask the CPU for, between bounds that leave something
// to scale, and that pods go more slowly than they come.
func TestAutoscalers(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, a := range m.autoscalers {
			if *a.Spec.MinReplicas < 3 || a.Spec.MaxReplicas <= *a.Spec.MinReplicas {
				t.Errorf("%s: %d to %d pods, want 3 at least, and room for more", a.Name, *a.Spec.MinReplicas, a.Spec.MaxReplicas)
			}
			if len(a.Spec.Metrics) != 1 || a.Spec.Metrics[0].Resource == nil || a.Spec.Metrics[0].Resource.Name != corev1.ResourceCPU ||
				a.Spec.Metrics[0].Resource.Target.AverageUtilization == nil {
				t.Errorf("%s follows %v, want the CPU", a.Name, a.Spec.Metrics)
			}
			b := a.Spec.Behavior
			if b == nil || b.ScaleDown == nil || b.ScaleDown.StabilizationWindowSeconds == nil || b.ScaleUp == nil ||
				b.ScaleUp.StabilizationWindowSeconds == nil ||
				*b.ScaleDown.StabilizationWindowSeconds <= *b.ScaleUp.StabilizationWindowSeconds {
				t.Errorf("%s: %v, want pods to go later than they come", a.Name, b)
			}
		}
	})
}

// TestSelectors checks that a Deployment, and each constraint of where its pods may be, selects those pods and no others.
func TestSelectors(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			if !p.serves() {
				continue
			}
			selectors := []*metav1.LabelSelector{p.selector}
			for _, c := range p.spec.TopologySpreadConstraints {
				selectors = append(selectors, c.LabelSelector)
			}
			for _, s := range selectors {
				if pods := m.selected(t, p.namespace, s); len(pods) != 1 || pods[0].owner != p.owner {
					t.Errorf("%s: %s selects %d kinds of pods, want its own", p.owner, metav1.FormatLabelSelector(s), len(pods))
				}
			}
		}
	})
}
