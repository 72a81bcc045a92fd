//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a server as the operating system sees it. It can be started again after it has ended, with the same settings
// at the same address. Its methods may be called by several goroutines, and return when what they do is done.
type Process struct {
	name    string
	command command
	end     syscall.Signal              // asks it to end in order
	answers func(context.Context) error // nil once it does what it is for; itself nil if nobody waits for that
	logFile string                      // what it writes on standard output and error, over all its lives
	spawner *spawner

	mu    sync.Mutex
	child *child // the last one started; nil before the first
}

// child is one life of a process.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; set before ended is closed
}

// patience is how long a server that was asked to end may take for it.
const patience = 20 * time.Second

// process adds a process to the cluster, which is not started yet. Its log is beside the directory it runs in.
func (c *Cluster) process(p *Process) error {
	p.name = filepath.Base(p.command.dir)
	p.logFile = p.command.dir + ".log"
	p.spawner = c.spawner
	c.mu.Lock()
	c.processes = append(c.processes, p)
	c.mu.Unlock()
	return c.onClose(p.close)
}

// Name returns the name of the server, which is unique in its cluster.
func (p *Process) Name() string { return p.name }

// Dir returns the directory that the server keeps its files in.
func (p *Process) Dir() string { return p.command.dir }

// LogFile returns the path of the file that takes what the server writes on standard output and error.
func (p *Process) LogFile() string { return p.logFile }

// Log returns what the server has written so far on standard output and error, in all its lives.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// PID returns the process id of the server, or 0 if it does not run.
func (p *Process) PID() int {
	c, err := p.running()
	if err != nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// Start starts the server, which must not be running, and returns when it answers.
func (p *Process) Start(ctx context.Context) error {
	c, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	if p.answers == nil {
		return nil
	}
	if err := p.await(ctx, c, "to answer", p.answers); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w\n%s", p.name, err, p.logEnd()), p.close())
	}
	return nil
}

// launch starts the next life of the process.
func (p *Process) launch() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child != nil && !p.child.over() {
		return nil, errors.New("it runs already")
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has it
	c := &child{cmd: p.command.prepare(context.Background()), ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := p.spawner.start(c.cmd); err != nil {
		return nil, err
	}
	p.child = c
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	return c, nil
}

// await returns when a condition holds, or with an error as soon as the server has ended.
func (p *Process) await(ctx context.Context, c *child, what string, condition func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-c.ended:
			cancel(c.obituary())
		case <-ctx.Done():
		}
	}()
	return Wait(ctx, p.name+" "+what, condition)
}

// Restart starts the server again; one that runs is stopped first.
func (p *Process) Restart(ctx context.Context) error {
	if _, err := p.running(); err == nil {
		if err := p.Stop(); err != nil {
			return err
		}
	}
	return p.Start(ctx)
}

// Stop asks the server to end and returns when it has. One that takes too long is killed, which is an error.
func (p *Process) Stop() error { return p.stop(p.end) }

func (p *Process) stop(signal syscall.Signal) error {
	c, err := p.running()
	if err != nil {
		return err
	}
	if err := errors.Join(c.thaw(), c.cmd.Process.Signal(signal)); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(patience):
		return errors.Join(fmt.Errorf("stop %s: not within %v\n%s", p.name, patience, p.logEnd()), c.kill())
	}
}

// Kill ends the server and its children as a crash does, by SIGKILL.
func (p *Process) Kill() error { return p.with((*child).kill) }

// Pause freezes the server and its children, as a machine that is suspended: it keeps its connections and says nothing.
func (p *Process) Pause() error {
	return p.with(func(c *child) error {
		_, err := c.freeze()
		return err
	})
}

// Resume lets a paused server go on.
func (p *Process) Resume() error { return p.with((*child).thaw) }

// Signal sends a signal to the server, but not to its children.
func (p *Process) Signal(s os.Signal) error {
	return p.with(func(c *child) error { return c.cmd.Process.Signal(s) })
}

// Wait returns when the server has ended: nil if it exited with 0, else how it ended.
func (p *Process) Wait(ctx context.Context) error {
	p.mu.Lock()
	c := p.child
	p.mu.Unlock()
	if c == nil {
		return fmt.Errorf("%s was never started", p.name)
	}
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("wait for %s to end: %w", p.name, context.Cause(ctx))
	}
}

// with does something to the running server.
func (p *Process) with(do func(*child) error) error {
	c, err := p.running()
	if err != nil {
		return err
	}
	if err := do(c); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// running returns the present life of the server, or an error that says how the last one ended.
func (p *Process) running() (*child, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return nil, fmt.Errorf("%s was never started", p.name)
	}
	if p.child.over() {
		return nil, fmt.Errorf("%s does not run: %w", p.name, p.child.obituary())
	}
	return p.child, nil
}

// close kills the server if it runs.
func (p *Process) close() error {
	c, err := p.running()
	if err != nil {
		return nil
	}
	return c.kill()
}

// logEnd returns the end of the log, for errors.
func (p *Process) logEnd() string {
	const lines = 15
	all := strings.Split(strings.TrimSpace(p.Log()), "\n")
	return "the log of " + p.name + " ends:\n\t" + strings.Join(all[max(0, len(all)-lines):], "\n\t")
}

func (c *child) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// obituary says how the child ended.
func (c *child) obituary() error {
	if c.err == nil {
		return errors.New("it has ended, with exit code 0")
	}
	return fmt.Errorf("it has ended: %w", c.err)
}
