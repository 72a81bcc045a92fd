//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// template is what initdb makes, once: it takes longer than a copy.
type template struct {
	mu   sync.Mutex
	made string // empty until it is
}

// directory returns a directory of data that are as new.
func (t *template) directory(ctx context.Context, c *Cluster) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.made != "" {
		return t.made, nil
	}
	initdb, err := postgresProgram("initdb")
	if err != nil {
		return "", err
	}
	user, err := servant()
	if err != nil {
		return "", err
	}
	parent, err := os.MkdirTemp(c.root, "initdb-")
	if err != nil {
		return "", err
	}
	password, data := filepath.Join(parent, "password"), filepath.Join(parent, "data")
	if err := errors.Join(give(parent, user), writeFor(user, password, c.password)); err != nil {
		return "", err
	}
	_, err = c.run(ctx, command{path: initdb, dir: parent, user: user,
		args: []string{"-D", data, "-U", superuser, "-A", "scram-sha-256", "--pwfile", password, "--locale=C", "-E", "UTF8", "--no-sync"}})
	if err == nil {
		t.made = data
	}
	return data, err
}

// copyTree copies a directory as the user that PostgreSQL runs as.
func (p *Postgres) copyTree(ctx context.Context, from, to string) error {
	cp, err := program("cp")
	if err != nil {
		return err
	}
	_, err = p.cluster.run(ctx, command{path: cp, args: []string{"-a", "--reflink=auto", from, to}, dir: p.Dir(), user: p.command.user})
	return err
}

// postmasterFile is what a PostgreSQL says of itself in its data, while it runs.
const postmasterFile = "postmaster.pid"

// freeMemory frees the piece of shared memory that a PostgreSQL leaves behind when it is killed. It holds nothing: by it the
// next start on the same data would see whether somebody is still attached.
func freeMemory(data string) error {
	b, err := os.ReadFile(filepath.Join(data, postmasterFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil // it has ended in order, or never begun
	}
	if err != nil {
		return err
	}
	const line = 7 // has the key of the memory and its id
	lines := strings.Split(string(b), "\n")
	if len(lines) < line {
		return nil // it had not come so far
	}
	var key, id int
	if _, err := fmt.Sscan(lines[line-1], &key, &id); err != nil {
		return nil // likewise
	}
	if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("free the shared memory of the PostgreSQL in %s: %w", data, err)
	}
	return nil
}
