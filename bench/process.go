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
	"syscall"
	"time"

	"github.com/teishi-dev/teishi/cluster"
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

// cpu returns the CPU time that the process has used: a Go program never ends its threads.
func (p *process) cpu() (time.Duration, error) {
	u, err := cluster.UsageOf(p.cmd.Process.Pid)
	return u.CPU, err
}

// memory returns the bytes that the process has resident, and the most it ever had.
func (p *process) memory() (resident, peak int64, err error) {
	u, err := cluster.UsageOf(p.cmd.Process.Pid)
	return u.Resident, u.Peak, err
}
