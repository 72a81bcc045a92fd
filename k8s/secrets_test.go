package k8s_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// TestSecretsAreDescribed checks that README.md says how to make every Secret and ConfigMap that pods of the base use, key
// for key, and no other.
func TestSecretsAreDescribed(t *testing.T) {
	used := map[string]bool{}
	for _, p := range render(t, "base").pods {
		for _, r := range references(t, p) {
			used[r] = true
		}
	}
	made := map[string]bool{}
	readme := strings.ReplaceAll(read(t, "README.md"), "\\\n", " ")
	for _, command := range regexp.MustCompile(`kubectl -n teishi create (secret generic|configmap) (\S+)(.*)`).FindAllStringSubmatch(readme, -1) {
		kind, _, _ := strings.Cut(command[1], " ")
		for _, key := range regexp.MustCompile(`--from-(?:literal|file)=([a-z-]+)=`).FindAllStringSubmatch(command[3], -1) {
			made[kind+" "+command[2]+" "+key[1]] = true
		}
	}
	if diff := cmp.Diff(used, made); diff != "" {
		t.Errorf("what is used, and what README.md says how to make (-used +made):\n%s", diff)
	}
}

// references are the keys of Secrets and ConfigMaps that a pod uses, each as `kind name key`.
func references(t *testing.T, p pod) []string {
	var all []string
	for _, e := range p.container().Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			all = append(all, "secret "+e.ValueFrom.SecretKeyRef.Name+" "+e.ValueFrom.SecretKeyRef.Key)
		}
	}
	for _, file := range settingsOf(t, p).args {
		switch v, _ := mountOf(p, file); {
		case v.Secret != nil:
			all = append(all, "secret "+v.Secret.SecretName+" "+path.Base(file))
		case v.ConfigMap != nil:
			all = append(all, "configmap "+v.ConfigMap.Name+" "+path.Base(file))
		}
	}
	return all
}

// TestSecretsAreNotShared checks that no two kinds of pods use the same Secret: what decision points hold opens no database.
func TestSecretsAreNotShared(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		holder := map[string]string{}
		for _, p := range m.pods {
			for _, r := range references(t, p) {
				kind, rest, _ := strings.Cut(r, " ")
				name, _, _ := strings.Cut(rest, " ")
				if other, ok := holder[name]; ok && kind == "secret" && other != p.owner {
					t.Errorf("%s and %s both use the Secret %s", other, p.owner, name)
				}
				holder[name] = p.owner
			}
		}
	})
}

// TestNoDatabaseAtDecisionPoints checks that decision points are given no record to write.
func TestNoDatabaseAtDecisionPoints(t *testing.T) {
	for _, p := range render(t, "base").pods {
		_, store := settingsOf(t, p).args["store"]
		store = store || slices.ContainsFunc(p.container().Env, func(e corev1.EnvVar) bool { return e.Name == "TEISHI_STORE" })
		follows := slices.ContainsFunc(p.container().Env, func(e corev1.EnvVar) bool { return e.Name == "TEISHI_FOLLOW" })
		if store == follows {
			t.Errorf("%s: has a record: %v, follows one: %v; want one of them", p.owner, store, follows)
		}
	}
}

// TestNoSecretIsCommitted checks that manifests name secrets and hold none: no key, no password in a URL, and no value where a
// reference belongs. A whole Secret is refused as it is rendered.
func TestNoSecretIsCommitted(t *testing.T) {
	forEach(t, func(t *testing.T, m *manifests) {
		files, err := os.ReadDir(m.directory)
		if err != nil {
			t.Fatal(err)
		}
		texts := []string{string(m.yaml)}
		for _, f := range files {
			texts = append(texts, read(t, path.Join(m.directory, f.Name())))
		}
		for _, text := range texts {
			if found := regexp.MustCompile(`BEGIN [A-Z ]*PRIVATE KEY|\w+://[^\s/]*@`).FindString(text); found != "" {
				t.Errorf("%q is committed", found)
			}
		}
		for _, p := range m.pods {
			for _, e := range p.container().Env {
				if e.Value != "" {
					t.Errorf("%s: the value of %s is committed; a reference belongs there, or a flag", p.owner, e.Name)
				}
			}
		}
	})
}

// TestLabelsAreDescribed checks that README.md says how to give namespaces the labels that policies ask for.
func TestLabelsAreDescribed(t *testing.T) {
	readme := read(t, "README.md")
	for _, label := range regexp.MustCompile(`teishi-[a-z]+: "true"`).FindAllString(string(render(t, "base").yaml), -1) {
		name, _, _ := strings.Cut(label, ":")
		if !regexp.MustCompile(`kubectl label namespace \S+ ` + name + `=true`).MatchString(readme) {
			t.Errorf("README.md does not say how to give a namespace the label %s", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
