//go:build linux

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// StartStandby starts a server that follows this one and answers questions only. It is named as the config says, by default
// standby, and is then what synchronous_standby_names calls it.
func (p *Postgres) StartStandby(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	config.Name = cmp.Or(config.Name, "standby")
	s, err := p.cluster.postgres(config)
	if err != nil {
		return nil, err
	}
	if _, err := p.tool(ctx, "pg_basebackup", "-D", s.data(), "-R", "-X", "stream", "-c", "fast", "--no-sync"); err != nil {
		return nil, err
	}
	if err := s.configure(config.Settings); err != nil {
		return nil, err
	}
	return s, s.startOnFreeAddress(ctx)
}

// Promote makes a standby a primary, and returns when it is one.
func (p *Postgres) Promote(ctx context.Context) error {
	out, err := p.SQL(ctx, superuser, "SELECT pg_promote()")
	if err == nil && strings.TrimSpace(out) != "t" {
		err = errors.New("not within its own time limit")
	}
	if err != nil {
		return fmt.Errorf("promote %s: %w", p.Name(), err)
	}
	return nil
}

// Snapshot copies all data of the server, which must not be running, and returns the directory of the copy.
func (p *Postgres) Snapshot(ctx context.Context) (string, error) {
	if p.PID() != 0 {
		return "", fmt.Errorf("take a snapshot of %s: it is running", p.Name())
	}
	directory, err := os.MkdirTemp(p.Dir(), "snapshot-")
	if err != nil {
		return "", err
	}
	if err := give(directory, p.command.user); err != nil {
		return "", err
	}
	return directory, p.copyTree(ctx, p.data(), filepath.Join(directory, "data"))
}

// RestoreSnapshot puts a snapshot in the place of all data of the server, which must not be running: databases and settings
// are as they were then. The snapshot can be restored again.
func (p *Postgres) RestoreSnapshot(ctx context.Context, snapshot string) error {
	if p.PID() != 0 {
		return fmt.Errorf("restore a snapshot of %s: it is running", p.Name())
	}
	if err := errors.Join(freeMemory(p.data()), os.RemoveAll(p.data())); err != nil {
		return err
	}
	return p.copyTree(ctx, filepath.Join(snapshot, "data"), p.data())
}

// Dump writes all that is in a database to a file, while it is in use, and returns the path of the file.
func (p *Postgres) Dump(ctx context.Context, database string) (string, error) {
	directory, err := os.MkdirTemp(p.Dir(), "dump-")
	if err != nil {
		return "", err
	}
	if err := give(directory, p.command.user); err != nil {
		return "", err
	}
	file := filepath.Join(directory, database)
	_, err = p.tool(ctx, "pg_dump", "-F", "custom", "-f", file, database)
	return file, err
}

// Restore makes a database anew from a dump. Whoever uses the database is thrown out of it.
func (p *Postgres) Restore(ctx context.Context, database, dump string) error {
	anew := fmt.Sprintf("DROP DATABASE IF EXISTS %[1]s WITH (FORCE);\nCREATE DATABASE %[1]s OWNER %[2]s TEMPLATE template0;", database, Owner)
	if _, err := p.SQL(ctx, superuser, anew); err != nil {
		return err
	}
	_, err := p.tool(ctx, "pg_restore", "--exit-on-error", "-d", database, dump)
	return err
}
