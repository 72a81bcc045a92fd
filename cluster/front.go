//go:build linux

package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// FrontConfig says what a front asks for.
type FrontConfig struct {
	// Target is the HOST:PORT of the server behind it, which speaks plaintext.
	Target string
	// CA has it speak TLS, with a certificate of this CA. Default: it speaks plaintext.
	CA *CA
	// ClientCA has it ask for a certificate of this CA. Default: it asks for none.
	ClientCA *CA
	// Token is the bearer token that it asks of every call. Default: none.
	Token string
}

// Front is what stands in front of a server and has callers show who they are: a load balancer that terminates TLS. It answers
// UNAUTHENTICATED to who does not show the token, and passes all other calls on, streams too, and those about health anyway.
type Front struct {
	address string
	serving sync.WaitGroup

	mu     sync.Mutex
	config FrontConfig
	server *grpc.Server
	behind *grpc.ClientConn
	shown  string
}

// StartFront starts a front on a free address of the loopback.
func (c *Cluster) StartFront(config FrontConfig) (*Front, error) {
	f := &Front{}
	err := onFreeAddress(func(address string) error {
		f.address = address
		return f.start(config)
	})
	if err != nil {
		return nil, err
	}
	return f, c.onClose(f.Close)
}

// Addr returns the HOST:PORT it listens on.
func (f *Front) Addr() string { return f.address }

// Shown returns the name on the certificate that the last call came with; empty if it came with none.
func (f *Front) Shown() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown
}

// Demand asks for another token of every call that begins from then on. Connections stay.
func (f *Front) Demand(token string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.config.Token = token
}

// Restart breaks all connections, and asks whoever connects again for something else.
func (f *Front) Restart(config FrontConfig) error {
	return errors.Join(f.Close(), f.start(config))
}

// Close breaks all connections and returns when nothing of the front is left.
func (f *Front) Close() error {
	f.server.Stop()
	f.serving.Wait()
	return f.behind.Close()
}

func (f *Front) start(config FrontConfig) error {
	listener, err := net.Listen("tcp", f.address)
	if err != nil {
		return err
	}
	behind, err := dial(config.Target)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	options := []grpc.ServerOption{grpc.ForceServerCodecV2(untouched{}), grpc.UnknownServiceHandler(f.pass), grpc.WaitForHandlers(true)}
	if config.CA != nil {
		secure, err := config.secure()
		if err != nil {
			return errors.Join(err, listener.Close(), behind.Close())
		}
		options = append(options, grpc.Creds(credentials.NewTLS(secure)))
	}
	f.mu.Lock()
	f.config, f.behind, f.server = config, behind, grpc.NewServer(options...)
	f.mu.Unlock()
	f.serving.Go(func() { _ = f.server.Serve(listener) }) // it ends with Stop
	return nil
}

// secure returns how TLS is spoken with who connects.
func (c *FrontConfig) secure() (*tls.Config, error) {
	us, err := c.CA.Issue("front")
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(us.CertFile, us.KeyFile)
	if err != nil || c.ClientCA == nil {
		return &tls.Config{Certificates: []tls.Certificate{pair}}, err
	}
	text, err := os.ReadFile(c.ClientCA.File)
	if err != nil {
		return nil, err
	}
	believed := x509.NewCertPool()
	believed.AppendCertsFromPEM(text)
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: believed, ClientAuth: tls.RequireAndVerifyClientCert}, nil
}

// admit notes what a call shows, and refuses it unless that is the token.
func (f *Front) admit(ctx context.Context, method string) (*grpc.ClientConn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown = ""
	if p, ok := peer.FromContext(ctx); ok {
		if secure, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(secure.State.PeerCertificates) > 0 {
			f.shown = secure.State.PeerCertificates[0].Subject.CommonName
		}
	}
	shown := metadata.ValueFromIncomingContext(ctx, "authorization")
	known := f.config.Token == "" || len(shown) == 1 && shown[0] == "Bearer "+f.config.Token
	if !known && !strings.HasPrefix(method, "/grpc.health.v1.Health/") {
		return nil, status.Error(codes.Unauthenticated, "there is no token, or it is not the one")
	}
	return f.behind, nil
}

// pass passes a call on.
func (f *Front) pass(_ any, caller grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(caller.Context())
	defer cancel()
	method, _ := grpc.MethodFromServerStream(caller)
	behind, err := f.admit(ctx, method)
	if err != nil {
		return err
	}
	both := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	called, err := behind.NewStream(ctx, both, method, grpc.ForceCodecV2(untouched{}))
	if err != nil {
		return err
	}
	f.serving.Go(func() { // it ends with the call
		if copied(caller.RecvMsg, called.SendMsg) == io.EOF {
			_ = called.CloseSend()
		}
	})
	err = copied(called.RecvMsg, caller.SendMsg)
	caller.SetTrailer(called.Trailer())
	if err == io.EOF {
		return nil
	}
	return err
}

// copied passes messages on until one cannot be had, or passed on.
func copied(receive, send func(any) error) error {
	for {
		var message mem.BufferSlice
		if err := receive(&message); err != nil {
			return err
		}
		if err := send(message); err != nil {
			return err
		}
	}
}

// untouched passes messages on as they are.
type untouched struct{}

var _ encoding.CodecV2 = untouched{}

func (untouched) Name() string { return "proto" }

func (untouched) Marshal(v any) (mem.BufferSlice, error) {
	data := v.(mem.BufferSlice)
	data.Ref()
	return data, nil
}

func (untouched) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*mem.BufferSlice) = mem.BufferSlice{mem.SliceBuffer(data.Materialize())}
	return nil
}
