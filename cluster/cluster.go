//go:build linux

package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Config says where a cluster lives.
type Config struct {
	// Directory holds all that the servers write. It is made if there is none, must be empty, and is kept. Default: a new one
	// in memory where there is room, else among the temporary files, removed by Close.
	Directory string
}

// Cluster is a directory and everything that was started in it. It may be used by several goroutines.
type Cluster struct {
	*common
	directory string
	release   func() error // what the directory was taken with

	mu        sync.Mutex
	closers   []func() error // of what was started, in that order
	processes []*Process
	closed    bool
}

// common is what a cluster shares with the parts of it.
type common struct {
	spawner  *spawner
	root     string // the directory of the whole
	password string // of everything that only the harness may do
	template template
	builds   builds
}

// errClosed is returned when something is to be started in a cluster that is closed.
var errClosed = errors.New("the cluster is closed")

// New returns a cluster in which nothing runs yet. Close it.
func New(c Config) (*Cluster, error) {
	directory, release, err := take(c.Directory)
	if err != nil {
		return nil, fmt.Errorf("make a cluster: %w", err)
	}
	shared := &common{spawner: newSpawner(), root: directory, password: rand.Text()}
	return &Cluster{common: shared, directory: directory, release: func() error {
		shared.spawner.close()
		return release()
	}}, nil
}

// Part returns a cluster within the cluster, in a directory beneath its own: closing it ends only what was started in
// it. It is closed with the whole, if not before. It shares what takes long to make.
func (c *Cluster) Part(name string) (*Cluster, error) {
	directory, err := c.place(name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(directory, traversable); err != nil {
		return nil, err
	}
	part := &Cluster{common: c.common, directory: directory, release: func() error { return os.RemoveAll(directory) }}
	return part, c.onClose(part.Close)
}

// Directory returns where everything that the cluster's servers write is.
func (c *Cluster) Directory() string { return c.directory }

// Close kills what still runs, the youngest first, and removes the directory unless it is to be kept. It returns when
// nothing is left. Closing again does nothing.
func (c *Cluster) Close() error {
	c.mu.Lock()
	closers := c.closers
	c.closers = nil
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if !first {
		return nil
	}
	var errs []error
	for _, end := range slices.Backward(closers) {
		errs = append(errs, end())
	}
	return errors.Join(append(errs, c.release())...)
}

// onClose has Close end something that was started, or ends it at once if the cluster is closed already.
func (c *Cluster) onClose(end func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errors.Join(errClosed, end())
	}
	c.closers = append(c.closers, end)
	return nil
}

// place makes a directory of the cluster's, named as asked for or, if that is taken, with a number after it.
func (c *Cluster) place(name string) (string, error) {
	for n := 1; ; n++ {
		directory := filepath.Join(c.directory, name)
		if n > 1 {
			directory += "-" + strconv.Itoa(n)
		}
		if err := os.Mkdir(directory, 0o700); !errors.Is(err, os.ErrExist) {
			return directory, err
		}
	}
}

// T is what a test gives to have a cluster of its own: a *testing.T or *testing.B.
type T interface {
	Helper()
	Cleanup(func())
	Failed() bool
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Test returns a cluster that is closed at the end of the test. If the test has failed, the ends of its servers' logs are
// in the test's.
func Test(t T) *Cluster {
	t.Helper()
	c, err := New(Config{})
	return c.until(t, err)
}

// Test returns a part of the cluster that is closed at the end of the test, like that of the function of this name.
func (c *Cluster) Test(t T) *Cluster {
	t.Helper()
	part, err := c.Part("test")
	return part.until(t, err)
}

func (c *Cluster) until(t T, err error) *Cluster {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s", c.logs())
		}
		if err := c.Close(); err != nil {
			t.Errorf("close the cluster: %v", err)
		}
	})
	return c
}

// logs returns the ends of the logs of all servers.
func (c *Cluster) logs() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all strings.Builder
	for _, p := range c.processes {
		all.WriteString(p.logEnd() + "\n")
	}
	return all.String()
}

// run runs a program that ends by itself and returns what it wrote on standard output.
func (c *common) run(ctx context.Context, r command) (string, error) {
	return c.spawner.run(ctx, r)
}
