//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that runs as a child of this process.
type process struct {
	cmd     *exec.Cmd
	stdout  *bufio.Reader // after the first line
	stderr  bytes.Buffer
	started time.Time
	address string
}

// start starts a server and returns when it has said in its first line where it listens.
func start(ctx context.Context, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, program, args...)}
	p.cmd.Stderr = &p.stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 10 * time.Second
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(stdout)
	if p.address, err = listening(p.stdout); err != nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
		return nil, fmt.Errorf("start %s: %w\n%s", filepath.Base(program), errors.Join(err, p.cmd.Wait()), p.stderr.Bytes())
	}
	return p, nil
}

var address = regexp.MustCompile(` on (127\.0\.0\.1:[0-9]+)`)

// listening returns the address that a server says to listen on.
func listening(stdout *bufio.Reader) (string, error) {
	line, err := stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read where it listens: %w", err)
	}
	found := address.FindStringSubmatch(line)
	if found == nil {
		return "", fmt.Errorf("it does not say where it listens: %q", line)
	}
	return found[1], nil
}

// stop ends the server, unless it has ended by itself, and returns when it has ended.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(p.cmd.Path), err, p.stderr.Bytes())
	}
	return nil
}

// file returns the path of a file that Linux keeps about the process.
func (p *process) file(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), name)
}

// cpu returns the CPU time that the process has used: the sum over its threads, which a Go program never ends, of the
// first number in schedstat, nanoseconds.
func (p *process) cpu() (time.Duration, error) {
	threads, err := filepath.Glob(p.file("task/*/schedstat"))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("no CPU times in %s: they are read as Linux keeps them", p.file("task"))
	}
	var sum time.Duration
	for _, thread := range threads {
		b, err := os.ReadFile(thread)
		if err != nil {
			return 0, err
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

// memory returns the bytes that the process has resident, and the most it ever had.
func (p *process) memory() (resident, peak int64, err error) {
	b, err := os.ReadFile(p.file("status"))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			resident = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			peak = kib << 10
		}
	}
	return resident, peak, nil
}
