// Package remote follows the log of an authority over gRPC, and reports to it.
//
//	Replica ──Tail──▶ LogService of an authority: a checkpoint, entries, head proofs
//	        ──Report─▶ how far the replica is, answered by a head proof
//
// It is the second path of a decision point that follows Redis, the only one where there is no Redis, and the one by which
// arrival can be proven. An address may stand for several authorities: any of them will do.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/url"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
)

// Config says which authority to follow.
type Config struct {
	URL    string // grpc://HOST:PORT, grpcs:// for TLS; a name that stands for several addresses is a choice among them
	Domain string // of the record
	// Credentials without Transport are by TLS as the system knows it where the URL is of grpcs.
	Credentials Credentials
}

// Authority is an authority elsewhere. It is a policystore.Source and a policystore.Reporter.
type Authority struct {
	address string
	domain  string
	conn    *grpc.ClientConn
	log     teishiv1.LogServiceClient
}

var (
	_ policystore.Source   = (*Authority)(nil)
	_ policystore.Reporter = (*Authority)(nil)
)

const (
	maxMessage = 2 * policystore.MaxEntrySize // an entry, or a piece of a checkpoint
	pingAfter  = 10 * time.Second             // of silence; servers take no pings sooner
	pingWithin = 2 * time.Second
	maxBackoff = 5 * time.Second
	// maxBody bounds a checkpoint, in bytes.
	maxBody = 512 << 20
)

// New returns the authority at an address, which is not connected to yet.
func New(c Config) (*Authority, error) {
	address, secure, err := parse(c.URL)
	if err != nil {
		return nil, err
	}
	creds := c.Credentials
	switch {
	case secure && creds.Transport == nil:
		creds.Transport = OfFiles(credential.Files{}, "").Transport
	case !secure && creds.Transport != nil:
		return nil, errors.New("what TLS is spoken with is given, but the URL is not of grpcs")
	}
	options, err := creds.Options(address)
	if err != nil {
		return nil, err
	}
	a := &Authority{address: address, domain: c.Domain}
	retry := grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: pingWithin}
	retry.Backoff.BaseDelay, retry.Backoff.MaxDelay = 100*time.Millisecond, maxBackoff
	a.conn, err = grpc.NewClient("dns:///"+a.address, append(options,
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin": {}}]}`),
		grpc.WithConnectParams(retry),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingWithin, PermitWithoutStream: true}))...)
	if err != nil {
		return nil, fmt.Errorf("it is no address: %w", err)
	}
	a.log = teishiv1.NewLogServiceClient(a.conn)
	return a, nil
}

// parse returns the HOST:PORT of a URL, and whether it is reached by TLS. Its error does not repeat the text, in which a secret may
// stand where it does not belong.
func parse(text string) (address string, secure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.Port() == "" || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return "", false, errors.New("it is not grpc://HOST:PORT or grpcs://HOST:PORT")
	}
	return net.JoinHostPort(u.Hostname(), u.Port()), u.Scheme == "grpcs", nil
}

// Address returns where the authority is.
func (a *Authority) Address() string { return a.address }

// Close ends what is under way.
func (a *Authority) Close() error { return a.conn.Close() }

// Checkpoint returns the newest checkpoint of the record.
func (a *Authority) Checkpoint(ctx context.Context) (policystore.Checkpoint, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.log.Tail(ctx, &teishiv1.TailRequest{Domain: a.domain, Checkpoint: true})
	if err != nil {
		return policystore.Checkpoint{}, a.trouble("take a checkpoint", err)
	}
	c, err := receive(stream)
	if err != nil {
		return c, a.trouble("take a checkpoint", err)
	}
	return c, nil
}

// receive takes a checkpoint piece by piece.
func receive(stream teishiv1.LogService_TailClient) (c policystore.Checkpoint, err error) {
	first, err := stream.Recv()
	if err != nil {
		return c, err
	}
	header := first.GetCheckpoint()
	if header == nil {
		return c, fmt.Errorf("a checkpoint does not begin with its header: %w", policystore.ErrFormat)
	}
	if c, err = policystore.CheckpointFromHeader(header); err != nil {
		return c, err
	}
	if header.BodySize > maxBody {
		return c, fmt.Errorf("a checkpoint of %d bytes: %w", header.BodySize, policystore.ErrFormat)
	}
	for {
		next, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && int64(len(c.Body)) == header.BodySize:
			return c, nil
		case errors.Is(err, io.EOF):
			return c, fmt.Errorf("a checkpoint ends after %d of %d bytes: %w", len(c.Body), header.BodySize, policystore.ErrBroken)
		case err != nil:
			return c, err
		}
		if c.Body = append(c.Body, next.GetBody()...); int64(len(c.Body)) > header.BodySize {
			return c, fmt.Errorf("a checkpoint goes on after %d bytes: %w", header.BodySize, policystore.ErrBroken)
		}
	}
}

