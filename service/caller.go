package service

import (
	"context"
	"errors"
)

// Caller is who calls, as its credentials say.
type Caller struct {
	// Principal names it in grants and in the record: `spiffe://DOMAIN/PATH`, `dns:HOST` or `cn:NAME` of a certificate,
	// `user:ISSUER#SUBJECT` of a token; `local` without authentication.
	Principal string
	// Groups are further principals whose grants it has, `group:ISSUER#NAME`. They never act by themselves.
	Groups []string
	// Means says how that is known.
	Means Means
}

// Means is how a caller was authenticated.
type Means uint8

// How callers are authenticated.
const (
	// NotAuthenticated is without authentication: everybody who reaches the server is the same, and may do everything.
	NotAuthenticated Means = iota
	// ByCertificate is by the certificate of the connection.
	ByCertificate
	// ByToken is by a bearer token of the call.
	ByToken
)

// An Identifier says who makes the call of the context: from its connection and its metadata. Its error is an
// *UnauthenticatedError where the caller is at fault.
type Identifier func(ctx context.Context) (Caller, error)

// local is everybody, where nobody is asked who he is.
var local = Caller{Principal: "local"}

// An UnauthenticatedError says why a caller is not known. It tells nothing of who would be.
type UnauthenticatedError struct{ Problem string }

func (e *UnauthenticatedError) Error() string { return e.Problem }

// errNotGranted says that a caller may not do what it asks for, and nothing of what it asked about.
var errNotGranted = errors.New("no grant of the caller permits this, or there is no such thing")

type callerKey struct{}

// callerOf returns who makes the call of the context.
func callerOf(ctx context.Context) *Caller {
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &local
}

// identified finds out who calls. Nothing else is done for who is not known, but what is for everybody.
func (s *Server) identified(rest step) step {
	if s.identify == nil {
		return func(ctx context.Context, c *call) error {
			c.caller = &local
			return rest(ctx, c)
		}
	}
	return func(ctx context.Context, c *call) error {
		if c.manner.anybody {
			return rest(ctx, c)
		}
		caller, err := s.identify(ctx)
		if err != nil {
			return err
		}
		c.caller = &caller
		return rest(context.WithValue(ctx, callerKey{}, c.caller), c)
	}
}
