package service

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/failpoint"
	"github.com/teishi-dev/teishi/service/decisionlog"
)

// Config says what a Server serves. Replica and Domain are required.
type Config struct {
	Replica *policystore.Replica // answers questions
	Domain  string               // of the record
	Record  *Record              // of an authority; nil for a decision point, which answers questions and nothing else
	Version string               // of the program, for log lines; none if empty
	Logger  *slog.Logger         // nil discards
	// Clock is that of questions: what it shows, and what it may be instead after it was set. Nil is the system's.
	Clock func() (now time.Time, instead []time.Time)
	// Reflection says to whom the services are described.
	Reflection Reflection
	// Identify says who calls. Nil: everybody is `local`, and may do everything.
	Identify Identifier
	// Limits are those of each caller, where there is an Identify.
	Limits Limits
	// Registry counts who was refused for them. Nil counts for nobody.
	Registry prometheus.Registerer
	// Decisions is where answers are written down, and closed after the Server has drained. Nil: nowhere.
	Decisions *decisionlog.Log
	// Credentials are those that connections are made with. Nil: anybody on the way can read and change what is said.
	Credentials credentials.TransportCredentials
}

// Record is what an authority has that a decision point has not. All of it is required.
type Record struct {
	Authority *policystore.Authority // takes writes, and is followed; it writes through the Replica
	History   *policystore.History   // answers questions about the past
	Log       policystore.Log        // is audited
	Fleet     *policystore.Fleet     // takes reports
}

// Server is the gRPC server of one record.
type Server struct {
	authority   *policystore.Authority
	replica     *policystore.Replica
	history     *policystore.History
	log         policystore.Log
	fleet       *policystore.Fleet
	checkpoints *checkpoints // for whoever follows the authority
	domain      string
	logger      *slog.Logger
	clock       func() (now time.Time, instead []time.Time)
	identify    Identifier
	reflection  Reflection
	decisions   *decisionlog.Log // nil: answers are written down nowhere
	limits      *limits
	strangers   atomic.Int32 // calls of callers who are not known yet
	reporters   reporters
	good        goodOnes // credentials

	grpc      *grpc.Server
	watchers  *watchers
	health    *health.Server
	reporting sync.Mutex // guards draining, and the order of what is reported
	draining  bool
	chain     step // that every call goes through
	checks    []check
	rules     validator
	ending    context.Context // ends when streams that have no end of their own are to end
	end       context.CancelFunc
	handlers  sync.WaitGroup // of streams that were left
}

// New returns a server that Serve has yet to start. It panics if it has a method of which nobody said who may call it, or of which budget it is.
func New(c Config) *Server {
	s := &Server{
		replica: c.Replica,
		domain:  c.Domain,
		logger:  c.Logger,
		clock:   c.Clock,

		identify:   c.Identify,
		reporters:  reporters{of: make(map[string]string)},
		reflection: c.Reflection,
		decisions:  c.Decisions,
		health:     health.NewServer(),
	}
	if r := c.Record; r != nil {
		s.authority, s.history, s.log, s.fleet = r.Authority, r.History, r.Log, r.Fleet
		s.checkpoints = newCheckpoints(r.Authority.Checkpoint)
	}
	s.ending, s.end = context.WithCancel(context.Background())
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if c.Version != "" {
		s.logger = s.logger.With(slog.String("version", c.Version))
	}
	if s.clock == nil {
		s.clock = (&policystore.Clock{}).Now
	}
	s.limits = newLimits(c.Limits, c.Registry, s.logger)
	s.good.seed = maphash.MakeSeed()
	s.watchers = newWatchers(c.Replica, s.moment)
	s.chain = s.chained(s.concluded, recovered, s.identified, s.limited, s.permitted)
	s.checks = []check{withinLimit, known, s.rules.valid}
	options := append(Transport(), grpc.ForceServerCodecV2(newCodec()), grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream))
	if c.Credentials != nil {
		options = append(options, grpc.Creds(c.Credentials))
	}
	if s.identify != nil {
		options = append(options, grpc.InTapHandle(s.arrive))
	}
	s.grpc = grpc.NewServer(options...)
	s.register()
	if names := unlisted(s.grpc.GetServiceInfo()); len(names) > 0 {
		panic(fmt.Sprintf("service: the table of methods does not say who may call, or of which budget are, %s", names))
	}
	return s
}

