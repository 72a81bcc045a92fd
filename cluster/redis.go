//go:build linux

package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// RedisConfig says how a Redis runs.
type RedisConfig struct {
	// Name of the server. Default: redis.
	Name string
	// Persist has it keep its data over a restart, in an append-only file. Default: it starts empty each time.
	Persist bool
	// Users that may do what their rules say. With any, the user default is off, and what the cluster does is done by Admin.
	// Default: none, and everybody may do everything.
	Users []RedisUser
	// TLS has it speak nothing but TLS, with a certificate of this CA.
	TLS *CA
	// Master is replicated from. Default: none, it is a master itself.
	Master *Redis
	// Announce is the HOST:PORT that it gives to others to reach it by, such as that of a Shim. Default: its own.
	Announce string
	// Lines go to the end of redis.conf, so that they override what is above.
	Lines []string
}

// RedisUser is a user that may do what its ACL rules say.
type RedisUser struct {
	Name, Password string
	Rules          string // as in "resetkeys -@all +ping"
}

// Admin is the Redis user that may do everything, where there are users.
const Admin = "admin"

// Redis is a running redis-server.
type Redis struct {
	*Process
	config   RedisConfig
	cluster  *Cluster
	cli      string // path of redis-cli
	address  string
	identity Identity // where there is TLS
}

