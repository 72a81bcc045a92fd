// Package k8s_test checks what can be checked of manifests without a cluster: each kustomization is rendered, decoded
// strictly, and judged as a whole against the binary and the image that it is to run.
package k8s_test

import (
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// manifests are what one kustomization says.
type manifests struct {
	directory   string
	yaml        []byte
	namespaces  []*corev1.Namespace
	accounts    []*corev1.ServiceAccount
	services    []*corev1.Service
	budgets     []*policyv1.PodDisruptionBudget
	autoscalers []*autoscalingv2.HorizontalPodAutoscaler
	policies    []*networkingv1.NetworkPolicy
	pods        []pod
}

// pod is what a Deployment or a Job makes.
type pod struct {
	owner     string
	namespace string
	replicas  int32                     // the fewest; 0 if that is not said
	rollout   appsv1.DeploymentStrategy // of a Deployment
	selector  *metav1.LabelSelector     // of a Deployment
	meta      metav1.ObjectMeta
	spec      corev1.PodSpec
}

// container returns the one container that a pod of ours has.
func (p *pod) container() *corev1.Container { return &p.spec.Containers[0] }

// serves reports whether the pod stays and answers, unlike one that does its work and ends.
func (p *pod) serves() bool { return p.selector != nil }

// forEach runs a check of every kustomization there is: a new overlay is checked because it is there.
func forEach(t *testing.T, check func(*testing.T, *manifests)) {
	files, err := filepath.Glob("overlays/*/kustomization.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("overlays/*/kustomization.yaml: %d files, %v", len(files), err)
	}
	for _, file := range append(files, "base/kustomization.yaml") {
		directory := filepath.Dir(file)
		t.Run(directory, func(t *testing.T) { check(t, render(t, directory)) })
	}
}

// render returns what a kustomization says. A field that Kubernetes does not know, or one said twice, is refused.
func render(t *testing.T, directory string) *manifests {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		t.Fatalf("kustomize %s: %v", directory, err)
	}
	m := &manifests{directory: directory}
	if m.yaml, err = resources.AsYaml(); err != nil {
		t.Fatal(err)
	}
	decoder := strict(t)
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(text, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", resource.CurId(), err)
			continue
		}
		m.add(t, object)
	}
	m.scale(t)
	if t.Failed() {
		t.FailNow()
	}
	return m
}

// scale gives pods the number that an autoscaler says. What says how many there are says it alone: each would undo the other.
func (m *manifests) scale(t *testing.T) {
	for _, a := range m.autoscalers {
		i := slices.IndexFunc(m.pods, func(p pod) bool { return p.owner == a.Spec.ScaleTargetRef.Name && p.serves() })
		if i < 0 || m.pods[i].replicas != 0 || a.Spec.MinReplicas == nil {
			t.Errorf("%s scales nothing, or what says itself how many there are, or does not say how few there may be", a.Name)
			continue
		}
		m.pods[i].replicas = *a.Spec.MinReplicas
	}
	for _, p := range m.pods {
		if p.serves() && p.replicas == 0 {
			t.Errorf("nothing says how many of %s there are", p.owner)
		}
	}
}

// strict decodes the kinds that there may be, as a server does that validates strictly.
func strict(t *testing.T) runtime.Decoder {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

func (m *manifests) add(t *testing.T, object runtime.Object) {
	switch o := object.(type) {
	case *corev1.Namespace:
		m.namespaces = append(m.namespaces, o)
	case *corev1.ServiceAccount:
		m.accounts = append(m.accounts, o)
	case *corev1.Service:
		m.services = append(m.services, o)
	case *policyv1.PodDisruptionBudget:
		m.budgets = append(m.budgets, o)
	case *autoscalingv2.HorizontalPodAutoscaler:
		m.autoscalers = append(m.autoscalers, o)
	case *networkingv1.NetworkPolicy:
		m.policies = append(m.policies, o)
	case *appsv1.Deployment:
		if o.Spec.Selector == nil {
			t.Fatalf("%s does not say which pods are its own", o.Name)
		}
		p := pod{owner: o.Name, namespace: o.Namespace, rollout: o.Spec.Strategy, selector: o.Spec.Selector,
			meta: o.Spec.Template.ObjectMeta, spec: o.Spec.Template.Spec}
		if o.Spec.Replicas != nil {
			p.replicas = *o.Spec.Replicas
		}
		m.pods = append(m.pods, p)
	case *batchv1.Job:
		m.pods = append(m.pods, pod{owner: o.Name, namespace: o.Namespace, meta: o.Spec.Template.ObjectMeta, spec: o.Spec.Template.Spec})
	case *corev1.Secret:
		t.Errorf("the Secret %s is committed", o.Name)
	default:
		t.Errorf("nothing here checks a %T: write down what must hold of it", o)
	}
}

// TestRender checks that each kustomization is what Kubernetes understands, each pod in its namespace.
func TestRender(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		if len(m.namespaces) != 1 || len(m.pods) == 0 {
			t.Errorf("%d namespaces and %d kinds of pods, want one namespace and some", len(m.namespaces), len(m.pods))
		}
		for _, p := range m.pods {
			if n := len(p.spec.Containers) + len(p.spec.InitContainers) + len(p.spec.EphemeralContainers); n != 1 {
				t.Errorf("%s has %d containers; these tests look at one", p.owner, n)
			}
			if p.namespace != m.namespaces[0].Name {
				t.Errorf("%s is in namespace %q, want %q", p.owner, p.namespace, m.namespaces[0].Name)
			}
		}
	})
}