// Limits of a connection. What a message may measure is said method by method in methods.go, up to maxMessage.
const (
	maxMessage    = 4 << 20
	maxHeaders    = 16 << 10                             // bytes, of a call
	maxStreams    = 1000                                 // at a time, of a connection
	maxAge        = 30 * time.Minute                     // about: grpc-go spreads it by a tenth, so that callers do not all come back at once
	maxAgeGrace   = watchFor + watchSpread + time.Minute // what is under way by then ends of itself before
	minPing       = 10 * time.Second                     // between two pings of a caller
	ownPing       = time.Minute                          // of silence, before we ask whether the caller is still there
	handshakeTime = 20 * time.Second
	workers       = 32 // goroutines that answer one call after the other: their stacks have grown already
)

// Transport returns how a Server treats its connections, whatever it serves: another server with the same options costs
// the same until a call reaches its handler.
func Transport() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(bound("message", maxMessage, math.MaxInt32)),
		grpc.MaxHeaderListSize(bound[uint32]("headers", maxHeaders, math.MaxInt32)),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(bound("handshake", handshakeTime, time.Hour)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: bound("pings", minPing, time.Nanosecond), PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionAge:      maxAge,
			MaxConnectionAgeGrace: maxAgeGrace,
			Time:                  ownPing,
		}),
		grpc.NumStreamWorkers(workers),
		grpc.WaitForHandlers(true), // the store may be closed after us
	}
}

// bound returns a limit, or the other where the fault suite has taken the guard of that name away.
func bound[T any](guard string, limit, other T) T {
	if failpoint.Without(guard) {
		return other
	}
	return limit
}

// live is the service whose health says that the process answers, whatever else. That of the empty name says that it has
// policy and is not about to end.
const live = "live"

func (s *Server) register() {
	teishiv1.RegisterDecisionServiceServer(s.grpc, &decisionServer{Server: s})
	teishiv1.RegisterRestrictionServiceServer(s.grpc, &restrictionServer{Server: s})
	if s.authority != nil {
		teishiv1.RegisterRegistryServiceServer(s.grpc, &registryServer{Server: s})
		teishiv1.RegisterDirectiveServiceServer(s.grpc, &directiveServer{Server: s})
		teishiv1.RegisterAuditServiceServer(s.grpc, &auditServer{Server: s})
		teishiv1.RegisterLogServiceServer(s.grpc, &logServer{Server: s})
		teishiv1.RegisterFleetServiceServer(s.grpc, &fleetServer{Server: s})
		teishiv1.RegisterAccessServiceServer(s.grpc, &accessServer{Server: s})
	}
	s.report(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	s.health.SetServingStatus(live, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	if s.reflection == ReflectionOff {
		return
	}
	reflectionv1.RegisterServerReflectionServer(s.grpc,
		reflection.NewServerV1(reflection.ServerOptions{Services: s.grpc, DescriptorResolver: &teishiv1.Documentation{}}))
}

// report tells the health of the server and of each service of ours. Once it is draining it is not healthy any more.
func (s *Server) report(status grpc_health_v1.HealthCheckResponse_ServingStatus) {
	s.reporting.Lock()
	defer s.reporting.Unlock()
	if s.draining {
		return
	}
	s.health.SetServingStatus("", status)
	for name := range s.grpc.GetServiceInfo() {
		if strings.HasPrefix(name, ourServices) {
			s.health.SetServingStatus(name, status)
		}
	}
}

// Ready reports whether the server is healthy, as anybody may ask it over gRPC.
func (s *Server) Ready() bool {
	resp, err := s.health.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{})
	return err == nil && resp.Status == grpc_health_v1.HealthCheckResponse_SERVING
}

const ourServices = "teishi.v1."

// Serve answers calls to the listener, which it closes, until Drain. It is healthy once there is policy, and healthy it stays:
// that it is old is said in every answer.
func (s *Server) Serve(l net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		if s.replica.WaitServing(ctx) == nil {
			s.report(grpc_health_v1.HealthCheckResponse_SERVING)
		}
	})
	watching.Go(func() { s.watchers.run(ctx) })
	defer watching.Wait()
	defer cancel()
	if err := s.grpc.Serve(l); err != nil {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Drain ends the server: unhealthy first, then streams that would never end, then what is in flight, and after the grace
// by force. Lame duck is how long callers are given to notice that it is unhealthy. It returns when no handler runs.
func (s *Server) Drain(lameDuck, grace time.Duration) {
	s.report(grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	s.reporting.Lock()
	s.draining = true
	s.reporting.Unlock()
	time.Sleep(lameDuck)
	s.end() // GracefulStop would wait for them for ever
	force := time.AfterFunc(grace, s.grpc.Stop)
	defer force.Stop()
	s.grpc.GracefulStop()
	s.handlers.Wait()
}
