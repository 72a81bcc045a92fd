//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/cluster"
)

// must returns the value, or ends the test.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// family returns a process and its children.
func family(pid int) []int {
	all := []int{pid}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, word := range strings.Fields(string(b)) {
		child, _ := strconv.Atoi(word)
		all = append(all, child)
	}
	return all
}

// gone returns nil once none of the processes is there.
func gone(pids []int) error {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(b), ") Z ") {
			return fmt.Errorf("process %d is still there: %s", pid, b)
		}
	}
	return nil
}

func awaitGone(t *testing.T, pids []int) {
	t.Helper()
	check(t, cluster.Wait(t.Context(), "the processes to be gone", func(context.Context) error { return gone(pids) }))
}

// checkLoopback sees that a process listens, and on the loopback only.
func checkLoopback(t *testing.T, name string, pid int) {
	t.Helper()
	addresses := must[[]string](t)(listening(pid))
	if len(addresses) == 0 {
		t.Errorf("%s listens nowhere", name)
	}
	for _, a := range addresses {
		if !strings.HasPrefix(a, "0100007F:") {
			t.Errorf("%s listens on %s, want 127.0.0.1 only", name, a)
		}
	}
}

// listening returns the addresses that a process listens on, as the kernel writes them.
func listening(pid int) ([]string, error) {
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return nil, err
	}
	mine := map[string]bool{}
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil {
			mine[to] = true
		}
	}
	var all []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(table)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(b)) {
			const local, state, inode, listens = 1, 3, 9, "0A"
			if f := strings.Fields(line); len(f) > inode && f[state] == listens && mine["socket:["+f[inode]+"]"] {
				all = append(all, f[local])
			}
		}
	}
	return all, nil
}

// state returns the state of a process, as a letter of proc(5).
func state(t *testing.T, pid int) string {
	t.Helper()
	b := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)))
	_, after, _ := strings.Cut(string(b), ") ")
	return after[:1]
}
