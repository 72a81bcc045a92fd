package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/teishi-dev/teishi/policystore"
)

// oldest is the first version of Redis whose streams, ACLs and scripts do what is asked of them here.
const oldest = 7

// status is what a server says of itself.
type status struct {
	version string
	role    string // master, or slave or replica
	policy  string // what it does when it has no room
}

// greet returns what the server says in answer to HELLO, which every user may send.
func (s *session) greet(ctx context.Context) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	said, err := s.Hello(ctx, 2, "", "", "").Result()
	if err != nil {
		return status{}, err
	}
	var st status
	st.version, _ = said["version"].(string)
	st.role, _ = said["role"].(string)
	return st, nil
}

// ask returns what the server says in answer to INFO.
func (s *session) ask(ctx context.Context) (status, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	text, err := s.Info(ctx).Result()
	if err != nil {
		return status{}, err
	}
	return parseInfo(text), nil
}

func parseInfo(text string) (st status) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "redis_version":
			st.version = value
		case "role":
			st.role = value
		case "maxmemory_policy":
			st.policy = value
		}
	}
	return st
}

// current reports as an error that the server is of too old a version.
func (st status) current() error {
	major, _, _ := strings.Cut(st.version, ".")
	if n, err := strconv.Atoi(major); err == nil && n >= oldest {
		return nil
	}
	return misconfigured(fmt.Errorf("the server is of version %q: %d.0 is the oldest that will do", st.version, oldest))
}

// leads reports as an error that the server only copies another.
func (st status) leads() error {
	if st.role == "master" {
		return nil
	}
	return &policystore.TroubleError{Trouble: policystore.ReadOnly, Err: fmt.Errorf("the server is not the master, but a %s", st.role)}
}

// keeps reports as an error that the server drops what it has no room for.
func (st status) keeps() error {
	if st.policy == "noeviction" {
		return nil
	}
	return misconfigured(fmt.Errorf("the server's maxmemory-policy is %q, by which it may drop what was published: it must be noeviction", st.policy))
}

// publishable reports as errors what keeps the server from being published to.
func (st status) publishable() error {
	return errors.Join(st.current(), st.leads(), st.keeps())
}

func misconfigured(err error) error {
	return &policystore.TroubleError{Trouble: policystore.Misconfigured, Err: err}
}
