package identity

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/teishi-dev/teishi/policystore/failpoint"
	"github.com/teishi-dev/teishi/service"
)

// Config says how callers are known. The zero value knows nobody and has no TLS.
type Config struct {
	CertFile     string        // the certificate of the server and those above it, PEM; empty for no TLS
	KeyFile      string        // its private key
	ClientCAFile string        // who signs certificates of callers; empty asks for none
	MinVersion   uint16        // of TLS; 0 is 1.3
	Issuers      []string      // of tokens, by OpenID Connect; empty takes none
	Audiences    []string      // a token has to be meant for one of them
	GroupsClaim  string        // where a token names groups; empty is `groups`
	IssuerCAFile string        // who signs the certificates of issuers; empty is whom the system believes
	MaxClockSkew time.Duration // of an issuer, at most a minute
	Clock        func() time.Time
	Registry     prometheus.Registerer // nil counts for nobody
	Logger       *slog.Logger          // nil discards
}

// maxSkew bounds for how long a token that has expired may serve on.
const maxSkew = time.Minute

// withDefaults returns the configuration with every field set.
func (c Config) withDefaults() Config {
	c.MinVersion = cmp.Or(c.MinVersion, tls.VersionTLS13)
	c.GroupsClaim = cmp.Or(c.GroupsClaim, "groups")
	c.MaxClockSkew = min(c.MaxClockSkew, maxSkew)
	if c.Clock == nil {
		c.Clock = func() time.Time { return failpoint.Shift(time.Now()) }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// A Problem is what is wrong with one field of a Config.
type Problem struct {
	Field string
	Err   error
}

// Problems returns everything that is wrong with the configuration, and with the files that it names.
func (c Config) Problems() []Problem {
	c = c.withDefaults()
	_, wrong := c.read()
	return append(wrong, c.judgeIssuers()...)
}

// joined is one error of all problems.
func joined(problems []Problem) error {
	var all []error
	for _, p := range problems {
		all = append(all, fmt.Errorf("%s: %w", p.Field, p.Err))
	}
	return errors.Join(all...)
}

// Identity knows callers.
type Identity struct {
	config   Config
	files    *files
	issuers  map[string]*issuer
	verified *verified
	metrics  *metrics
}

// New returns what knows callers, once Run runs.
func New(c Config) (*Identity, error) {
	c = c.withDefaults()
	sum := c.sum()
	m, wrong := c.read()
	if wrong = append(wrong, c.judgeIssuers()...); len(wrong) > 0 {
		return nil, joined(wrong)
	}
	id := &Identity{config: c, issuers: make(map[string]*issuer), verified: newVerified(), metrics: newMetrics(c.Registry)}
	id.files = newFiles(&id.config, id.metrics, m, sum)
	for _, url := range c.Issuers {
		id.issuers[url] = newIssuer(url, &id.config, id.metrics)
	}
	return id, nil
}

// Run looks at the files and fetches keys until ctx ends.
func (id *Identity) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { id.files.run(ctx) })
	for _, i := range id.issuers {
		running.Go(func() { i.run(ctx) })
	}
	running.Wait()
	return nil
}

// Knows reports whether there is a way for callers to say who they are.
func (id *Identity) Knows() bool { return id.config.ClientCAFile != "" || len(id.issuers) > 0 }

// Credentials are those of the gRPC server; nil without TLS.
func (id *Identity) Credentials() credentials.TransportCredentials {
	if id.config.CertFile == "" {
		return nil
	}
	return credentials.NewTLS(id.files.server(func(m *material) *tls.Config { return m.grpc }))
}

// HTTPS is the TLS of an HTTP server that asks nobody who he is; nil without TLS.
func (id *Identity) HTTPS() *tls.Config {
	if id.config.CertFile == "" {
		return nil
	}
	return id.files.server(func(m *material) *tls.Config { return m.https })
}

// Identify says who makes the call of the context: by its token if it has one, else by the certificate of its connection.
func (id *Identity) Identify(ctx context.Context) (service.Caller, error) {
	var caller service.Caller
	var refused *refusal
	if given := metadata.ValueFromIncomingContext(ctx, "authorization"); len(given) > 0 {
		caller, refused = id.byToken(ctx, given)
	} else {
		caller, refused = id.byCertificate(ctx)
	}
	if refused == nil {
		return caller, nil
	}
	if ctx.Err() != nil {
		return service.Caller{}, &service.UnauthenticatedError{Problem: refused.told} // only a glance: it will be asked again
	}
	id.metrics.refused.WithLabelValues(refused.why).Inc()
	id.config.Logger.LogAttrs(ctx, slog.LevelDebug, "a caller is not known", slog.String("why", refused.why))
	return service.Caller{}, &service.UnauthenticatedError{Problem: refused.told}
}

// byToken says who calls by what is in the metadata.
func (id *Identity) byToken(ctx context.Context, given []string) (service.Caller, *refusal) {
	token, ok := bearer(given)
	if !ok {
		return service.Caller{}, noBearer
	}
	key, now := sha256.Sum256([]byte(token)), id.config.Clock()
	if caller, ok := id.verified.get(key, now); ok {
		return caller, nil
	}
	v, refused := id.verify(ctx, token, now)
	if refused != nil {
		return service.Caller{}, refused
	}
	id.verified.put(key, v)
	return v.caller, nil
}

// refusal is why a caller is not known: one of a few words for metrics and the log, and what the caller is told.
type refusal struct{ why, told string }

// Every refusal. What is wrong with a token is told only to who could have made it: until its signature is checked, all are alike.
var (
	noCredential = &refusal{"none", "who calls is not known: connect with a certificate, or send `authorization: Bearer TOKEN`"}
	noBearer     = &refusal{"authorization", "authorization has to be given once, as `Bearer TOKEN`"}

	malformed   = &refusal{"malformed", notBelieved}
	strange     = &refusal{"issuer", notBelieved}
	forged      = &refusal{"signature", notBelieved}
	keyless     = &refusal{"keys", "the keys of the token's issuer are not at hand: try again later"}
	expired     = &refusal{"expired", "the token has expired"}
	early       = &refusal{"early", "the token does not hold yet, or was issued in the future"}
	otherwise   = &refusal{"audience", "the token is meant for somebody else"}
	unnamed     = &refusal{"subject", "the token names nobody who can be named here"}
	unnamedCert = &refusal{"certificate", "the certificate names nobody who can be named here"}
	expiredCert = &refusal{"certificate-expired", "the certificate of the connection does not hold now: connect again with another"}
)

const notBelieved = "the token is not believed"
