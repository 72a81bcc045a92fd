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

// sections are the parts of README.md that say how to apply a kustomization.
var sections = map[string]string{"base": "Apply the base", "overlays/production": "Apply `production`"}

// section returns a part of README.md, with lines that go on in the next made one.
func section(t *testing.T, title string) string {
	t.Helper()
	_, rest, ok := strings.Cut(read(t, "README.md"), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("README.md has no section %q", title)
	}
	text, _, _ := strings.Cut(rest, "\n## ")
	return strings.ReplaceAll(text, "\\\n", " ")
}

// TestSecretsAreDescribed checks that README.md says how to make every Secret and ConfigMap that pods use, key for key, and no
// other.
func TestSecretsAreDescribed(t *testing.T) {
	for directory, title := range sections {
		used := map[string]bool{}
		for _, p := range render(t, directory).pods {
			for _, r := range references(t, p) {
				used[r] = true
			}
		}
		if diff := cmp.Diff(used, made(section(t, title))); diff != "" {
			t.Errorf("what %s uses, and what README.md says how to make (-used +made):\n%s", directory, diff)
		}
	}
}

// made are the keys that commands make, each as `kind name key`.
func made(commands string) map[string]bool {
	all := map[string]bool{}
	create := regexp.MustCompile(`kubectl -n teishi create (secret generic|secret tls|configmap) (\S+)(.*)`)
	for _, command := range create.FindAllStringSubmatch(commands, -1) {
		kind, _, _ := strings.Cut(command[1], " ")
		keys := regexp.MustCompile(`--from-(?:literal|file)=([a-z.-]+)=`).FindAllStringSubmatch(command[3], -1)
		if command[1] == "secret tls" {
			keys = [][]string{{"", corev1.TLSCertKey}, {"", corev1.TLSPrivateKeyKey}}
		}
		for _, key := range keys {
			all[kind+" "+command[2]+" "+key[1]] = true
		}
	}
	return all
}

// references are the keys of Secrets and ConfigMaps that a pod uses, each as `kind name key`.
func references(t *testing.T, p pod) []string {
	var all []string
	for _, e := range p.container().Env {
		if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
			all = append(all, "secret "+e.ValueFrom.SecretKeyRef.Name+" "+e.ValueFrom.SecretKeyRef.Key)
		}
		if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
			all = append(all, "configmap "+e.ValueFrom.ConfigMapKeyRef.Name+" "+e.ValueFrom.ConfigMapKeyRef.Key)
		}
	}
	for _, file := range settingsOf(t, p).args {
		if v, ok := mountOf(p, file); ok && source(v) != "" {
			all = append(all, source(v)+" "+path.Base(file))
		}
	}
	for _, v := range p.spec.Volumes {
		for _, item := range itemsOf(v) {
			all = append(all, source(v)+" "+item.Key)
		}
	}
	return all
}

// source is what a volume is made of, as `kind name`, or empty if of nothing.
func source(v corev1.Volume) string {
	switch {
	case v.Secret != nil:
		return "secret " + v.Secret.SecretName
	case v.ConfigMap != nil:
		return "configmap " + v.ConfigMap.Name
	}
	return ""
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
	for directory := range sections {
		for _, p := range render(t, directory).pods {
			_, store := settingsOf(t, p).args["store"]
			store = store || slices.ContainsFunc(p.container().Env, func(e corev1.EnvVar) bool { return e.Name == "TEISHI_STORE" })
			follows := slices.ContainsFunc(p.container().Env, func(e corev1.EnvVar) bool { return e.Name == "TEISHI_FOLLOW" })
			if store == follows {
				t.Errorf("%s: %s has a record: %v, follows one: %v; want one of them", directory, p.owner, store, follows)
			}
		}
	}
}

// TestProductionAsksWhoCalls checks that no pod of the overlay production answers in plaintext, or somebody whom it does not
// know, and that none is given a secret in a variable, where it stays until a restart.
func TestProductionAsksWhoCalls(t *testing.T) {
	for _, p := range render(t, "overlays/production").pods {
		args := settingsOf(t, p).args
		if _, open := args["insecure"]; open {
			t.Errorf("%s is told --insecure", p.owner)
		}
		for _, flag := range []string{"tls-cert", "tls-key", "tls-client-ca"} {
			if p.serves() && args[flag] == "" {
				t.Errorf("%s is not told --%s", p.owner, flag)
			}
		}
		for _, e := range p.container().Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				t.Errorf("%s has a secret in %s, want it in a file", p.owner, e.Name)
			}
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
	for directory := range sections {
		for _, label := range regexp.MustCompile(`teishi-[a-z]+: "true"`).FindAllString(string(render(t, directory).yaml), -1) {
			name, _, _ := strings.Cut(label, ":")
			if !regexp.MustCompile(`kubectl label namespace \S+ ` + name + `=true`).MatchString(readme) {
				t.Errorf("README.md does not say how to give a namespace the label %s", name)
			}
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
