//go:build linux

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teishi-dev/teishi/cluster"
)

// orphanage names the environment variable that makes TestOrphans the process that is killed.
const orphanage = "TEISHI_TEST_ORPHANAGE"

// TestOrphans kills a process that has servers: they end with it, and the next cluster removes what they leave.
func TestOrphans(t *testing.T) {
	if os.Getenv(orphanage) != "" {
		c := must[*cluster.Cluster](t)(cluster.New(cluster.Config{}))
		fmt.Println("orphans", redis(t, c, cluster.RedisConfig{}).PID(), postgres(t, c, cluster.PostgresConfig{}).PID(), c.Directory())
		select {}
	}
	parent := exec.Command(must[string](t)(os.Executable()), "-test.run=^TestOrphans$")
	parent.Env = append(os.Environ(), orphanage+"=1")
	out := must[interface{ Read([]byte) (int, error) }](t)(parent.StdoutPipe())
	check(t, parent.Start())
	var one, two int
	var directory string
	if _, err := fmt.Fscanf(out, "orphans %d %d %s\n", &one, &two, &directory); err != nil {
		t.Errorf("read what runs: %v", err)
	}
	pids := append(family(one), family(two)...)
	check(t, parent.Process.Kill())
	if err := parent.Wait(); err == nil {
		t.Error("the parent has ended by itself")
	}
	awaitGone(t, pids)
	memory := segment(t, filepath.Join(directory, "postgres"))
	if _, err := os.Stat(directory); err != nil {
		t.Errorf("the directory of a killed cluster: %v", err)
	}
	cluster.Test(t)
	checkNoSegment(t, memory)
	if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of a killed cluster, after the next one: %v, want that it is not there", err)
	}
}

// TestServersOutliveTheThread starts a server from a thread that then ends.
func TestServersOutliveTheThread(t *testing.T) {
	c := cluster.Test(t)
	var r *cluster.Redis
	var err error
	thread := onThread(func() { r, err = c.StartRedis(t.Context(), cluster.RedisConfig{}) })
	check(t, err)
	check(t, cluster.Wait(t.Context(), "the thread to end", func(context.Context) error {
		if _, err := os.Stat(thread); err == nil {
			return errors.New(thread + " is still there")
		}
		return nil
	}))
	if got := cli(t, r, "PING"); got != "PONG" {
		t.Errorf("PING = %q", got)
	}
}

// onThread does something on a thread that ends then, and returns the path of what the kernel tells of the thread. The
// first thread of a process never ends, so it is kept busy meanwhile.
func onThread(do func()) (thread string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if syscall.Gettid() == os.Getpid() {
			thread = onThread(do)
			return
		}
		do()
		thread = fmt.Sprintf("/proc/self/task/%d", syscall.Gettid())
	}()
	<-done
	return thread
}

func TestCloseLeavesNothing(t *testing.T) {
	c := must[*cluster.Cluster](t)(cluster.New(cluster.Config{}))
	part := must[*cluster.Cluster](t)(c.Part("part"))
	inner, outer := redis(t, part, cluster.RedisConfig{}), redis(t, c, cluster.RedisConfig{})
	p := postgres(t, part, cluster.PostgresConfig{})
	innerPIDs, outerPIDs := append(family(inner.PID()), family(p.PID())...), family(outer.PID())
	check(t, p.Pause()) // even so
	memory := segment(t, p.Dir())
	check(t, part.Close())
	awaitGone(t, innerPIDs)
	if outer.PID() == 0 {
		t.Error("closing a part has ended what is not in it")
	}
	checkNoSegment(t, memory)
	check(t, c.Close())
	check(t, c.Close())
	awaitGone(t, outerPIDs)
	if _, err := os.Stat(c.Directory()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory after Close: %v, want that it is not there", err)
	}
	if _, err := c.StartRedis(t.Context(), cluster.RedisConfig{}); err == nil {
		t.Error("started Redis in a closed cluster")
	}
}

// segment returns the id of the shared memory of a PostgreSQL.
func segment(t *testing.T, directory string) string {
	t.Helper()
	lines := strings.Split(string(must[[]byte](t)(os.ReadFile(filepath.Join(directory, "data", "postmaster.pid")))), "\n")
	id := strings.Fields(lines[6])[1]
	if !slices.Contains(segments(t), id) {
		t.Fatalf("there is no shared memory %s", id)
	}
	return id
}

func checkNoSegment(t *testing.T, id string) {
	t.Helper()
	if slices.Contains(segments(t), id) {
		t.Errorf("shared memory %s is still there", id)
	}
}

// segments returns the ids of all shared memory of the machine.
func segments(t *testing.T) []string {
	t.Helper()
	var ids []string
	for line := range strings.Lines(string(must[[]byte](t)(os.ReadFile("/proc/sysvipc/shm")))) {
		ids = append(ids, strings.Fields(line)[1])
	}
	return ids
}

func TestDirectoryIsKept(t *testing.T) {
	directory := filepath.Join(must[string](t)(os.MkdirTemp("", "teishi-kept-")), "data")
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(directory)) })
	check(t, os.Chmod(filepath.Dir(directory), 0o711))
	c := must[*cluster.Cluster](t)(cluster.New(cluster.Config{Directory: directory}))
	r := redis(t, c, cluster.RedisConfig{})
	check(t, c.Close())
	if _, err := os.Stat(r.LogFile()); err != nil {
		t.Errorf("the log of a kept cluster: %v", err)
	}
	if _, err := cluster.New(cluster.Config{Directory: directory}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("New in a directory that is not empty: %v", err)
	}
	check(t, os.Chmod(filepath.Dir(directory), 0o700))
	if _, err := cluster.New(cluster.Config{Directory: directory + "2"}); os.Geteuid() == 0 && (err == nil || !strings.Contains(err.Error(), "may not enter")) {
		t.Errorf("New in a directory that only root may enter: %v", err)
	}
}

func TestServerThatEndsAtOnceIsTold(t *testing.T) {
	c := cluster.Test(t)
	_, err := c.StartRedis(t.Context(), cluster.RedisConfig{Lines: []string{"no-such-setting yes"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-setting") || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("StartRedis with a wrong setting: %v, want its end and its log", err)
	}
}

func TestMissingProgramIsTold(t *testing.T) {
	c := cluster.Test(t)
	t.Setenv("PATH", "")
	if _, err := c.StartRedis(t.Context(), cluster.RedisConfig{}); err == nil || !strings.Contains(err.Error(), "redis-server is missing: install") {
		t.Errorf("StartRedis without a program = %v, want what to install", err)
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		revision := 0
		err := cluster.Wait(t.Context(), "revision 3", func(context.Context) error {
			if revision++; revision < 3 {
				return fmt.Errorf("revision %d", revision)
			}
			return nil
		})
		if err != nil || revision != 3 {
			t.Errorf("Wait = %v at revision %d", err, revision)
		}
		began := time.Now()
		err = cluster.Wait(t.Context(), "revision 9", func(ctx context.Context) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errors.New("revision 5")
		})
		if took := time.Since(began); took != cluster.Watchdog {
			t.Errorf("Wait gave up after %v, want %v", took, cluster.Watchdog)
		}
		for _, want := range []string{"revision 9", "revision 5", "1m0s"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Wait = %v, want it to say %s", err, want)
			}
		}
	})
}
