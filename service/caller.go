package service

import (
	"context"
	"errors"
	"time"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
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
	// Expires is when that is known no longer, and streams end; zero: never.
	Expires time.Time
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
// *UnauthenticatedError where the caller is at fault. Where the context is over it says what it can say without waiting, and is asked
// again if that is nothing.
type Identifier func(ctx context.Context) (Caller, error)

// local is everybody, where nobody is asked who he is.
var local = Caller{Principal: "local"}

// An UnauthenticatedError says why a caller is not known. It tells nothing of who would be.
type UnauthenticatedError struct{ Problem string }

func (e *UnauthenticatedError) Error() string { return e.Problem }

// nobody has no powers: who is not known where somebody must be.
var nobody Caller

// errNotGranted says that a caller may not do what it asks for, and nothing of what it asked about.
var errNotGranted = errors.New("no grant of the caller permits this, or there is no such thing")

type callerKey struct{}

// withCaller returns the context of a call by the caller.
func withCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// caller returns who makes the call of the context.
func (s *Server) caller(ctx context.Context) *Caller {
	if s.identify == nil {
		return &local
	}
	if c, ok := ctx.Value(callerKey{}).(*Caller); ok {
		return c
	}
	return &nobody
}

// powers returns what the caller may do by the grants of the snapshot.
func (s *Server) powers(granted *policy.Snapshot, caller *Caller) policy.Powers {
	if caller == &local {
		return granted.AllPowers()
	}
	return granted.Powers(caller.Principal, caller.Groups)
}

// identified finds out who calls. Nothing is done for who is not known, but what is for anybody.
func (s *Server) identified(rest step) step {
	return func(ctx context.Context, c *call) error {
		if c.caller = s.caller(ctx); c.caller != &nobody || c.manner.may.anybody {
			return rest(ctx, c)
		}
		caller, err := s.recognized(ctx)
		if err != nil {
			c.caller = nil
			return err
		}
		c.caller = &caller
		s.known(ctx)
		return rest(withCaller(ctx, c.caller), c)
	}
}

// permitted refuses whoever may not call the method, whatever about.
func (s *Server) permitted(rest step) step {
	return func(ctx context.Context, c *call) error {
		if c.caller == &local || failpoint.Without("grants") {
			return rest(ctx, c)
		}
		if err := s.permits(ctx, c); err != nil {
			return err
		}
		return rest(ctx, c)
	}
}

func (s *Server) permits(ctx context.Context, c *call) error {
	may := &c.manner.may
	if may.anybody || may.known {
		return nil
	}
	v, err := s.replica.View(ctx, policystore.Demand{})
	if err != nil {
		return err
	}
	c.granting = grantingOf(&v)
	powers := s.powers(v.Snapshot, c.caller)
	switch {
	case may.granted && powers.Any():
		return nil
	case may.everywhere && powers.May(may.roles[0], policy.Everywhere):
		return nil
	case !may.granted && !may.everywhere && powers.Has(may.roles...):
		return nil
	}
	return errNotGranted
}

// still refuses to go on with a stream of whoever may no longer call the method.
func (s *Server) still(ctx context.Context, c *call) error {
	if c.caller == &local || c.granting == (granting{}) {
		return nil
	}
	v, err := s.replica.View(ctx, policystore.Demand{})
	if err != nil || grantingOf(&v) == c.granting {
		return err
	}
	return s.permits(ctx, c)
}
