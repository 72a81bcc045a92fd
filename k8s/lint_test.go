package k8s_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"testing"
)

// exception is a finding of the linter that we do not follow.
type exception struct{ check, object, reason string }

// every stands for all objects, or all kustomizations.
const every = ""

// exceptions are by kustomization. One that excepts nothing any more is a fault.
var exceptions = map[string][]exception{
	every: {
		{"container-image-pull-policy", every, "a pod that restarts on a node must not need the registry; a version's tag is never moved"},
		{"deployment-has-host-podantiaffinity", every, "topologySpreadConstraints keep pods apart, and still let more of them run than there are nodes"},
	},
	"overlays/dev": {
		{"deployment-replicas", "teishi-decision-point", "it is one on purpose: a record in a file has one process"},
		{"deployment-strategy", "teishi-decision-point", "the old one ends before the new one begins, for the same reason"},
	},
}

// finding is what kube-score says of one object.
type finding struct {
	Object struct {
		Name string `json:"name"`
	} `json:"object_meta"`
	Checks []struct {
		Check struct {
			ID string `json:"id"`
		} `json:"check"`
		Grade    int  `json:"grade"`
		Skipped  bool `json:"skipped"`
		Comments []struct {
			Summary string `json:"summary"`
		} `json:"comments"`
	} `json:"checks"`
}

// passed is the grade of that which kube-score has nothing to say about.
const passed = 10

// TestLint checks that kube-score finds nothing, of any level, but what is excepted here.
func TestLint(t *testing.T) {
	needed := map[exception]bool{}
	forEach(t, func(t *testing.T, m *manifests) {
		excepted := slices.Concat(exceptions[every], exceptions[m.directory])
		for _, f := range lint(t, m.yaml) {
			for _, c := range f.Checks {
				if c.Skipped || c.Grade >= passed {
					continue
				}
				if e, ok := find(excepted, c.Check.ID, f.Object.Name); ok {
					needed[e] = true
					continue
				}
				t.Errorf("%s: %s (grade %d): %v", f.Object.Name, c.Check.ID, c.Grade, c.Comments)
			}
		}
	})
	for directory, all := range exceptions {
		for _, e := range all {
			if !needed[e] {
				t.Errorf("%s: nothing needs the exception from %s any more", directory, e.check)
			}
		}
	}
}

func find(all []exception, check, object string) (exception, bool) {
	for _, e := range all {
		if e.check == check && (e.object == every || e.object == object) {
			return e, true
		}
	}
	return exception{}, false
}

// lint asks kube-score, pinned in tools/go.mod: it needs older versions of what these tests are made of. It is not to ask for
// a limit on CPU, which would throttle a process whose work is to answer at once.
func lint(t *testing.T, yaml []byte) []finding {
	t.Helper()
	c := exec.Command("go", "tool", "-modfile=tools/go.mod", "kube-score", "score", "--output-format=json", "--kubernetes-version=v1.33",
		"--ignore-container-cpu-limit", "--enable-optional-test=container-ports-check",
		"--enable-optional-test=container-seccomp-profile", "-")
	c.Stdin = bytes.NewReader(yaml)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output() // its exit code tells that there are findings
	var findings []finding
	if json.Unmarshal(out, &findings) != nil || len(findings) == 0 {
		t.Fatalf("kube-score: %v\n%s%s", err, stderr.String(), out)
	}
	return findings
}
