package k8s_test

import (
	"bufio"
	"context"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
)

const watchdog = time.Minute

// TestDevStarts runs the program as the pod of the overlay dev does, but for its addresses: every probe is answered, and
// when it is told to stop it ends by itself before it would be killed.
func TestDevStarts(t *testing.T) {
	t.Parallel()
	p := render(t, "overlays/dev").pods[0]
	program := start(t, build(t), p)
	connection, err := grpc.NewClient(program.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for of, probe := range map[string]*corev1.Probe{
		"startup": p.container().StartupProbe, "liveness": p.container().LivenessProbe, "readiness": p.container().ReadinessProbe,
	} {
		if got := health(t, connection, *probe.GRPC.Service); got != healthv1.HealthCheckResponse_SERVING {
			t.Errorf("the %s probe of %q is answered %s, want SERVING", of, *probe.GRPC.Service, got)
		}
	}
	program.stop(t, time.Duration(*p.spec.TerminationGracePeriodSeconds)*time.Second)
}

// health waits until a service is healthy and returns its health; if it is not known, at once.
func health(t *testing.T, c *grpc.ClientConn, service string) healthv1.HealthCheckResponse_ServingStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), watchdog)
	defer cancel()
	watch, err := healthv1.NewHealthClient(c).Watch(ctx, &healthv1.HealthCheckRequest{Service: service})
	if err != nil {
		t.Fatal(err)
	}
	for {
		answer, err := watch.Recv()
		if err != nil {
			t.Fatalf("health of %q: %v", service, err)
		}
		if answer.Status != healthv1.HealthCheckResponse_NOT_SERVING {
			return answer.Status
		}
	}
}

// process is the program, running.
type process struct {
	command *exec.Cmd
	address string
	out     *bufio.Reader // what it says after where it listens
	ended   chan error
}

// start runs the program with the arguments of a pod until it says where it listens.
func start(t *testing.T, binary string, p pod) *process {
	t.Helper()
	return launch(t, binary, p.container().Args, []string{"TMPDIR=" + t.TempDir()}) // which is all that a pod has
}

// launch runs the program, but on free ports of this machine, until it says where it listens.
func launch(t *testing.T, binary string, args, env []string) *process {
	t.Helper()
	port := regexp.MustCompile(`^(--[a-z-]*listen=):\d+$`)
	for i, arg := range args {
		args[i] = port.ReplaceAllString(arg, "${1}127.0.0.1:0")
	}
	c := exec.Command(binary, args...)
	c.Env = env
	c.Stderr = t.Output()
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill() }) // if it runs still
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	_, rest, ok := strings.Cut(line, " on 127.0.0.1:")
	if err != nil || !ok {
		t.Fatalf("teishi %s said %q (%v), and not where it listens", strings.Join(args, " "), line, err)
	}
	number, _, _ := strings.Cut(rest, ";")
	return &process{c, "127.0.0.1:" + number, out, ended}
}

// stop tells the program to end and waits for it, as long as a cluster would.
func (p *process) stop(t *testing.T, patience time.Duration) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Errorf("it has not ended after %v, and would have been killed", patience)
	}
}