// StartRedis starts a Redis and returns when it answers.
func (c *Cluster) StartRedis(ctx context.Context, config RedisConfig) (*Redis, error) {
	config.Name = cmp.Or(config.Name, "redis")
	r, err := c.redis(config)
	if err != nil {
		return nil, err
	}
	err = onFreeAddress(func(address string) error {
		r.address = address
		if err := r.writeConfig(r.settings()); err != nil {
			return err
		}
		return r.Start(ctx)
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// redis adds a server to the cluster, that is not configured yet and not started. Options follow its configuration file.
func (c *Cluster) redis(config RedisConfig, options ...string) (*Redis, error) {
	path, err := program("redis-server")
	if err != nil {
		return nil, err
	}
	cli, err := program("redis-cli")
	if err != nil {
		return nil, err
	}
	directory, err := c.place(config.Name)
	if err != nil {
		return nil, err
	}
	r := &Redis{config: config, cluster: c, cli: cli}
	if config.TLS != nil {
		if r.identity, err = config.TLS.Issue(filepath.Base(directory)); err != nil {
			return nil, err
		}
	}
	r.Process = &Process{command: command{path: path, dir: directory}, end: syscall.SIGTERM, answers: r.ping}
	r.command.args = append([]string{r.configFile()}, options...)
	return r, c.process(r.Process)
}

func (r *Redis) configFile() string { return filepath.Join(r.Dir(), "redis.conf") }

func (r *Redis) writeConfig(lines []string) error {
	return os.WriteFile(r.configFile(), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// settings returns the lines of redis.conf.
func (r *Redis) settings() []string {
	lines := r.network()
	lines = append(lines, users(r.config.Users, r.cluster.password)...)
	lines = append(lines, `save ""`, "repl-diskless-sync-delay 0")
	if r.config.Persist {
		lines = append(lines, "appendonly yes")
	}
	if host, port, ok := strings.Cut(r.config.Announce, ":"); ok {
		lines = append(lines, "replica-announce-ip "+host, "replica-announce-port "+port)
	}
	if len(r.config.Users) > 0 {
		lines = append(lines, "masteruser "+Admin, "masterauth "+r.cluster.password)
	}
	if r.config.Master != nil {
		host, port, _ := strings.Cut(r.config.Master.Announced(), ":")
		lines = append(lines, "replicaof "+host+" "+port)
	}
	return append(lines, r.config.Lines...)
}

// network returns the lines that say where it listens and how it speaks, the same for Redis and Sentinel.
func (r *Redis) network() []string {
	lines := []string{"bind 127.0.0.1", "dir " + r.Dir()}
	if r.config.TLS == nil {
		return append(lines, "port "+portOf(r.address))
	}
	return append(lines, "port 0", "tls-port "+portOf(r.address), "tls-replication yes", "tls-auth-clients no",
		"tls-cert-file "+r.identity.CertFile, "tls-key-file "+r.identity.KeyFile, "tls-ca-cert-file "+r.config.TLS.File)
}

// users returns the lines that make users, and turn off the one that needs no password.
func users(all []RedisUser, adminPassword string) []string {
	if len(all) == 0 {
		return nil
	}
	lines := []string{"user default off"}
	for _, u := range append(slices.Clone(all), RedisUser{Admin, adminPassword, "~* &* +@all"}) {
		lines = append(lines, fmt.Sprintf("user %s on #%x %s", u.Name, sha256.Sum256([]byte(u.Password)), u.Rules))
	}
	return lines
}

// Addr returns the HOST:PORT it listens on.
func (r *Redis) Addr() string { return r.address }

// Announced returns the HOST:PORT that it gives to others to reach it by.
func (r *Redis) Announced() string {
	if r.config.Announce != "" {
		return r.config.Announce
	}
	return r.address
}

// URL returns where it is reached by a user, with the password. The empty name stands for the user that needs none.
func (r *Redis) URL(user string) string { return r.URLAt(r.address, user) }

// URLAt returns the URL with another HOST:PORT, such as that of a Shim before it.
func (r *Redis) URLAt(address, user string) string {
	u := url.URL{Scheme: "redis", Host: address}
	if r.config.TLS != nil {
		u.Scheme = "rediss"
	}
	if user != "" {
		u.User = url.UserPassword(user, r.passwordOf(user))
	}
	return u.String()
}

func (r *Redis) passwordOf(user string) string {
	return passwordOf(user, r.config.Users, r.cluster.password)
}

// passwordOf returns the password of one of the users, or the one of Admin.
func passwordOf(user string, all []RedisUser, adminPassword string) string {
	for _, u := range all {
		if u.Name == user {
			return u.Password
		}
	}
	return adminPassword
}

// CLI runs redis-cli as Admin, who may do everything, and returns what it prints. An error reply is an error.
func (r *Redis) CLI(ctx context.Context, args ...string) (string, error) {
	return r.CLIAs(ctx, Admin, args...)
}

// CLIAs is CLI as one of the users.
func (r *Redis) CLIAs(ctx context.Context, user string, args ...string) (string, error) {
	run := command{path: r.cli, dir: r.Dir(), args: []string{"-e", "-h", "127.0.0.1", "-p", portOf(r.address)}}
	if r.config.TLS != nil {
		run.args = append(run.args, "--tls", "--cacert", r.config.TLS.File)
	}
	if len(r.config.Users) > 0 {
		run.args = append(run.args, "--user", user)
		run.env = []string{"REDISCLI_AUTH=" + r.passwordOf(user)}
	}
	run.args = append(run.args, args...)
	return r.cluster.run(ctx, run)
}

func (r *Redis) ping(ctx context.Context) error {
	_, err := r.CLI(ctx, "PING")
	return err
}

// RestartEmpty restarts it without its data, as after the loss of a disk.
func (r *Redis) RestartEmpty(ctx context.Context) error { return r.RestartFrom(ctx, nil) }

// Dump returns its data as they are now, in the format of an RDB file.
func (r *Redis) Dump(ctx context.Context) ([]byte, error) {
	if _, err := r.CLI(ctx, "SAVE"); err != nil {
		return nil, fmt.Errorf("dump %s: %w", r.Name(), err)
	}
	return os.ReadFile(r.dumpFile())
}

// RestartFrom restarts it with the data of a Dump in place of its own. One that runs is killed.
func (r *Redis) RestartFrom(ctx context.Context, dump []byte) error {
	if err := r.close(); err != nil {
		return err
	}
	if err := r.replaceData(dump); err != nil {
		return fmt.Errorf("replace the data of %s: %w", r.Name(), err)
	}
	return r.Start(ctx)
}

func (r *Redis) dumpFile() string { return filepath.Join(r.Dir(), "dump.rdb") }

// replaceData writes a dump where Redis looks for its data at start: with an append-only file, that is the base of it.
func (r *Redis) replaceData(dump []byte) error {
	log := filepath.Join(r.Dir(), "appendonlydir")
	if err := os.RemoveAll(log); err != nil {
		return err
	}
	if err := os.RemoveAll(r.dumpFile()); err != nil || dump == nil {
		return err
	}
	if !r.config.Persist {
		return os.WriteFile(r.dumpFile(), dump, 0o600)
	}
	if err := os.Mkdir(log, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(log, "appendonly.aof.1.base.rdb"), dump, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(log, "appendonly.aof.manifest"), []byte("file appendonly.aof.1.base.rdb seq 1 type b\n"), 0o600)
}
