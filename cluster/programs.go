//go:build linux

package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// install says how to have what is missing.
const install = "install the servers, on Debian with: apt install redis-server postgresql pgbouncer"

// program returns the path of a program that is on the path, or where Debian puts servers.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		return path, nil
	}
	return "", fmt.Errorf("%s is missing: %s", name, install)
}

// postgresProgram returns the path of a program of the newest PostgreSQL. Debian keeps them off the path, a directory for
// each version.
func postgresProgram(name string) (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }), nil
	}
	if config, err := exec.LookPath("pg_config"); err == nil {
		out, err := exec.Command(config, "--bindir").Output()
		path := filepath.Join(string(out[:max(0, len(out)-1)]), name)
		if _, missing := os.Stat(path); err == nil && missing == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s of PostgreSQL is missing: %s", name, install)
}

// version returns the 15 of /usr/lib/postgresql/15/bin/postgres, or 0.
func version(path string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	if err != nil {
		return 0
	}
	return n
}
