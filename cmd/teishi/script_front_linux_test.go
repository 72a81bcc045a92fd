package main

import (
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/teishi-dev/teishi/cluster"
)

// caCmd is `ca NAME`: it makes a certificate authority. Its certificate is in the file NAME.ca.
func caCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ca NAME")
	}
	ca, err := on(ts).NewCA()
	ts.Check(err)
	on(ts).authorities[args[0]] = ca
	copyTo(ts, ca.File, args[0]+".ca")
}

// issueCmd is `issue CA NAME`: it has a certificate issued to NAME, in the files NAME.cert and NAME.key.
func issueCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: issue CA NAME")
	}
	id, err := on(ts).authorities[args[0]].Issue(args[1])
	ts.Check(err)
	copyTo(ts, id.CertFile, args[1]+".cert")
	copyTo(ts, id.KeyFile, args[1]+".key")
}

func copyTo(ts *testscript.TestScript, from, to string) {
	text, err := os.ReadFile(from)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(to), text, 0o600))
}

// frontCmd is `front NAME SERVER CA CLIENT-CA TOKEN`: it puts a front before a server that was started, on an address that is in the
// variable NAME from then on. What is - is not asked for. Said again of the same NAME, it restarts the front.
func frontCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: front NAME SERVER CA CLIENT-CA TOKEN")
	}
	s, name := on(ts), args[0]
	config := cluster.FrontConfig{Target: serverOf(ts, args[1]).Addr(), CA: s.authorities[args[2]], ClientCA: s.authorities[args[3]]}
	if args[4] != "-" {
		config.Token = args[4]
		s.secrets = append(s.secrets, config.Token)
	}
	if f, ok := s.fronts[name]; ok {
		ts.Check(f.Restart(config))
		return
	}
	f, err := s.StartFront(config)
	ts.Check(err)
	s.fronts[name] = f
	ts.Setenv(name, f.Addr())
}
