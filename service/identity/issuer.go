package identity

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/teishi-dev/teishi/policystore/failpoint"
)

// How keys are kept.
const (
	fetchEvery = 5 * time.Minute  // about
	fetchTime  = 10 * time.Second // for all of it
	fetchRetry = time.Minute      // at most, after one that failed
	askEvery   = 10 * time.Second // fetch because of a token whose key is not known
	keysFor    = 24 * time.Hour   // keys serve while their issuer is not reached
	maxFetched = 1 << 20          // bytes of an answer
)

// issuer is one that we believe.
type issuer struct {
	url     string
	config  *Config
	metrics *metrics
	ring    atomic.Pointer[ring] // nil before any was fetched
	wanted  chan struct{}

	mu      sync.Mutex
	asked   chan struct{} // closed after the next fetch that has yet to begin, or has begun since somebody asked for it; nil if nobody has
	askedAt time.Time
}

// ring is the keys that an issuer published at a time. It is a set of keys to the library, whose own never grow too old.
type ring struct {
	keys []jose.JSONWebKey
	at   time.Time
}

// VerifySignature returns what a token says that one of the keys has signed.
func (r *ring) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	token, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return nil, err
	}
	for _, k := range r.keys {
		if fits(&k, &token.Signatures[0].Header) {
			if said, err := token.Verify(k.Key); err == nil {
				return said, nil
			}
		}
	}
	return nil, errors.New("none of the keys has signed it")
}

// open returns the token, if the issuer of the keys has signed it. Whether it holds, and for whom, is judged elsewhere: the library
// knows no bound of a skew, and one audience.
func (r *ring) open(ctx context.Context, issuer, raw string) (*oidc.IDToken, error) {
	v := oidc.NewVerifier(issuer, r, &oidc.Config{
		SkipClientIDCheck:          true,
		SkipExpiryCheck:            true,
		SupportedSigningAlgs:       algorithmNames(),
		InsecureSkipSignatureCheck: failpoint.Without("signature"),
	})
	return v.Verify(ctx, raw)
}

func newIssuer(url string, c *Config, m *metrics) *issuer {
	return &issuer{url: url, config: c, metrics: m, wanted: make(chan struct{}, 1)}
}

// verify returns the token if the issuer has signed it, and the keys that say so.
func (i *issuer) verify(ctx context.Context, raw string, header *jose.Header) (*oidc.IDToken, *ring, *refusal) {
	r, refused := i.current()
	if refused == nil {
		if token, err := r.open(ctx, i.url, raw); err == nil {
			return token, r, nil
		}
		if r.knows(header) {
			return nil, nil, forged
		}
	}
	if i.ask(ctx) {
		r, refused = i.current()
	}
	if refused != nil {
		return nil, nil, refused
	}
	token, err := r.open(ctx, i.url, raw)
	if err != nil {
		return nil, nil, forged
	}
	return token, r, nil
}

// current returns the keys of the issuer, unless they are too old.
func (i *issuer) current() (*ring, *refusal) {
	r := i.ring.Load()
	if r == nil || i.config.Clock().Sub(r.at) > keysFor {
		return nil, keyless
	}
	return r, nil
}

// knows reports whether the key is there that a token says it was signed with. One that does not say so may be signed with any.
func (r *ring) knows(h *jose.Header) bool {
	return h.KeyID != "" && slices.ContainsFunc(r.keys, func(k jose.JSONWebKey) bool { return fits(&k, h) })
}

// fits reports whether a token may have been signed with a key, as its header says.
func fits(k *jose.JSONWebKey, h *jose.Header) bool {
	return (h.KeyID == "" || h.KeyID == k.KeyID) && (k.Algorithm == "" || k.Algorithm == h.Algorithm)
}

// ask has the keys fetched, and reports whether they were since. It is not done for everybody: who makes up tokens would make us a
// nuisance to the issuer.
func (i *issuer) ask(ctx context.Context) bool {
	i.mu.Lock()
	if now := time.Now(); i.asked == nil {
		if now.Sub(i.askedAt) < askEvery {
			i.mu.Unlock()
			return false
		}
		i.askedAt, i.asked = now, make(chan struct{})
		select {
		case i.wanted <- struct{}{}:
		default: // one fetch more than was needed is on its way
		}
	}
	done := i.asked
	i.mu.Unlock()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// run fetches the keys again and again until ctx ends.
func (i *issuer) run(ctx context.Context) {
	for failed := 0; ; {
		err := i.refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			failed++
			i.config.Logger.Warn("the keys of an issuer cannot be fetched", slog.String("issuer", i.url), slog.Any("error", err))
		case failed > 0:
			failed = 0
			i.config.Logger.Info("the keys of an issuer are fetched again", slog.String("issuer", i.url))
		}
		pause := time.NewTimer(pauseAfter(failed))
		select {
		case <-pause.C:
		case <-i.wanted:
		case <-ctx.Done():
		}
		pause.Stop()
	}
}

// pauseAfter returns how long to wait before the next fetch, after so many that failed.
func pauseAfter(failed int) time.Duration {
	wait := fetchEvery
	if failed > 0 {
		wait = min(fetchRetry, time.Second<<min(failed-1, 10))
	}
	return wait - rand.N(wait/10)
}

// refresh fetches the keys, and lets go whoever asked for that before it began.
func (i *issuer) refresh(ctx context.Context) error {
	i.mu.Lock()
	asked := i.asked
	i.mu.Unlock()
	r, err := i.fetch(ctx)
	if err == nil {
		i.ring.Store(r)
		i.metrics.keys.WithLabelValues(i.url).Set(float64(r.at.Unix()))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if asked != nil {
		close(asked)
	}
	if i.asked == asked {
		i.asked = nil
	}
	return err
}

// fetch fetches the keys: where they are is what the issuer says of itself.
func (i *issuer) fetch(ctx context.Context) (*ring, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	client, err := i.config.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	at := i.config.Clock()
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, client), i.url)
	if err != nil {
		return nil, err
	}
	var self struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&self); err != nil {
		return nil, err
	}
	if err := judgeURL(self.Keys); err != nil {
		return nil, err
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := get(ctx, client, self.Keys, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		return nil, errors.New("it does not say which keys it has")
	}
	return &ring{keys: usable(set.Keys), at: at}, nil
}

// usable returns the keys that can verify signatures. An issuer may have others, for others.
func usable(set []json.RawMessage) (keys []jose.JSONWebKey) {
	for _, text := range set {
		var k jose.JSONWebKey
		if json.Unmarshal(text, &k) == nil && k.IsPublic() && (k.Use == "" || k.Use == "sig") {
			keys = append(keys, k)
		}
	}
	return keys
}

// client returns what fetches from issuers. The file of those who sign their certificates is read each time.
func (c *Config) client() (*http.Client, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, Time: c.Clock},
		TLSHandshakeTimeout: fetchTime,
		ForceAttemptHTTP2:   true,
	}
	if c.IssuerCAFile != "" {
		pool, err := authorities(c.IssuerCAFile, c.Clock())
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: bounded{t}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("it sends us elsewhere")
	}}, nil
}

// bounded has no answer be longer than it may be.
type bounded struct{ *http.Transport }

// RoundTrip is part of http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxFetched)
	}
	return resp, err
}

// get reads what is at a URL into a value.
func get(ctx context.Context, client *http.Client, from string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}