// Tail yields what the authority sends.
func (a *Authority) Tail(ctx context.Context, p policystore.Position) iter.Seq2[policystore.Event, error] {
	return func(yield func(policystore.Event, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := a.log.Tail(ctx, &teishiv1.TailRequest{Domain: a.domain, After: policystore.PositionToProto(p)})
		for err == nil {
			sent := time.Now()
			var m *teishiv1.TailResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			var event policystore.Event
			if event, err = eventOf(m, sent); err == nil && !yield(event, nil) {
				return
			}
		}
		if ctx.Err() == nil {
			yield(policystore.Event{}, a.trouble("follow", err))
		}
	}
}

func eventOf(m *teishiv1.TailResponse, sent time.Time) (policystore.Event, error) {
	switch e := m.GetEvent().(type) {
	case *teishiv1.TailResponse_Entry:
		entry, err := policystore.EntryFromProto(e.Entry)
		if err != nil {
			return policystore.Event{}, fmt.Errorf("read entry %d: %w", e.Entry.GetRevision(), err)
		}
		return policystore.Event{Entry: &entry}, nil
	case *teishiv1.TailResponse_Head:
		head, err := policystore.HeadFromProto(e.Head)
		if err != nil {
			return policystore.Event{}, fmt.Errorf("read a head proof: %w", err)
		}
		head.Received = sent
		return policystore.Event{Head: &head}, nil
	}
	return policystore.Event{}, fmt.Errorf("an event of a kind that is not known: %w", policystore.ErrFormat)
}

// Report tells the authority how far a replica is, and returns the head proof that it answers with, if any.
func (a *Authority) Report(ctx context.Context, m policystore.Member) (*policystore.HeadProof, error) {
	req := &teishiv1.ReportRequest{
		Domain:    a.domain,
		Id:        m.ID,
		Position:  policystore.PositionToProto(m.Position),
		Freshness: &teishiv1.Freshness{State: stateNumbers[m.Freshness.State], Source: m.Freshness.Source},
		Version:   m.Version,
	}
	if m.StateHash != (policystore.Hash{}) {
		req.StateHash = m.StateHash[:]
	}
	if m.Freshness.Age != policystore.Never {
		req.Freshness.Age = durationpb.New(m.Freshness.Age)
	}
	resp, err := a.log.Report(ctx, req)
	if err != nil {
		return nil, a.trouble("report", err)
	}
	if resp.Head == nil {
		return nil, nil
	}
	h, err := policystore.HeadFromProto(resp.Head)
	return &h, err
}

var stateNumbers = [...]teishiv1.Freshness_State{
	policystore.Expired: teishiv1.Freshness_STATE_EXPIRED,
	policystore.Stale:   teishiv1.Freshness_STATE_STALE,
	policystore.Fresh:   teishiv1.Freshness_STATE_FRESH,
}

// Goodbye tells the authority that a replica ends.
func (a *Authority) Goodbye(ctx context.Context, id string) error {
	if _, err := a.log.Report(ctx, &teishiv1.ReportRequest{Domain: a.domain, Id: id, Goodbye: true}); err != nil {
		return a.trouble("say goodbye", err)
	}
	return nil
}

// reasons are what the authority's refusals mean to those who follow.
var reasons = map[string]error{
	"COMPACTED":       policystore.ErrCompacted,
	"EPOCH_MISMATCH":  policystore.ErrEpoch,
	"RECORD_DIVERGED": fmt.Errorf("was it restored to an earlier point (teishi store repair), or is what was applied here, or --local-checkpoint, of another record? %w", policystore.ErrDiverged),
	"RECORD_REWOUND":  &policystore.TroubleError{Trouble: policystore.Behind, Err: policystore.ErrRewound},
	"DOMAIN_MISMATCH": &policystore.TroubleError{Trouble: policystore.Foreign, Err: errors.New("it is of another domain: see --domain")},
}

// sorts are what sort of trouble the codes of gRPC are, and what to do about it.
var sorts = []struct {
	code   codes.Code
	sort   policystore.Trouble
	advice string
}{
	{codes.Unavailable, policystore.Unreachable, ""},
	{codes.DeadlineExceeded, policystore.Timeout, ""},
	{codes.Unauthenticated, policystore.Unauthorized, ": show a token or a certificate that it believes: see --follow-token-file, --follow-cert and --follow-key"},
	{codes.PermissionDenied, policystore.Unauthorized, ": an administrator has to grant the role replica, at *, to who the token or the certificate says this is"},
	{codes.Unimplemented, policystore.Misconfigured, ": what answers there is no authority"},
	{codes.ResourceExhausted, policystore.Full, ""},
}

// trouble says in words of the store what a call came to.
func (a *Authority) trouble(what string, err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return fmt.Errorf("%s %s: %w", what, a.address, err)
	}
	reason, problem := reasonOf(s), s.Message()
	switch known := reasons[reason]; {
	case known != nil:
		return fmt.Errorf("%s %s: %s: %w", what, a.address, problem, known)
	case s.Code() == codes.NotFound:
		return fmt.Errorf("%s %s: %s: %w", what, a.address, problem, policystore.ErrNotFound)
	}
	sort, advice := sortOf(s.Code(), problem)
	return &policystore.TroubleError{Trouble: sort, Err: fmt.Errorf("%s %s: %s: %s%s", what, a.address, s.Code(), problem, advice)}
}

// sortOf returns what sort of trouble it is, and what to do about it if that is known.
func sortOf(code codes.Code, problem string) (policystore.Trouble, string) {
	switch {
	case code == codes.Unavailable && (strings.Contains(problem, "tls: ") || strings.Contains(problem, "x509: ")):
		return policystore.Unauthorized, ": TLS is not agreed upon: see --follow-ca, --follow-cert and --follow-key"
	case code == codes.Unavailable && strings.Contains(problem, "server preface"):
		return policystore.Unreachable, ": if it speaks TLS, the URL is grpcs://…"
	}
	for _, row := range sorts {
		if row.code == code {
			return row.sort, row.advice
		}
	}
	return policystore.Other, ""
}

func reasonOf(s *status.Status) string {
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.Reason
		}
	}
	return ""
}
