//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/cluster"
)

// screen is what a site prints.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await returns what is printed once it matches, and the parts that the pattern names.
func (s *screen) await(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	err := cluster.Wait(t.Context(), pattern, func(context.Context) error {
		if found = regexp.MustCompile(pattern).FindStringSubmatch(s.String()); found == nil {
			return errors.New(s.String())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestSite starts a site, does what it says is to be tried, kills Redis, and ends it.
func TestSite(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	keyboard, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	out, ended := &screen{}, make(chan error, 1)
	go func() {
		err := run(ctx, nil, keyboard, out)
		fmt.Fprintln(out, "ended:", err)
		ended <- err
	}()
	out.await(t, "Ctrl-C ends everything")
	directory := out.await(t, "logs and data: (.*)")[1]

	halted := issue(t, address(t, out, "authority-1"))
	for n := 1; n <= decisionPoints; n++ {
		checkDenied(t, address(t, out, fmt.Sprint("decision-", n)), halted)
	}
	for _, command := range []string{"kill redis", "start redis", "pause decision-1", "resume decision-1", "stop authority-2"} {
		before := strings.Count(out.String(), "done\n")
		fmt.Fprintln(keys, command)
		out.await(t, fmt.Sprintf("(?s)(done\n.*){%d}", before+1))
	}
	fmt.Fprintln(keys, "kill nobody")
	out.await(t, `there is no server "nobody"`)
	fmt.Fprintln(keys, "bribe redis")
	out.await(t, `"bribe" is none of kill`)

	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("run = %v", err)
	}
	out.await(t, "everything has ended")
	if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", directory, err)
	}
	if strings.Contains(out.String(), "@127.0.0.1") {
		t.Errorf("it prints a password:\n%s", out)
	}
}

// address returns where a server is, as it is printed.
func address(t *testing.T, out *screen, name string) string {
	t.Helper()
	return out.await(t, `(?m)^`+name+` +(127\.0\.0\.1:\d+)`)[1]
}

// issue issues the halt that is printed and returns its revision.
func issue(t *testing.T, address string) int64 {
	t.Helper()
	request := new(teishiv1.IssueDirectiveRequest)
	if err := protojson.Unmarshal([]byte(halt), request); err != nil {
		t.Fatal(err)
	}
	response, err := teishiv1.NewDirectiveServiceClient(dial(t, address)).IssueDirective(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return response.GetRevision()
}

// checkDenied asks what is printed and sees that the halt has arrived.
func checkDenied(t *testing.T, address string, halted int64) {
	t.Helper()
	request := new(teishiv1.CheckRequest)
	if err := protojson.Unmarshal([]byte(question), request); err != nil {
		t.Fatal(err)
	}
	request.MinRevision = halted
	response, err := teishiv1.NewDecisionServiceClient(dial(t, address)).Check(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if response.GetOutcome() != teishiv1.Outcome_OUTCOME_DENIED {
		t.Errorf("Check at %s = %v, want OUTCOME_DENIED", address, response)
	}
}

func dial(t *testing.T, address string) grpc.ClientConnInterface {
	t.Helper()
	c, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestWrongUse(t *testing.T) {
	if err := run(t.Context(), []string{"-keep", "."}, nil, io.Discard); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("run -keep . = %v, want that it is not empty", err)
	}
	if err := run(t.Context(), []string{"-h"}, nil, io.Discard); err != nil {
		t.Errorf("run -h = %v", err)
	}
}
