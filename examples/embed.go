// Package examples holds worlds of real policy, each a directory of YAML: files with a top-level `resources:` are policy,
// files with a top-level `scenarios:` are questions with the answers they must have.
package examples

import (
	"embed"
	"io/fs"
)

//go:embed */*.yaml
var worlds embed.FS

// FS returns the worlds, each in a directory of its name.
func FS() fs.FS { return worlds }

// Names returns the names of the worlds, in order.
func Names() []string {
	entries, err := worlds.ReadDir(".")
	if err != nil {
		panic(err) // the root of an embedded file system is always there
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}
