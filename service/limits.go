package service

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
)

// Limits bound what each caller may ask for, where it is known who calls: a caller who asks for more is refused, and nobody else.
// Each is the default if it is 0, and none if it is negative.
type Limits struct {
	Checks  int // questions a second; 20,000 by default. A batch is as many as it asks, a page as many as it may have
	Writes  int // administrative writes a second; 50
	Reads   int // other calls a second; 200
	Streams int // open at once; 2,000
}

// What there is by default.
const (
	DefaultChecks  = 20_000
	DefaultWrites  = 50
	DefaultReads   = 200
	DefaultStreams = 2000
)

// class is of which budget of a caller a call takes. One class cannot use up what is another's: whoever asks in a flood can still
// issue a suspension.
type class uint8

const (
	unclassed class = iota
	checking        // what programs do all the time
	writing         // what changes the record
	reading         // the rest of what is asked by somebody who is known
	probing         // what is asked by whoever it is, which is health, by address
	streaming       // streams that are open
	failing         // callers who are not known by what they show, by address
	classes
)

// limits are the budgets of each class; nil bounds nothing.
type limits [classes]*budgets

func newLimits(given Limits, registry prometheus.Registerer, logger *slog.Logger) *limits {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "teishi", Name: "limited_total",
		Help: "Calls, and questions of streams, that were refused because one caller or address asked for too much."}, []string{"class"})
	if registry != nil {
		registry.MustRegister(refused)
	}
	l := &limits{}
	add := func(c class, name string, a allowance) {
		if a.pace > 0 && a.atOnce > 0 {
			l[c] = newBudgets(name, a, refused.WithLabelValues(name), logger)
		}
	}
	paced := func(given, otherwise int, atOnce int64) allowance {
		pace := cmp.Or(given, otherwise)
		return allowance{pace: rate.Limit(pace), burst: 2 * pace, atOnce: atOnce, holder: "principal"}
	}
	add(checking, "checks", paced(given.Checks, DefaultChecks, 256))
	add(writing, "writes", paced(given.Writes, DefaultWrites, 8))
	add(reading, "reads", paced(given.Reads, DefaultReads, 32))
	add(streaming, "streams", allowance{pace: rate.Inf, atOnce: int64(cmp.Or(given.Streams, DefaultStreams)), holder: "caller"})
	add(probing, "probes", allowance{pace: 500, burst: 1000, atOnce: 256, holder: "address"})
	add(failing, "failures", allowance{pace: 20, burst: 100, atOnce: 1, holder: "address"})
	return l
}

// limited refuses what is beyond the budget of who calls. Where nobody is asked who he is there is one caller, and nothing to share out.
func (s *Server) limited(rest step) step {
	return func(ctx context.Context, c *call) error {
		if c.caller == &local {
			return rest(ctx, c)
		}
		held, err := s.limits.begin(c, c.holder(ctx))
		if err != nil {
			return err
		}
		defer held.end()
		return rest(ctx, c)
	}
}

// holder is whose budget a call is to be had from: the caller's, or of whoever is not known that of his address.
func (c *call) holder(ctx context.Context) string {
	if c.caller == &nobody {
		return addressOf(ctx)
	}
	return c.caller.Principal
}

// begin takes what a call costs. A stream without an end takes no place among calls.
func (l *limits) begin(c *call, holder string) (*budget, error) {
	if !c.manner.endless {
		return l[c.manner.class].begin(holder, c.cost())
	}
	if err := l[c.manner.class].spend(holder, 1); err != nil {
		return nil, err
	}
	return l[streaming].begin(holder, 1)
}

// cost is what a call costs: as many as it asks questions, or may be given answers.
func (c *call) cost() int {
	if c.manner.class != checking {
		return 1
	}
	switch m := c.received.(type) {
	case *teishiv1.BatchCheckRequest:
		return max(1, len(m.Queries))
	case listRequest:
		return pageSize(m)
	}
	return 1
}

// spends takes what a question costs that comes by a stream.
func (s *Server) spends(ctx context.Context) error {
	caller := s.caller(ctx)
	if caller == &local {
		return nil
	}
	return s.limits[checking].spend(caller.Principal, 1)
}

// looked says who calls. From an address where too many were not known, only those are looked at who were known by the same before:
// to find a signature wrong costs as much as to find it right.
func (s *Server) looked(ctx context.Context) (Caller, error) {
	shown := s.good.sum(ctx)
	if !s.good.has(shown) {
		if err := s.limits[failing].left(addressOf(ctx)); err != nil {
			return Caller{}, err
		}
	}
	caller, err := s.identify(ctx)
	if err == nil {
		s.good.keep(shown)
	}
	return caller, err
}

// recognized says who calls, and counts who is not known.
func (s *Server) recognized(ctx context.Context) (Caller, error) {
	judging(ctx)
	caller, err := s.looked(ctx)
	if err == nil {
		return caller, nil
	}
	if _, ok := errors.AsType[*UnauthenticatedError](err); ok {
		s.good.drop(s.good.sum(ctx))
		if limited := s.limits[failing].spend(addressOf(ctx), 1); limited != nil {
			err = limited
		}
	}
	return Caller{}, err
}

// addressOf returns whose connection it is: an IPv4 address, or the network of an IPv6 one, of which one host has as many as it
// wants. Empty if it is of neither.
func addressOf(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	tcp, ok := p.Addr.(*net.TCPAddr)
	if !ok {
		return ""
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}

// goodOnes remembers the sums of credentials by which somebody was known. Each has one place, which the next may take.
type goodOnes struct {
	seed maphash.Seed
	sums [4096]atomic.Uint64
}

// sum returns that of the credential that a call shows itself; 0 if it shows none, as one that has the certificate of its connection.
func (g *goodOnes) sum(ctx context.Context) uint64 {
	shown := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(shown) != 1 {
		return 0
	}
	return max(1, maphash.String(g.seed, shown[0]))
}

// has reports whether somebody was known by it. By none it costs nothing to look.
func (g *goodOnes) has(sum uint64) bool { return sum == 0 || g.place(sum).Load() == sum }

func (g *goodOnes) keep(sum uint64) {
	if !g.has(sum) {
		g.place(sum).Store(sum)
	}
}

func (g *goodOnes) drop(sum uint64) { g.place(sum).CompareAndSwap(sum, 0) }

func (g *goodOnes) place(sum uint64) *atomic.Uint64 { return &g.sums[sum%uint64(len(g.sums))] }
