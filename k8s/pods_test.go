package k8s_test

import (
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// TestPodSecurity checks that the namespace admits restricted pods only, and by the code that decides so in a cluster that
// ours are; and what that standard does not ask for.
func TestPodSecurity(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	forEach(t, func(t *testing.T, m *manifests) {
		if got := m.namespaces[0].Labels[api.EnforceLevelLabel]; got != string(api.LevelRestricted) {
			t.Errorf("the namespace enforces %q, want %s", got, api.LevelRestricted)
		}
		for _, p := range m.pods {
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &p.meta, &p.spec))
			if !result.Allowed {
				t.Errorf("%s is not restricted: %s", p.owner, result.ForbiddenDetail())
			}
			if s := p.container().SecurityContext; s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s may write to its root", p.owner)
			}
		}
	})
}

// TestIdentity checks that every kind of pod has an account of its own, and no token for the cluster's API.
func TestIdentity(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		var taken []string
		for _, p := range m.pods {
			i := slices.IndexFunc(m.accounts, func(a *corev1.ServiceAccount) bool { return a.Name == p.spec.ServiceAccountName })
			if i < 0 {
				t.Errorf("%s has the account %q, which is not there", p.owner, p.spec.ServiceAccountName)
			} else if !isFalse(m.accounts[i].AutomountServiceAccountToken) {
				t.Errorf("the account of %s gives its token away", p.owner)
			}
			if slices.Contains(taken, p.spec.ServiceAccountName) {
				t.Errorf("%s shares its account with others", p.owner)
			}
			if !isFalse(p.spec.AutomountServiceAccountToken) {
				t.Errorf("%s is given a token of the cluster", p.owner)
			}
			taken = append(taken, p.spec.ServiceAccountName)
		}
		if len(m.accounts) != len(taken) {
			t.Errorf("there are %d accounts for %d kinds of pods", len(m.accounts), len(taken))
		}
	})
}

// TestServiceLinks checks that no Service puts variables into a pod: those of one named teishi-… begin with TEISHI_.
func TestServiceLinks(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			if !isFalse(p.spec.EnableServiceLinks) {
				t.Errorf("%s gets variables of every Service", p.owner)
			}
		}
	})
}

// TestMemory checks that a pod asks for memory and has a bound, and that Go's runtime knows of it.
func TestMemory(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			r := p.container().Resources
			request, limit := r.Requests.Memory(), r.Limits.Memory()
			if request.IsZero() || limit.Cmp(*request) < 0 {
				t.Errorf("%s asks for %v of memory and may have %v", p.owner, request, limit)
			}
			if r.Requests.Cpu().IsZero() {
				t.Errorf("%s asks for no CPU", p.owner)
			}
			if p.serves() && !slices.ContainsFunc(p.container().Env, knowsLimit) {
				t.Errorf("Go's runtime is not told the memory limit of %s", p.owner)
			}
		}
	})
}

func knowsLimit(e corev1.EnvVar) bool {
	return e.Name == "GOMEMLIMIT" && e.ValueFrom != nil && e.ValueFrom.ResourceFieldRef != nil &&
		e.ValueFrom.ResourceFieldRef.Resource == "limits.memory" && e.ValueFrom.ResourceFieldRef.Divisor.IsZero()
}

// TestVolumes checks that what is mounted is there, that what is there is mounted, and that nobody else may read a secret.
func TestVolumes(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			var mounted, volumes []string
			for _, mount := range p.container().VolumeMounts {
				mounted = append(mounted, mount.Name)
			}
			for _, v := range p.spec.Volumes {
				volumes = append(volumes, v.Name)
				checkVolume(t, p, v)
			}
			slices.Sort(mounted)
			slices.Sort(volumes)
			if !slices.Equal(mounted, volumes) {
				t.Errorf("%s mounts %v of the volumes %v", p.owner, mounted, volumes)
			}
		}
	})
}

func checkVolume(t *testing.T, p pod, v corev1.Volume) {
	switch {
	case v.Secret != nil:
		own := slices.ContainsFunc(v.Secret.Items, func(i corev1.KeyToPath) bool { return i.Mode != nil })
		if own || v.Secret.DefaultMode == nil || *v.Secret.DefaultMode != 0o440 || p.spec.SecurityContext.FSGroup == nil {
			t.Errorf("%s: the secret %s is not mounted for the pod's group alone", p.owner, v.Name)
		}
	case v.EmptyDir != nil:
		if v.EmptyDir.SizeLimit == nil || v.EmptyDir.SizeLimit.Cmp(*p.container().Resources.Limits.StorageEphemeral()) > 0 {
			t.Errorf("%s: the directory %s has no bound, or one above that of the container", p.owner, v.Name)
		}
	case v.ConfigMap == nil:
		t.Errorf("%s: nothing here checks the volume %s", p.owner, v.Name)
	}
}

// TestProbes checks that a pod is asked for its health where it listens: to start and to live whether it answers, to be ready
// whether it has a policy. One that speaks TLS is asked over HTTPS, since a kubelet speaks none to a gRPC port.
func TestProbes(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			if !p.serves() {
				continue
			}
			live, ready := `"live" at grpc`, `"" at grpc`
			if _, secured := settingsOf(t, p).args["tls-cert"]; secured {
				live, ready = "HTTPS /livez at metrics", "HTTPS /readyz at metrics"
			}
			c := p.container()
			for of, probe := range probes(p) {
				want := map[string]string{"startup": live, "liveness": live, "readiness": ready}[of]
				if got := probed(p, probe); got != want {
					t.Errorf("%s: the %s probe asks for %s, want %s", p.owner, of, got, want)
				}
			}
			if s := c.StartupProbe; s != nil && s.PeriodSeconds*s.FailureThreshold < 60 {
				t.Errorf("%s has %d s to start, want a minute at least", p.owner, s.PeriodSeconds*s.FailureThreshold)
			}
		}
	})
}

// probes are those of a pod, by what they are for.
func probes(p pod) map[string]*corev1.Probe {
	c := p.container()
	return map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe}
}

// probed says what a probe asks for, and at which port.
func probed(p pod, probe *corev1.Probe) string {
	switch {
	case probe == nil:
		return "nothing"
	case probe.HTTPGet != nil:
		return fmt.Sprintf("%s %s at %s", probe.HTTPGet.Scheme, probe.HTTPGet.Path, probe.HTTPGet.Port.String())
	case probe.GRPC == nil || probe.GRPC.Service == nil:
		return "nothing by gRPC"
	}
	for _, port := range p.container().Ports {
		if port.ContainerPort == probe.GRPC.Port {
			return fmt.Sprintf("%q at %s", *probe.GRPC.Service, port.Name)
		}
	}
	return fmt.Sprintf("port %d, which is not open", probe.GRPC.Port)
}

// TestRollout checks that a new version never takes away the last of anything.
func TestRollout(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			if p.replicas < 2 {
				continue
			}
			r := p.rollout.RollingUpdate
			if p.rollout.Type != appsv1.RollingUpdateDeploymentStrategyType || r == nil || r.MaxUnavailable == nil || r.MaxUnavailable.String() != "0" {
				t.Errorf("%s is rolled out by %+v, want none unavailable", p.owner, p.rollout)
			}
			if len(p.spec.TopologySpreadConstraints) == 0 {
				t.Errorf("%s may all be on one node", p.owner)
			}
		}
	})
}

func isFalse(b *bool) bool { return b != nil && !*b }
