package teishi_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBill checks that make sbom writes a bill of CycloneDX that names each module of which the program has a package, and no other.
func TestBill(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sbom.cdx.json")
	if out, err := exec.Command("make", "sbom", "BILL="+file).CombinedOutput(); err != nil {
		t.Fatalf("make sbom: %v\n%s", err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(text, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("the bill is of the format %q, %v", bill.BOMFormat, err)
	}
	named := make(map[string]bool)
	for _, c := range bill.Components {
		named[c.Name+"@"+c.Version] = true
	}
	for _, module := range modules(t) {
		if !named[module] {
			t.Errorf("the bill does not name %s", module)
		}
		delete(named, module)
	}
	for name := range named {
		if !strings.HasPrefix(name, "std@") {
			t.Errorf("the bill names %s, of which the program has nothing", name)
		}
	}
}

// modules returns those of others of which the program has a package, each once.
func modules(t *testing.T) []string {
	t.Helper()
	c := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}{{.Path}}@{{.Version}}{{end}}{{end}}`, "./cmd/teishi")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Fields(string(out))
	slices.Sort(all)
	return slices.Compact(all)
}
