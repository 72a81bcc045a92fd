//go:build linux

package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a server uses, without its children.
type Usage struct {
	CPU         time.Duration // since it started, by the threads that it has now
	Resident    int64         // bytes of memory
	Peak        int64         // bytes of memory, the most it ever had
	Threads     int
	Descriptors int // open files and connections
}

// Usage returns what the running server uses.
func (p *Process) Usage() (u Usage, err error) {
	err = p.with(func(c *child) (err error) {
		u, err = UsageOf(c.cmd.Process.Pid)
		return err
	})
	return u, err
}

// UsageOf returns what a process uses.
func UsageOf(pid int) (u Usage, err error) {
	directory := filepath.Join("/proc", strconv.Itoa(pid))
	if u.CPU, err = cpuTime(pid); err != nil {
		return u, err
	}
	open, err := os.ReadDir(filepath.Join(directory, "fd"))
	if err != nil {
		return u, err
	}
	u.Descriptors = len(open)
	return u, u.readStatus(filepath.Join(directory, "status"))
}

// cpuTime returns the sum over threads of the first number in schedstat, nanoseconds.
func cpuTime(pid int) (time.Duration, error) {
	all := ofThreads(pid, "schedstat")
	if len(all) == 0 {
		return 0, fmt.Errorf("process %d has no CPU times: they are read as Linux keeps them", pid)
	}
	var sum time.Duration
	for _, b := range all {
		used, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(used, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the CPU times of process %d: %w", pid, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

func (u *Usage) readStatus(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			u.Resident = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			u.Peak = kib << 10
		}
		_, _ = fmt.Sscanf(line, "Threads: %d", &u.Threads) // on that line alone
	}
	return nil
}
