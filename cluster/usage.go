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
func (p *Process) Usage() (Usage, error) {
	var u Usage
	err := p.with(func(c *child) (err error) {
		directory := filepath.Join("/proc", strconv.Itoa(c.cmd.Process.Pid))
		if u.CPU, err = cpuTime(directory); err != nil {
			return err
		}
		open, err := os.ReadDir(filepath.Join(directory, "fd"))
		if err != nil {
			return err
		}
		u.Descriptors = len(open)
		return u.readStatus(filepath.Join(directory, "status"))
	})
	return u, err
}

// cpuTime returns the sum over threads of the first number in schedstat, nanoseconds.
func cpuTime(directory string) (time.Duration, error) {
	threads, err := filepath.Glob(filepath.Join(directory, "task/*/schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("no CPU times in %s", directory)
	}
	var sum time.Duration
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if err != nil {
			continue // it has ended
		}
		used, _, _ := strings.Cut(string(b), " ")
		ns, err := strconv.ParseInt(used, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", thread, err)
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
