package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
)

// answers are the sorts of trouble by how an error that Redis or Sentinel answers begins; the first that fits counts.
var answers = []struct {
	prefix string
	sort   policystore.Trouble
}{
	{"NOAUTH", policystore.Unauthorized},
	{"WRONGPASS", policystore.Unauthorized},
	{"NOPERM", policystore.Unauthorized},
	{"DENIED", policystore.Unauthorized},
	{"ERR AUTH", policystore.Unauthorized},
	{"ERR The user executing the script can't", policystore.Unauthorized},
	{"LOADING", policystore.Loading},
	{"OOM", policystore.Full},
	{"ERR max number of clients", policystore.Full},
	{"READONLY", policystore.ReadOnly},
	{"MASTERDOWN", policystore.ReadOnly},
	{"NOREPLICAS", policystore.ReadOnly},
	{"UNBLOCKED", policystore.ReadOnly},
	{"BUSY", policystore.Timeout},
	{"MISCONF", policystore.Misconfigured},
	{"MOVED", policystore.Misconfigured},
	{"CLUSTERDOWN", policystore.Misconfigured},
	{"ERR unknown command", policystore.Misconfigured},
	{"ERR DB index", policystore.Misconfigured},
	{"IDONTKNOW", policystore.Misconfigured},
	{"WRONGTYPE", policystore.Damaged},
}

// troubled returns the error of an attempt with its sort, saying where.
func (s *server) troubled(err error) error {
	if err == nil {
		return nil
	}
	return &policystore.TroubleError{Trouble: sortOf(err), Err: fmt.Errorf("%s: %w", s.address, err)}
}

func sortOf(err error) policystore.Trouble {
	if sort := policystore.TroubleOf(err); sort != policystore.Other {
		return sort
	}
	if answer, ok := errors.AsType[goredis.Error](err); ok && !errors.Is(err, goredis.Nil) {
		return answered(answer)
	}
	return broken(err)
}

// answered returns the sort of an error that the server answered.
func answered(answer goredis.Error) policystore.Trouble {
	for _, row := range answers {
		if strings.HasPrefix(answer.Error(), row.prefix) {
			return row.sort
		}
	}
	return policystore.Other
}

// broken returns the sort of an error of reaching the server.
func broken(err error) policystore.Trouble {
	if refusesUs(err) {
		return policystore.Unauthorized
	}
	if reached, ok := errors.AsType[net.Error](err); ok {
		if reached.Timeout() {
			return policystore.Timeout
		}
		return policystore.Unreachable
	}
	if errors.Is(err, goredis.Nil) { // what Sentinel says of a name that it does not know
		return policystore.Misconfigured
	}
	for _, is := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, goredis.ErrClosed, context.Canceled} {
		if errors.Is(err, is) {
			return policystore.Unreachable
		}
	}
	return policystore.Other
}

// refusesUs reports whether TLS was not agreed upon: their certificate is not good for us, or ours for them.
func refusesUs(err error) bool {
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	return strings.Contains(err.Error(), "remote error: tls:") // which has no type that can be named
}
