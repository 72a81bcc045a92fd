// Package teishi_test checks what holds for the whole house.
package teishi_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/teishi-dev/teishi"

// room says what a package may import itself, beside the standard library. A path that ends in a slash stands for all
// that is beneath it too.
type room struct {
	may   []string
	never []string // though it is of the standard library, or beneath what it may import
}

// drivers are what single stores are made of. They stay in the rooms of those stores.
var drivers = []string{"database/", "modernc.org/", "github.com/jackc/", "github.com/pressly/", "github.com/redis/"}

const (
	api    = module + "/api/"
	engine = module + "/policy"
	store  = module + "/policystore"
	points = store + "/failpoint"
	creds  = store + "/credential"
	sqlite = store + "/sqlite"
)

// rooms is the whole house: a package that is not in it has no place.
var rooms = map[string]room{
	api + "teishi/v1":    {may: []string{"google.golang.org/", "buf.build/"}},
	engine:               {never: []string{"context", "database/", "io", "log/", "net", "net/http", "os/"}},
	engine + "/workload": {may: []string{engine}},
	points:               {},
	creds:                {},
	store: {
		may:   []string{engine, points, api, "google.golang.org/protobuf/", "github.com/klauspost/compress/", "github.com/prometheus/", "golang.org/x/mod/sumdb/note"},
		never: drivers,
	},
	store + "/storetest": {
		may:   []string{store, engine, api, "google.golang.org/protobuf/", "github.com/google/go-cmp/"},
		never: drivers,
	},
	sqlite:              {may: []string{store, engine, "modernc.org/", "golang.org/x/sys/"}},
	store + "/postgres": {may: []string{store, engine, "github.com/jackc/", "github.com/pressly/"}},
	store + "/redis":    {may: []string{store, points, creds, engine, "github.com/redis/"}},
	store + "/remote":   {may: []string{store, creds, engine, api, "google.golang.org/"}, never: drivers},
	module + "/service": {
		may:   []string{store, points, engine, api, module + "/service/decisionlog", "google.golang.org/", "buf.build/", "github.com/grpc-ecosystem/", "github.com/prometheus/", "golang.org/x/"},
		never: append([]string{"os/"}, drivers...),
	},
	module + "/service/decisionlog": {
		may:   []string{api, "google.golang.org/", "go.opentelemetry.io/proto/", "github.com/prometheus/"},
		never: drivers,
	},
	module + "/service/identity": {
		may:   []string{module + "/service", creds, points, "google.golang.org/grpc/", "github.com/coreos/go-oidc/", "github.com/go-jose/", "github.com/prometheus/"},
		never: drivers,
	},
	module + "/service/identity/identitytest": {may: []string{module + "/cluster/trust", "github.com/go-jose/", "github.com/zitadel/"}, never: drivers},
	module + "/client": {
		may:   []string{store, store + "/remote", engine, api, "google.golang.org/", "golang.org/x/net/"},
		never: append([]string{"os/"}, drivers...),
	},
	module + "/examples":            {},
	module + "/examples/cluster":    {may: []string{module + "/cluster", store + "/redis", "golang.org/x/sync/"}, never: drivers},
	module + "/examples/mdm-bridge": {may: []string{api, "google.golang.org/"}},
	module + "/cluster":             {may: []string{module + "/cluster/trust", "google.golang.org/grpc/", "golang.org/x/sys/"}, never: drivers},
	module + "/cluster/trust":       {},
	module + "/cmd/teishi": {
		may:   []string{module + "/", "google.golang.org/", "buf.build/", "go.yaml.in/", "golang.org/x/", "github.com/spf13/", "github.com/prometheus/"},
		never: drivers,
	},
	module + "/faults": {},
	module + "/bench":  {may: []string{module + "/", "google.golang.org/", "golang.org/x/", "github.com/redis/"}, never: []string{"database/"}},
}

// listed is what go list says of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string // of the package, its tests left out
}

func TestImports(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.Imports) == 0 && p.ImportPath == module {
			continue // there are only tests in the root
		}
		r, ok := rooms[p.ImportPath]
		if !ok {
			t.Errorf("%s is not in the house: add it to rooms, with what it may import", p.ImportPath)
		}
		for _, path := range p.Imports {
			if !r.allows(path) {
				t.Errorf("%s imports %s, which it may not", p.ImportPath, path)
			}
		}
	}
}

// TestPolicyIsPure checks that what decides needs nothing but the standard library, down to the last dependency.
func TestPolicyIsPure(t *testing.T) {
	for _, p := range list(t, "-deps", "./policy") {
		if !p.Standard && p.ImportPath != engine {
			t.Errorf("policy needs %s", p.ImportPath)
		}
	}
}

// TestPolicyHasNoClock checks that what decides is told the time.
func TestPolicyHasNoClock(t *testing.T) {
	files, err := filepath.Glob("policy/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("policy/*.go: %d files, %v", len(files), err)
	}
	for _, name := range files {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && strings.Contains(string(source), "time.Now") {
			t.Errorf("%s reads the clock", name)
		}
	}
}

// TestDriversStayInTheirRooms checks that no driver comes with a package by way of another.
func TestDriversStayInTheirRooms(t *testing.T) {
	for _, name := range []string{"./policystore", "./policystore/storetest", "./service", "./client", "./examples"} {
		for _, p := range list(t, "-deps", name) {
			if among(p.ImportPath, drivers) {
				t.Errorf("%s needs %s", name, p.ImportPath)
			}
		}
	}
}

// allows reports whether a package may import a path itself.
func (r room) allows(path string) bool {
	if among(path, r.never) {
		return false
	}
	first, _, _ := strings.Cut(path, "/")
	standard := !strings.Contains(first, ".")
	return standard || among(path, r.may)
}

// among reports whether a path is one of the others, or beneath one that ends in a slash.
func among(path string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool {
		tree, whole := strings.CutSuffix(other, "/")
		return path == tree || whole && strings.HasPrefix(path, other)
	})
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	c := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports"}, args...)...)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for decoder := json.NewDecoder(out); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return all
}
