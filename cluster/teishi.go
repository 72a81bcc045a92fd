//go:build linux

package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// Build says how the program is built.
type Build struct {
	// Tags of the build. Default: none.
	Tags []string
	// Race has the race detector in it.
	Race bool
}

// builds are the programs that were built, by how.
type builds struct {
	mu   sync.Mutex
	made map[string]string
}

// Build builds teishi from the module that the test is of, and returns the path of the program, which is there until the
// whole cluster is closed. It builds once for each set of tags; the parts of a cluster share what is built.
func (c *Cluster) Build(ctx context.Context, b Build) (string, error) {
	c.builds.mu.Lock()
	defer c.builds.mu.Unlock()
	key := fmt.Sprintf("%q %v", b.Tags, b.Race)
	if path, ok := c.builds.made[key]; ok {
		return path, nil
	}
	directory, err := os.MkdirTemp(c.root, "build-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(directory, "teishi")
	args := []string{"build", "-o", path, "-tags", strings.Join(b.Tags, ",")}
	if b.Race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/teishi-dev/teishi/cmd/teishi")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build teishi: %w\n%s", err, out)
	}
	if c.builds.made == nil {
		c.builds.made = map[string]string{}
	}
	c.builds.made[key] = path
	return path, nil
}

// TeishiConfig says how the program runs.
type TeishiConfig struct {
	// Binary is the path of the program, as Build returns it.
	Binary string
	// Name of the server. Default: teishi.
	Name string
	// Args of the program. Without --listen among them, it listens on a free address.
	Args []string
	// Dial says how its connection is made, beside what every one has. Default: in plaintext.
	Dial []grpc.DialOption
	// Env holds NAME=VALUE pairs: what must not be on a command line, such as a URL with a password. The program sees
	// nothing else of our own environment than PATH.
	Env []string
}

// Teishi is a running server of the program that we are here for.
type Teishi struct {
	*Process
	config  TeishiConfig
	address string
	conn    *grpc.ClientConn
}

// StartTeishi starts the program. It does not wait: a server may have to wait for others. Ready does.
func (c *Cluster) StartTeishi(ctx context.Context, config TeishiConfig) (*Teishi, error) {
	config.Name = cmp.Or(config.Name, "teishi")
	directory, err := c.place(config.Name)
	if err != nil {
		return nil, err
	}
	t := &Teishi{address: listenAddress(config.Args)}
	if t.address == "" {
		if t.address, err = FreeAddress(); err != nil {
			return nil, err
		}
	}
	t.Process = &Process{command: command{dir: directory}, end: syscall.SIGTERM}
	t.Configure(config)
	if err := c.process(t.Process); err != nil {
		return nil, err
	}
	if t.conn, err = dial(t.address, config.Dial...); err != nil {
		return nil, err
	}
	if err := c.onClose(t.conn.Close); err != nil {
		return nil, err
	}
	return t, t.Start(ctx)
}

// listenAddress returns the address that arguments say to listen on, if they do.
func listenAddress(args []string) string {
	for i, a := range args {
		if after, ok := strings.CutPrefix(a, "--listen="); ok {
			return after
		}
		if a == "--listen" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// dial returns a connection that is made again soon after it broke, as that of a test must be.
func dial(address string, further ...grpc.DialOption) (*grpc.ClientConn, error) {
	soon := backoff.Config{BaseDelay: interval, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 200 * time.Millisecond}
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: soon, MinConnectTimeout: time.Second})}
	return grpc.NewClient(address, append(options, further...)...)
}

// Config returns how the server runs.
func (t *Teishi) Config() TeishiConfig {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.config
}

// Configure changes how the server runs, from its next start on. Its name, its directory and its address stay.
func (t *Teishi) Configure(config TeishiConfig) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.config = config
	t.command.path, t.command.env = config.Binary, config.Env
	t.command.args = config.Args
	if listenAddress(config.Args) == "" {
		t.command.args = append(slices.Clone(config.Args), "--listen", t.address)
	}
}

// Addr returns the HOST:PORT it listens on.
func (t *Teishi) Addr() string { return t.address }

// Conn returns a connection to the server that outlasts its restarts. It is closed with the cluster.
func (t *Teishi) Conn() *grpc.ClientConn { return t.conn }

// Ready returns when the server says that it can answer, or with an error as soon as it has ended.
func (t *Teishi) Ready(ctx context.Context) error { return t.serving(ctx, "to be ready", "") }

// Live returns when the server says that it lives, though it may have nothing yet to answer from.
func (t *Teishi) Live(ctx context.Context) error { return t.serving(ctx, "to be live", "live") }

func (t *Teishi) serving(ctx context.Context, what, service string) error {
	c, err := t.running()
	if err != nil {
		return err
	}
	err = t.await(ctx, c, what, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		resp, err := grpc_health_v1.NewHealthClient(t.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err == nil && resp.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
			err = errors.New("it is " + resp.GetStatus().String())
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, t.logEnd())
	}
	return nil
}

// RunTeishi runs a command of the program that ends by itself and returns what it wrote on standard output.
func (c *Cluster) RunTeishi(ctx context.Context, config TeishiConfig) (string, error) {
	return c.run(ctx, command{path: config.Binary, args: config.Args, env: config.Env, dir: c.directory})
}
