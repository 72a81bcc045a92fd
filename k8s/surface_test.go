package k8s_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// surface is what the binary says of itself: its flags, by command and name.
type surface map[string]map[string]flag

// flag is one line of the help.
type flag struct {
	variable string // of the environment, which stands for it
	value    string // placeholder of what it takes; empty for one that is on or off
	standard string // value that it has if nothing is said
}

var (
	flagLine     = regexp.MustCompile(`(?m)^ +(?:-\w, +)?--([a-z-]+)(?: ([^ ]+))?  +(.*)$`)
	variableName = regexp.MustCompile(`\[(TEISHI_[A-Z_]+)\]`)
	defaultValue = regexp.MustCompile(`\(default "([^"]*)"\)$`)
)

// help asks the binary for its flags.
func help(t *testing.T, binary string) surface {
	t.Helper()
	s := surface{}
	for _, command := range []string{"serve", "migrate"} {
		out, err := exec.Command(binary, command, "-h").Output()
		if err != nil {
			t.Fatalf("teishi %s -h: %v", command, err)
		}
		if !strings.Contains(string(out), "\nteishi "+command+" ") {
			t.Errorf("there is no teishi %s", command)
		}
		s[command] = flags(string(out))
	}
	return s
}

func flags(help string) map[string]flag {
	all := map[string]flag{}
	for _, line := range flagLine.FindAllStringSubmatch(help, -1) {
		f := flag{value: line[2]}
		if m := variableName.FindStringSubmatch(line[3]); m != nil {
			f.variable = m[1]
		}
		if m := defaultValue.FindStringSubmatch(line[3]); m != nil {
			f.standard = m[1]
		}
		all[line[1]] = f
	}
	return all
}
