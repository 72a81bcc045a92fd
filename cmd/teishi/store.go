package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
)

// storeFile returns the file of a store as --store names it: sqlite:FILE.
func storeFile(store string) (string, error) {
	file, ok := strings.CutPrefix(store, "sqlite:")
	if !ok || file == "" {
		return "", fmt.Errorf("%q names no store; say sqlite:FILE", store)
	}
	return file, nil
}

// defaultStore is the store in the user's data directory, or an error if there is none.
func (p *program) defaultStore() (string, error) {
	directory := p.dataDirectory()
	if directory == "" {
		return "", errors.New("there is no home directory to keep the record in; say sqlite:FILE")
	}
	return "sqlite:" + filepath.Join(directory, "teishi", "teishi.db"), nil
}

// dataDirectory is where the system keeps what a user's programs keep.
func (p *program) dataDirectory() string {
	home := p.getenv("HOME")
	switch {
	case runtime.GOOS == "windows":
		return p.getenv("LocalAppData")
	case runtime.GOOS == "darwin" && home != "":
		return filepath.Join(home, "Library", "Application Support")
	case filepath.IsAbs(p.getenv("XDG_DATA_HOME")): // a relative one is to be ignored, says its specification
		return p.getenv("XDG_DATA_HOME")
	case home != "":
		return filepath.Join(home, ".local", "share")
	}
	return ""
}
