package k8s_test

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	corev1 "k8s.io/api/core/v1"
)

// built is where the Dockerfile puts the binary while it builds.
const built = "/out/teishi"

// image is what the Dockerfile says of the image, and the line that builds what is in it.
type image struct {
	builder     string // image that the line is run in
	line        string
	base        string
	user        string
	ports       []string
	entrypoint  []string
	shell       bool // what runs needs one
	copied      []string
	destination string // of the binary
}

// dockerfile returns the Dockerfile as BuildKit reads it. What its linter warns of is a fault.
func dockerfile(t *testing.T) image {
	t.Helper()
	text, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	parsed, err := parser.Parse(text)
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("Dockerfile: %s", w.Short)
	}
	warn := func(rule, _, _, message string, at []parser.Range) {
		t.Errorf("Dockerfile: %s: %s %v", rule, message, at)
	}
	stages, _, err := instructions.Parse(parsed.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		t.Fatalf("Dockerfile: %v", err)
	}
	if len(stages) != 2 {
		t.Fatalf("Dockerfile has %d stages, want one that builds and one that is the image", len(stages))
	}
	i := image{builder: stages[0].BaseName, base: stages[1].BaseName}
	for _, command := range stages[0].Commands {
		if run, ok := command.(*instructions.RunCommand); ok {
			i.line = strings.Join(run.CmdLine, " ")
		}
	}
	for _, command := range stages[1].Commands {
		i.add(t, stages[0].Name, command)
	}
	return i
}

func (i *image) add(t *testing.T, builder string, command instructions.Command) {
	switch c := command.(type) {
	case *instructions.CopyCommand:
		if c.From != builder {
			t.Errorf("the image takes %s from %q, want what %q built", c.SourcePaths, c.From, builder)
		}
		i.copied = append(i.copied, c.SourcePaths...)
		if slices.Contains(c.SourcePaths, built) {
			i.destination = c.DestPath
		}
	case *instructions.UserCommand:
		i.user = c.User
	case *instructions.ExposeCommand:
		i.ports = append(i.ports, c.Ports...)
	case *instructions.EntrypointCommand:
		i.entrypoint, i.shell = c.CmdLine, c.PrependShell
	default:
		t.Errorf("the image has a %s, which nothing here checks", c.Name())
	}
}

// TestDockerfile checks that the image is one binary that nobody in particular runs.
func TestDockerfile(t *testing.T) {
	i := dockerfile(t)
	if i.base != "scratch" {
		t.Errorf("the image is made from %s, want scratch", i.base)
	}
	if i.shell || !cmp.Equal(i.entrypoint, []string{i.destination}) {
		t.Errorf("ENTRYPOINT = %q (by a shell: %v), want the binary itself, %q", i.entrypoint, i.shell, i.destination)
	}
	if want := []string{"/etc/ssl/certs/ca-certificates.crt", built}; !cmp.Equal(i.copied, want) {
		t.Errorf("the image has %q, want %q", i.copied, want)
	}
}

// TestImageRunsPods checks that pods run as the image's user and open the image's ports.
func TestImageRunsPods(t *testing.T) {
	i := dockerfile(t)
	forEach(t, func(t *testing.T, m *manifests) {
		for _, p := range m.pods {
			s := p.spec.SecurityContext
			if s == nil || s.RunAsUser == nil || s.RunAsGroup == nil {
				t.Errorf("%s does not say whom it runs as", p.owner)
			} else if user := fmt.Sprintf("%d:%d", *s.RunAsUser, *s.RunAsGroup); user != i.user || *s.RunAsUser == 0 {
				t.Errorf("%s runs as %s, the image as %s; want the same, not root", p.owner, user, i.user)
			}
			if c := p.container(); c.Command != nil {
				t.Errorf("%s runs %q in place of the image's entrypoint", p.owner, c.Command)
			}
			if ports := openPorts(p.container()); p.serves() && !cmp.Equal(ports, i.ports) {
				t.Errorf("%s opens %v, the image %v", p.owner, ports, i.ports)
			}
		}
	})
}

func openPorts(c *corev1.Container) []string {
	var ports []string
	for _, p := range c.Ports {
		ports = append(ports, fmt.Sprint(p.ContainerPort))
	}
	return ports
}

// TestBuilderIsNewEnough checks that the builder has the Go that go.mod asks for, since it can fetch no other.
func TestBuilderIsNewEnough(t *testing.T) {
	tag, ok := strings.CutPrefix(dockerfile(t).builder, "golang:")
	has, _, _ := strings.Cut(tag, "-")
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\ngo ")
	wants, _, _ := strings.Cut(rest, "\n")
	if !ok || !version.IsValid("go"+has) || version.Compare("go"+has, "go"+wants) < 0 {
		t.Errorf("the builder is golang:%s, want Go %s or later", tag, wants)
	}
}

// build runs the build line of the Dockerfile in this tree, and returns the binary that it made.
func build(t *testing.T) string {
	t.Helper()
	line := dockerfile(t).line
	if !strings.Contains(line, " -o "+built+" ") {
		t.Fatalf("the build line makes no %s: %s", built, line)
	}
	made := filepath.Join(t.TempDir(), "teishi")
	c := exec.Command("/bin/sh", "-c", strings.Replace(line, built, made, 1))
	c.Dir = ".."
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return made
}

// TestBinaryIsStatic checks that what the build line makes needs nothing that scratch lacks, and tells nothing of where it
// was built.
func TestBinaryIsStatic(t *testing.T) {
	file := build(t)
	executable, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer executable.Close()
	for _, p := range executable.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary is linked dynamically: it has a segment %s", p.Type)
		}
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}, {Key: "-trimpath", Value: "true"}} {
		if !slices.Contains(info.Settings, want) {
			t.Errorf("the binary is not built with %s=%s", want.Key, want.Value)
		}
	}
}

// TestBuilderGetsTheTree checks that .dockerignore leaves out nothing that is committed.
func TestBuilderGetsTheTree(t *testing.T) {
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("git", "ls-files", "-z")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for file := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if left, err := ignored.MatchesOrParentMatches(file); err != nil || left {
			t.Errorf(".dockerignore leaves out %s (%v)", file, err)
		}
	}
}
