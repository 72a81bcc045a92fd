//go:build linux

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"
)

// PgBouncerConfig says how a PgBouncer runs.
type PgBouncerConfig struct {
	// Name of the server. Default: pgbouncer.
	Name string
	// Postgres that it stands before.
	Postgres *Postgres
	// Lines go to the end of pgbouncer.ini, so that they override what the cluster writes: pool_mode=transaction.
	Lines []string
}

// PgBouncer is a running PgBouncer: it lends the clients of a PostgreSQL a connection for one transaction at a time.
type PgBouncer struct {
	*Process
	config  PgBouncerConfig
	cluster *Cluster
	address string
}

// StartPgBouncer starts a PgBouncer and returns when it answers.
func (c *Cluster) StartPgBouncer(ctx context.Context, config PgBouncerConfig) (*PgBouncer, error) {
	config.Name = cmp.Or(config.Name, "pgbouncer")
	path, err := program("pgbouncer")
	if err != nil {
		return nil, err
	}
	user, err := servant()
	if err != nil {
		return nil, err
	}
	directory, err := c.place(config.Name)
	if err != nil {
		return nil, err
	}
	b := &PgBouncer{config: config, cluster: c}
	b.Process = &Process{command: command{path: path, dir: directory, user: user}, end: syscall.SIGINT, answers: b.ping}
	b.command.args = []string{b.file("pgbouncer.ini")}
	if err := c.process(b.Process); err != nil {
		return nil, err
	}
	if err := give(directory, user); err != nil {
		return nil, err
	}
	return b, onFreeAddress(func(address string) error {
		b.address = address
		if err := b.configure(); err != nil {
			return err
		}
		return b.Start(ctx)
	})
}

func (b *PgBouncer) file(name string) string { return filepath.Join(b.Dir(), name) }

// configure writes its settings, and the passwords: it asks them of its clients and says them to PostgreSQL.
func (b *PgBouncer) configure() error {
	lines := []string{
		"[databases]",
		"* = host=127.0.0.1 port=" + portOf(b.config.Postgres.address),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + portOf(b.address),
		"unix_socket_dir =",
		"pool_mode = transaction",
		"max_client_conn = 1000",
		"auth_type = scram-sha-256",
		"auth_file = " + b.file("users"),
	}
	settings := strings.Join(append(lines, b.config.Lines...), "\n") + "\n"
	if err := writeFor(b.command.user, b.file("pgbouncer.ini"), settings); err != nil {
		return err
	}
	passwords := fmt.Sprintf("%q %q\n%q %q\n", Owner, b.cluster.password, superuser, b.cluster.password)
	return writeFor(b.command.user, b.file("users"), passwords)
}

// Addr returns the HOST:PORT it listens on.
func (b *PgBouncer) Addr() string { return b.address }

// DSN returns where the owner reaches a database of the PostgreSQL through it, with the password.
func (b *PgBouncer) DSN(database string) string { return b.config.Postgres.DSNAt(b.address, database) }

// SQL runs statements in a database as its owner, through PgBouncer, and returns what psql prints.
func (b *PgBouncer) SQL(ctx context.Context, database, statements string) (string, error) {
	return b.config.Postgres.psql(ctx, b.address, Owner, database, statements)
}

// ping reports whether it accepts connections. It does so whether or not PostgreSQL is there.
func (b *PgBouncer) ping(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", b.address)
	if err != nil {
		return err
	}
	return c.Close()
}
