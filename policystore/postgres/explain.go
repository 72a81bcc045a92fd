package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/teishi-dev/teishi/policystore"
)

const (
	serializationFailure = "40001"
	uniqueViolation      = "23505"
)

// within is a deadline of ours beside that of a caller: what misses it is the server's fault, and told from what ends with
// the caller.
func within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	cause := &policystore.TroubleError{Trouble: policystore.Timeout, Err: fmt.Errorf("the server did not answer in %s", d)}
	return context.WithTimeoutCause(ctx, d, cause)
}

// explain says in our words what the server or the way to it said under ctx, or that the log was closed.
func (l *Log) explain(ctx context.Context, err error) error {
	select {
	case <-l.closed:
		return policystore.ErrClosed
	default:
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return context.Cause(ctx)
	}
	err = explain(err)
	switch policystore.TroubleOf(err) {
	case policystore.Unreachable, policystore.Loading, policystore.ReadOnly:
		l.begin()
	}
	return err
}

// begin has connections made anew, all of them: where one is broken, or leads to a server that is no primary, the others are
// and do. With several hosts they lead to the one that is it now, of which nothing is known yet.
func (l *Log) begin() {
	l.durable.Store(0)
	for _, pool := range l.pools() {
		pool.Reset()
	}
}

// states are what the server's states mean to us. The first row that fits counts.
var states = []struct {
	state   string // five characters, or the first of them
	says    string // a part of what is said: PgBouncer has one state for everything
	trouble policystore.Trouble
	is      error  // one of policystore's, or nil
	advice  string // what to change, if that is not plain from what the server says
}{
	{state: "25006", trouble: policystore.ReadOnly, advice: "the server takes no writes: name the primary, and leave default_transaction_read_only off"},
	{state: "28", trouble: policystore.Unauthorized, advice: refused},
	{state: "3D000", trouble: policystore.Misconfigured, advice: nowhere},
	{state: "3F000", trouble: policystore.Misconfigured, advice: unmigrated},
	{state: "42P01", trouble: policystore.Misconfigured, advice: unmigrated},
	{state: "42703", trouble: policystore.Misconfigured, advice: unmigrated},
	{state: "42704", trouble: policystore.Misconfigured, advice: "the DSN sets what the server does not know"},
	{state: "42501", trouble: policystore.Unauthorized, advice: "the user lacks a right: grant it"},
	{state: "53100", trouble: policystore.Full, is: policystore.ErrFull},
	{state: "53300", trouble: policystore.Unreachable, advice: "the server takes no more connections"},
	{state: "55P03", trouble: policystore.Timeout, advice: "another writer is waited for"},
	{state: "57014", trouble: policystore.Timeout, advice: "somebody, or statement_timeout, ended the statement"},
	{state: "57P03", trouble: policystore.Loading},
	{state: "57P", trouble: policystore.Unreachable},
	{state: "08P01", says: "authentication failed", trouble: policystore.Unauthorized, advice: refused},
	{state: "08P01", says: "does not exist", trouble: policystore.Misconfigured, advice: nowhere},
	{state: "08P01", says: "no such database", trouble: policystore.Misconfigured, advice: nowhere},
	{state: "08P01", says: "unsupported startup parameter", trouble: policystore.Misconfigured, advice: "the pooler does not pass on a setting of the DSN: leave it out"},
	{state: "08", trouble: policystore.Unreachable},
	{state: "XX001", trouble: policystore.Damaged, is: policystore.ErrBroken},
	{state: "XX002", trouble: policystore.Damaged, is: policystore.ErrBroken},
}

// Advice that several states call for.
const (
	refused    = "the server refuses who connects: see the user, the password and pg_hba.conf"
	nowhere    = "name another database in the DSN, or create this one"
	unmigrated = "the tables are missing or of an older version: run teishi migrate"
)

// explain makes an error of the server, or of the way to it, one of ours.
func explain(err error) error {
	if _, ours := errors.AsType[*policystore.TroubleError](err); ours || errors.Is(err, policystore.ErrBroken) {
		return err
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return policystore.ErrNotFound
	}
	if errors.Is(err, pgconn.ErrStandbyConnection) || errors.Is(err, pgconn.ErrReadOnlyConnection) {
		return sorted(policystore.ReadOnly, "the server is a standby, of which nothing is proven: name the primary", err)
	}
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		for _, row := range states {
			if strings.HasPrefix(said.Code, row.state) && strings.Contains(said.Message, row.says) {
				if row.is != nil {
					err = fmt.Errorf("%w: %w", row.is, err)
				}
				return sorted(row.trouble, row.advice, err)
			}
		}
		return err
	}
	if _, file := errors.AsType[*passwordFileError](err); file {
		return sorted(policystore.Misconfigured, "", err)
	}
	if ofTLS(err) {
		return sorted(policystore.Misconfigured, "the connection is not as sslmode and sslrootcert of the DSN demand", err)
	}
	return broken(err)
}

// broken sorts what is neither of the server nor of TLS.
func broken(err error) error {
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return sorted(policystore.Timeout, "", err)
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[*net.OpError](err)
	if connecting || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, pgconn.ErrConnClosed) {
		return sorted(policystore.Unreachable, "", err)
	}
	return err
}

func sorted(t policystore.Trouble, advice string, err error) error {
	if advice != "" {
		err = fmt.Errorf("%s: %w", advice, err)
	}
	return &policystore.TroubleError{Trouble: t, Err: err}
}

// ofTLS reports whether TLS was refused, by the server or by us.
func ofTLS(err error) bool {
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, host := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	return verification || record || alert || authority || host || invalid || strings.Contains(err.Error(), "server refused TLS connection")
}
