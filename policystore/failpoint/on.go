//go:build faults

package failpoint

import (
	"context"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// reread is how old what was read of the file may be.
const reread = 5 * time.Millisecond

// plan is what the file says.
type plan struct {
	clock   time.Duration
	at      map[string]string
	without map[string]bool
}

var file struct {
	sync.Mutex
	read time.Time
	plan plan
}

// Hit is a named place in the code that the process has reached.
func Hit(ctx context.Context, name string) {
	for held := false; ; held = true {
		switch current().at[name] {
		case "kill":
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		case "stop":
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
		case "wait":
			if !held {
				note(name)
			}
		default:
			return
		}
		select {
		case <-time.After(reread):
		case <-ctx.Done():
			return
		}
	}
}

// note adds the name to the file of those that were held.
func note(name string) {
	f, err := os.OpenFile(os.Getenv("TEISHI_FAULTS_FILE")+".held", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return // whoever counts misses it
	}
	defer f.Close()
	_, _ = f.WriteString(name + "\n")
}

// Without reports whether the named guard was taken away.
func Without(guard string) bool { return current().without[guard] }

// Shift returns the reading of the wall clock that the process is to see.
func Shift(t time.Time) time.Time { return t.Add(current().clock) }

func current() plan {
	file.Lock()
	defer file.Unlock()
	if now := time.Now(); now.Sub(file.read) > reread {
		file.read = now
		text, err := os.ReadFile(os.Getenv("TEISHI_FAULTS_FILE"))
		if err == nil {
			file.plan = parse(string(text))
		}
	}
	return file.plan
}

// parse takes what it understands: a line that is half written is read again.
func parse(text string) plan {
	p := plan{at: make(map[string]string), without: make(map[string]bool)}
	for line := range strings.Lines(text) {
		switch words := strings.Fields(line); {
		case len(words) == 2 && words[0] == "clock":
			p.clock, _ = time.ParseDuration(words[1])
		case len(words) == 3 && words[0] == "at":
			p.at[words[1]] = words[2]
		case len(words) == 2 && words[0] == "without":
			p.without[words[1]] = true
		}
	}
	return p
}
