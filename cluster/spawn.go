//go:build linux

package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// command is how a program is started.
type command struct {
	path string
	args []string
	env  []string            // beside PATH, HOME and LANG; the program sees nothing else of our own environment
	dir  string              // that it runs in, its HOME
	user *syscall.Credential // that it runs as; nil for who we are

	stdin string // that it is given, if it is run to its end
}

// spawner starts children from one thread that lives as long as itself. The kernel kills a child when the thread that made
// it ends, which is what we want of the death of our process, but not of any thread of it that Go no longer needs.
type spawner struct {
	starts chan func()
	ended  chan struct{}
	stop   chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{starts: make(chan func()), ended: make(chan struct{}), stop: make(chan struct{})}
	go func() {
		defer close(s.ended)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		for {
			select {
			case start := <-s.starts:
				start()
			case <-s.stop:
				return
			}
		}
	}()
	return s
}

// close ends the thread, and with it whatever child still runs.
func (s *spawner) close() {
	close(s.stop)
	<-s.ended
}

// start starts a child.
func (s *spawner) start(cmd *exec.Cmd) error {
	failed := make(chan error, 1)
	select {
	case s.starts <- func() { failed <- cmd.Start() }:
		return <-failed
	case <-s.ended:
		return errClosed
	}
}

// prepare returns a child that can be started. It is in a process group of its own, so that what a terminal sends to the
// foreground reaches us alone, who end the children in order.
func (r *command) prepare(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.path, r.args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "LANG=C.UTF-8"}, r.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: r.user}
	return cmd
}

// run runs a program that ends by itself and returns what it wrote on standard output.
func (s *spawner) run(ctx context.Context, r command) (string, error) {
	cmd := r.prepare(ctx)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(r.stdin), &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	err := s.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return stdout.String(), fmt.Errorf("%s: %w: %s", filepath.Base(r.path), err, strings.TrimSpace(stderr.String()+stdout.String()))
	}
	return stdout.String(), nil
}
