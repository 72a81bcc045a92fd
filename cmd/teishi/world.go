package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"buf.build/go/protovalidate"
	"buf.build/go/protoyaml"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// world is what the YAML files of one directory say: a policy, and what must be answered from it.
type world struct {
	name      string // of the directory
	changes   []policy.Change
	places    []place // where each change is written
	scenarios []scenario
}

// place is a line of a file.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// scenario is a question with what must be answered, and where both are written.
type scenario struct {
	*teishiv1.Scenario
	place  place
	asked  string          // the question in JSON
	stated map[string]bool // the fields of its expectation that are written, be it as an empty list
}

// readWorld reads the YAML files of a directory, in order of their names. An error names file and line; every file that is
// wrong is told.
func readWorld(files fs.FS, directory string) (*world, error) {
	entries, err := fs.ReadDir(files, directory)
	if err != nil {
		return nil, err
	}
	w := &world{name: path.Base(directory)}
	var wrong []error
	for _, e := range entries {
		if !e.IsDir() && isYAML(e.Name()) {
			wrong = append(wrong, w.readFile(files, path.Join(directory, e.Name())))
		}
	}
	return w, errors.Join(wrong...)
}

func isYAML(name string) bool { return path.Ext(name) == ".yaml" || path.Ext(name) == ".yml" }

// readFile adds what a file says: it is a list of resources or of scenarios.
func (w *world) readFile(files fs.FS, name string) error {
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if items := listed(&document, "resources"); items != nil {
		return w.readResources(name, data, items)
	}
	if items := listed(&document, "scenarios"); items != nil {
		return w.readScenarios(name, data, items)
	}
	return fmt.Errorf("%s: a file holds either a list of `resources:` or one of `scenarios:`", name)
}

func (w *world) readResources(name string, data []byte, items []*yaml.Node) error {
	list := &teishiv1.ResourceList{}
	if err := decode(name, data, list); err != nil {
		return err
	}
	for i, m := range list.GetResources() {
		at := place{name, items[i].Line}
		r, err := policystore.ResourceFromProto(m)
		if err != nil {
			return fmt.Errorf("%s: %w", at, err)
		}
		w.changes = append(w.changes, policy.Change{Put: r})
		w.places = append(w.places, at)
	}
	return nil
}

func (w *world) readScenarios(name string, data []byte, items []*yaml.Node) error {
	list := &teishiv1.ScenarioFile{}
	if err := decode(name, data, list); err != nil {
		return err
	}
	var wrong []error
	for i, s := range list.GetScenarios() {
		stated := map[string]bool{}
		for key, value := range pairs(valueOf(items[i], "expect")) {
			if value.Tag != "!!null" {
				stated[key] = true
			}
		}
		at := place{name, items[i].Line}
		if len(stated) == 0 {
			wrong = append(wrong, fmt.Errorf("%s: `expect:` is empty, so every answer would do: state the outcome", at))
		}
		asked, err := questionJSON(valueOf(items[i], "check"), s.GetCheck())
		if err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", at, err))
		}
		w.scenarios = append(w.scenarios, scenario{Scenario: s, place: at, asked: asked, stated: stated})
	}
	return errors.Join(wrong...)
}

// questionJSON returns a question in JSON, in the order in which it is written, unless YAML has words for it that JSON has not.
func questionJSON(written *yaml.Node, m *teishiv1.CheckRequest) (string, error) {
	asked, read := asJSON(written), &teishiv1.CheckRequest{}
	if err := protojson.Unmarshal([]byte(asked), read); err == nil && proto.Equal(read, m) {
		return asked, nil
	}
	b, err := protojson.Marshal(m)
	return string(b), err
}

// decode reads a file into a message; its errors name file, line and column.
func decode(name string, data []byte, m proto.Message) error {
	validator, err := protovalidate.New(protovalidate.WithMessages(m))
	if err != nil {
		return fmt.Errorf("compile the rules of %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	err = protoyaml.UnmarshalOptions{Path: name, Validator: rules{validator}}.Unmarshal(data, m)
	if err != nil {
		return errors.New(strings.TrimSpace(err.Error()))
	}
	return nil
}

// rules are the rules of the protos, as protoyaml asks for them.
type rules struct{ protovalidate.Validator }

func (r rules) Validate(m proto.Message) error { return r.Validator.Validate(m) }

// blame says where the change that an error is about is written, as far as the error tells.
func (w *world) blame(err error) error {
	if wrong, ok := errors.AsType[*policy.ChangeError](err); ok && wrong.Index < len(w.places) {
		return fmt.Errorf("%s: %w", w.places[wrong.Index], wrong)
	}
	return err
}
