package k8s_test

import (
	"fmt"
	"net"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// notOurs are the variables that others than the program read: here Go's runtime.
var notOurs = []string{"GOMEMLIMIT"}

// settings are what a container says to the program.
type settings struct {
	command string
	args    map[string]string // by flag; one that is on is "true"
	env     []corev1.EnvVar
}

func settingsOf(t *testing.T, p pod) settings {
	t.Helper()
	c := p.container()
	if len(c.Args) == 0 {
		t.Fatalf("%s names no command", p.owner)
	}
	s := settings{command: c.Args[0], args: map[string]string{}, env: c.Env}
	for _, arg := range c.Args[1:] {
		name, value, valued := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if _, twice := s.args[name]; twice || !strings.HasPrefix(arg, "--") {
			t.Errorf("%s: %s is no flag, or is said twice", p.owner, arg)
		}
		if !valued {
			value = "true"
		}
		s.args[name] = value
	}
	return s
}

// duration returns the value of a flag, said or standard.
func (s settings) duration(t *testing.T, known surface, name string) time.Duration {
	t.Helper()
	value, said := s.args[name]
	if !said {
		value = known[s.command][name].standard
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Errorf("--%s: %v", name, err)
	}
	return d
}

// TestSettings checks everything that a container says to the program against the program's own help.
func TestSettings(t *testing.T) {
	known := help(t, build(t))
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			s := settingsOf(t, p)
			t.Run(p.owner, func(t *testing.T) {
				s.areKnown(t, known)
				s.filesAreMounted(t, known, p)
				s.portsAreOpen(t, known, p)
				s.timeIsEnough(t, known, p)
			})
		}
	})
}

// areKnown checks that every flag and variable is one of the command's, that each has a value if it takes one, and that
// nothing is said twice.
func (s settings) areKnown(t *testing.T, known surface) {
	if known[s.command] == nil {
		t.Fatalf("there is no teishi %s", s.command)
	}
	for name, value := range s.args {
		f, ok := known[s.command][name]
		if !ok {
			t.Errorf("teishi %s has no --%s", s.command, name)
		} else if (f.value == "") != (value == "true") || value == "" {
			t.Errorf("--%s=%s, want a value if it takes one: %q", name, value, f.value)
		}
	}
	variables := map[string]string{}
	for name, f := range known[s.command] {
		variables[f.variable] = name
	}
	for _, e := range s.env {
		name, ok := variables[e.Name]
		if !ok && !slices.Contains(notOurs, e.Name) {
			t.Errorf("teishi %s reads no %s", s.command, e.Name)
		}
		if _, twice := s.args[name]; twice {
			t.Errorf("both --%s and %s are said", name, e.Name)
		}
	}
}

// filesAreMounted checks that every file that the program is told to use is in a volume.
func (s settings) filesAreMounted(t *testing.T, known surface, p pod) {
	for name, value := range s.args {
		if known[s.command][name].value != "FILE" && !path.IsAbs(value) {
			continue
		}
		if _, ok := mountOf(p, value); !ok {
			t.Errorf("--%s=%s is in no volume that is mounted", name, value)
		}
	}
}

// mountOf returns the volume that a file is in.
func mountOf(p pod, file string) (corev1.Volume, bool) {
	for _, mount := range p.container().VolumeMounts {
		if mount.MountPath != path.Dir(file) {
			continue
		}
		i := slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if i >= 0 && holds(p.spec.Volumes[i], path.Base(file)) {
			return p.spec.Volumes[i], true
		}
	}
	return corev1.Volume{}, false
}

// holds reports whether a file may be in a volume: in one that names its files, only those are.
func holds(v corev1.Volume, file string) bool {
	items := itemsOf(v)
	return len(items) == 0 || slices.ContainsFunc(items, func(i corev1.KeyToPath) bool { return i.Path == file && i.Key == file })
}

func itemsOf(v corev1.Volume) []corev1.KeyToPath {
	switch {
	case v.Secret != nil:
		return v.Secret.Items
	case v.ConfigMap != nil:
		return v.ConfigMap.Items
	}
	return nil
}

// portsAreOpen checks that the program listens where the container says that it does, and nowhere else.
func (s settings) portsAreOpen(t *testing.T, known surface, p pod) {
	var listens []string
	for name, f := range known[s.command] {
		if f.value != "HOST:PORT" {
			continue
		}
		host, port, err := net.SplitHostPort(s.args[name])
		if err != nil || host != "" {
			t.Errorf("--%s=%s, want every address of the pod: :PORT", name, s.args[name])
		}
		listens = append(listens, port)
	}
	opens := openPorts(p.container())
	slices.Sort(listens)
	slices.Sort(opens)
	if !slices.Equal(listens, opens) {
		t.Errorf("it listens on %v, the container opens %v", listens, opens)
	}
	for name, flag := range map[string]string{"grpc": "listen", "metrics": "metrics-listen"} {
		if n, ok := portNamed(p, name); p.serves() && (!ok || s.args[flag] != fmt.Sprintf(":%d", n)) {
			t.Errorf("port %s is %d, want that of --%s=%s", name, n, flag, s.args[flag])
		}
	}
}

func portNamed(p pod, name string) (int32, bool) {
	for _, port := range p.container().Ports {
		if port.Name == name {
			return port.ContainerPort, true
		}
	}
	return 0, false
}

// timeIsEnough checks that a pod is not killed while it drains.
func (s settings) timeIsEnough(t *testing.T, known surface, p pod) {
	const margin = 5 * time.Second // for what is to be closed when the last call has ended
	if !p.serves() {
		return
	}
	drain := s.duration(t, known, "lame-duck") + s.duration(t, known, "grace")
	given := 30 * time.Second // unless it is said
	if p.spec.TerminationGracePeriodSeconds != nil {
		given = time.Duration(*p.spec.TerminationGracePeriodSeconds) * time.Second
	}
	if given < drain+margin {
		t.Errorf("it is killed after %v, want %v to drain and %v more", given, drain, margin)
	}
}
