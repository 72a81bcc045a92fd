package redis_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
)

// answered is an error that a server answers.
type answered string

func (e answered) Error() string { return string(e) }
func (answered) RedisError()     {}

func TestSortOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		want policystore.Trouble
	}{
		{answered("NOAUTH Authentication required."), policystore.Unauthorized},
		{answered("WRONGPASS invalid username-password pair or user is disabled."), policystore.Unauthorized},
		{answered("NOPERM this user has no permissions to run the 'xadd' command"), policystore.Unauthorized},
		{answered("ERR The user executing the script can't run this command or subcommand script: 1, on @user_script:1."), policystore.Unauthorized},
		{answered("LOADING Redis is loading the dataset in memory"), policystore.Loading},
		{answered("OOM command not allowed when used memory > 'maxmemory'."), policystore.Full},
		{answered("ERR max number of clients reached"), policystore.Full},
		{answered("READONLY You can't write against a read only replica."), policystore.ReadOnly},
		{answered("MASTERDOWN Link with MASTER is down"), policystore.ReadOnly},
		{answered("NOREPLICAS Not enough good replicas to write."), policystore.ReadOnly},
		{answered("UNBLOCKED force unblock from blocking operation"), policystore.ReadOnly},
		{answered("MISCONF Redis is configured to save RDB snapshots"), policystore.Misconfigured},
		{answered("MOVED 1 10.0.0.1:6379"), policystore.Misconfigured},
		{answered("ERR unknown command 'HELLO'"), policystore.Misconfigured},
		{answered("WRONGTYPE Operation against a key"), policystore.Damaged},
		{answered("BUSY Redis is busy running a script."), policystore.Timeout},
		{answered("ERR something else"), policystore.Other},
		{fmt.Errorf("sentinels: %w", errors.Join(goredis.Nil)), policystore.Misconfigured},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, policystore.Unreachable},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, policystore.Unreachable},
		{io.EOF, policystore.Unreachable},
		{goredis.ErrClosed, policystore.Unreachable},
		{context.Canceled, policystore.Unreachable},
		{context.DeadlineExceeded, policystore.Timeout},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, policystore.Timeout},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, policystore.Unauthorized},
		{fmt.Errorf("dial: %w", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), policystore.Unauthorized},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(116)}, policystore.Unauthorized},
		{fmt.Errorf("entry 5: %w", policystore.ErrBroken), policystore.Damaged},
		{&policystore.TroubleError{Trouble: policystore.Behind, Err: io.EOF}, policystore.Behind},
		{errors.New("anything"), policystore.Other},
	} {
		if got := redis.SortOf(fmt.Errorf("in an attempt: %w", test.err)); got != test.want {
			t.Errorf("SortOf(%v) = %s, want %s", test.err, got, test.want)
		}
	}
}
