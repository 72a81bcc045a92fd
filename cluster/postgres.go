//go:build linux

package cluster

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// PostgresConfig says how a PostgreSQL runs.
type PostgresConfig struct {
	// Name of the server. Default: postgres.
	Name string
	// Settings go into postgresql.conf, so that ALTER SYSTEM overrides them. Default: none; fsync is on then, as everywhere.
	Settings map[string]string
	// TLS has it accept nothing but TLS, with a certificate of this CA.
	TLS *CA
}

// Owner is the role that owns the databases that are made. It may do nothing else.
const Owner = "teishi"

// superuser is the role that may do everything.
const superuser = "postgres"

// Postgres is a running PostgreSQL server.
type Postgres struct {
	*Process
	config   PostgresConfig
	cluster  *Cluster
	address  string
	identity Identity // where there is TLS

	mu        sync.Mutex
	databases int // made so far
}

// StartPostgres starts a PostgreSQL and returns when it answers.
func (c *Cluster) StartPostgres(ctx context.Context, config PostgresConfig) (*Postgres, error) {
	p, err := c.postgres(config)
	if err != nil {
		return nil, err
	}
	made, err := c.template.directory(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := p.copyTree(ctx, made, p.data()); err != nil {
		return nil, err
	}
	if err := p.configure(config.Settings); err != nil {
		return nil, err
	}
	if err := p.startOnFreeAddress(ctx); err != nil {
		return nil, err
	}
	_, err = p.SQL(ctx, superuser, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", Owner, c.password))
	return p, err
}

// postgres adds a server to the cluster, that has no data yet and is not started.
func (c *Cluster) postgres(config PostgresConfig) (*Postgres, error) {
	config.Name = cmp.Or(config.Name, "postgres")
	path, err := postgresProgram("postgres")
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
	p := &Postgres{config: config, cluster: c}
	p.Process = &Process{command: command{path: path, dir: directory, user: user}, end: syscall.SIGINT, answers: p.ping}
	if err := p.identify(); err != nil {
		return nil, err
	}
	if err := c.onClose(func() error { return freeMemory(p.data()) }); err != nil { // after it has ended: what is younger is closed first
		return nil, err
	}
	if err := c.process(p.Process); err != nil {
		return nil, err
	}
	return p, give(directory, user)
}

// identify has a certificate issued, where there is TLS.
func (p *Postgres) identify() (err error) {
	if p.config.TLS == nil {
		return nil
	}
	if p.identity, err = p.config.TLS.Issue(filepath.Base(p.command.dir)); err != nil {
		return err
	}
	if err := give(p.identity.CertFile, p.command.user); err != nil {
		return err
	}
	return give(p.identity.KeyFile, p.command.user)
}

func (p *Postgres) data() string { return filepath.Join(p.Dir(), "data") }

// startOnFreeAddress starts the server where nobody listens.
func (p *Postgres) startOnFreeAddress(ctx context.Context) error {
	return onFreeAddress(func(address string) error {
		p.address = address
		p.command.args = p.arguments()
		return p.Start(ctx)
	})
}

// arguments returns the settings that are not to be changed: where the server listens, and that it leaves nothing behind
// outside its directory.
func (p *Postgres) arguments() []string {
	settings := map[string]string{
		"listen_addresses":           "127.0.0.1",
		"port":                       portOf(p.address),
		"unix_socket_directories":    "",
		"dynamic_shared_memory_type": "mmap",
		"cluster_name":               p.Name(),
		"logging_collector":          "off",
	}
	if p.config.TLS != nil {
		settings["ssl"] = "on"
		settings["ssl_cert_file"], settings["ssl_key_file"], settings["ssl_ca_file"] = p.identity.CertFile, p.identity.KeyFile, p.config.TLS.File
	}
	args := []string{"-D", p.data()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// configure appends settings to postgresql.conf and says who may connect: everybody who has a password.
func (p *Postgres) configure(settings map[string]string) error {
	kind := "host"
	if p.config.TLS != nil {
		kind = "hostssl"
	}
	access := fmt.Sprintf("%[1]s all all 127.0.0.1/32 scram-sha-256\n%[1]s replication all 127.0.0.1/32 scram-sha-256\n", kind)
	if err := writeFor(p.command.user, filepath.Join(p.data(), "pg_hba.conf"), access); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(p.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	for name, value := range settings {
		if _, err := fmt.Fprintf(f, "%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''")); err != nil {
			return err
		}
	}
	return nil
}

// Addr returns the HOST:PORT it listens on.
func (p *Postgres) Addr() string { return p.address }

// DSN returns where its owner reaches a database, with the password.
func (p *Postgres) DSN(database string) string { return p.DSNAt(p.address, database) }

// DSNAt returns the DSN with another HOST:PORT, such as that of a Shim before it.
func (p *Postgres) DSNAt(address, database string) string {
	return p.url(address, Owner, database)
}

// SuperuserDSN returns where somebody who may do everything reaches a database, with the password.
func (p *Postgres) SuperuserDSN(database string) string { return p.url(p.address, superuser, database) }

func (p *Postgres) url(address, user, database string) string {
	u := url.URL{Scheme: "postgres", Host: address, Path: database, User: url.UserPassword(user, p.cluster.password)}
	query := url.Values{"sslmode": {"disable"}}
	if p.config.TLS != nil {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {p.config.TLS.File}}
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// CreateDatabase makes a database of the owner's that nobody else uses, and returns its name.
func (p *Postgres) CreateDatabase(ctx context.Context) (string, error) {
	p.mu.Lock()
	p.databases++
	name := fmt.Sprintf("teishi_%d", p.databases)
	p.mu.Unlock()
	_, err := p.SQL(ctx, superuser, fmt.Sprintf("CREATE DATABASE %s OWNER %s TEMPLATE template0", name, Owner))
	return name, err
}

// SQL runs statements in a database as somebody who may do everything, and returns what psql prints: a line for each row,
// columns between | signs.
func (p *Postgres) SQL(ctx context.Context, database, statements string) (string, error) {
	return p.psql(ctx, p.address, superuser, database, statements)
}

func (p *Postgres) psql(ctx context.Context, address, user, database, statements string) (string, error) {
	run, err := p.client(address, user, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-")
	if err != nil {
		return "", err
	}
	run.stdin = statements // of which some hold passwords
	return p.cluster.run(ctx, run)
}

// tool runs a program of PostgreSQL's that connects to the server as somebody who may do everything.
func (p *Postgres) tool(ctx context.Context, name string, args ...string) (string, error) {
	run, err := p.client(p.address, superuser, name, args...)
	if err != nil {
		return "", err
	}
	return p.cluster.run(ctx, run)
}

// client returns how a program of PostgreSQL's that connects to a server is run.
func (p *Postgres) client(address, user, name string, args ...string) (command, error) {
	path, err := postgresProgram(name)
	env := []string{"PGHOST=127.0.0.1", "PGPORT=" + portOf(address), "PGUSER=" + user, "PGPASSWORD=" + p.cluster.password, "PGCONNECT_TIMEOUT=5"}
	if p.config.TLS != nil {
		env = append(env, "PGSSLMODE=verify-full", "PGSSLROOTCERT="+p.config.TLS.File)
	}
	return command{path: path, args: args, env: env, dir: p.Dir(), user: p.command.user}, err
}

func (p *Postgres) ping(ctx context.Context) error {
	_, err := p.SQL(ctx, superuser, "SELECT 1")
	return err
}

// StopImmediate ends the server as pg_ctl stop -m immediate does: at once, leaving the rest to the recovery at the next
// start. Stop lets it write down first what it holds, after it has sent everybody away.
func (p *Postgres) StopImmediate() error { return p.stop(syscall.SIGQUIT) }
