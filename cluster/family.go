//go:build linux

package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PostgreSQL works in many processes, and Redis saves in one of its own: what is done to a server is done to its children
// too. While the server is frozen it can neither make children nor let go of them, so that their numbers mean nobody else.

// kill ends the child and its children, and returns when none of them is left.
func (c *child) kill() error {
	family, err := c.freeze()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.ended
	for _, pid := range family {
		if err := until(pid, gone); err != nil {
			return err
		}
	}
	return nil
}

// freeze stops the child and then its children, which it returns. They stand still when it returns.
func (c *child) freeze() ([]int, error) {
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	pid := c.cmd.Process.Pid
	if err := until(pid, still); err != nil {
		return nil, err
	}
	family := children(pid)
	for _, pid := range family {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // it may have ended
	}
	for _, pid := range family {
		if err := until(pid, still); err != nil {
			return family, err
		}
	}
	return family, nil
}

// thaw lets the child's children go on, and then the child.
func (c *child) thaw() error {
	for _, pid := range children(c.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
	}
	return c.cmd.Process.Signal(syscall.SIGCONT)
}

// children returns the processes that a process has made and not yet taken leave of.
func children(pid int) []int {
	var all []int
	for _, b := range ofThreads(pid, "children") {
		for _, word := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(all, child)
			}
		}
	}
	return all
}

// until returns when all threads of a process are as asked for.
func until(pid int, wanted func(state byte) bool) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		states := threads(pid)
		if !bytes.ContainsFunc(states, func(r rune) bool { return !wanted(byte(r)) }) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not get there within %v: its threads are %s", pid, patience, states)
		}
	}
}

// threads returns the state of each thread of a process, as the letters of proc(5).
func threads(pid int) []byte {
	var states []byte
	for _, b := range ofThreads(pid, "stat") {
		if _, after, ok := bytes.Cut(b, []byte(") ")); ok {
			states = append(states, after[0])
		}
	}
	return states
}

// ofThreads returns what a file says of each thread of a process.
func ofThreads(pid int, name string) (all [][]byte) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", pid, name)) // the pattern is well formed
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil { // else the thread has ended
			all = append(all, b)
		}
	}
	return all
}

// still reports whether a thread runs no more: it is stopped, or it has ended.
func still(state byte) bool { return state == 'T' || state == 't' || gone(state) }

// gone reports whether a thread has ended. A zombie has: it waits only for its parent to notice.
func gone(state byte) bool { return state == 'Z' || state == 'X' }
