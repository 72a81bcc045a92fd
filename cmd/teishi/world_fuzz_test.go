package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// FuzzYAML looks for files that are not refused by their name, and for questions that are shown as other ones than are asked.
func FuzzYAML(f *testing.F) {
	examples, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, name := range examples {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	const asks = "scenarios:\n- check: {organization: mic, app: line"
	for _, more := range []string{
		", explain: True}", ", min_revision: 0x10}", ", min_revision: 1_000}", ", epoch: 1.0}", ", purpose: ~}", ", language: !!str 7}", ", attributes: {act: use}}",
		", attributes: &a {act: *a}}", ", <<: {purpose: x}}", ", at: 2021-03-19T00:00:00Z}", ", explain: yes}", ", min_revision: \"7\"}", ", purpose: \"\\x01\\u2028\"}",
	} {
		f.Add(asks + more + "\n  expect: {outcome: OUTCOME_DENIED}\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, err := readWorld(fstest.MapFS{"policy/file.yaml": {Data: []byte(text)}}, "policy")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "policy/file.yaml:") {
				t.Errorf("%q is refused by %v, which does not say where", text, err)
			}
			return
		}
		for _, s := range w.scenarios {
			shown := &teishiv1.CheckRequest{}
			if err := protojson.Unmarshal([]byte(s.asked), shown); err != nil || !proto.Equal(shown, s.Check) {
				t.Errorf("%q asks %v, and is shown as asking %s: %v", text, s.Check, s.asked, err)
			}
		}
	})
}
