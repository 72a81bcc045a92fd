package identitytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/teishi-dev/teishi/cluster/trust"
)

// What the tokens of an issuer say, unless they are made by hand.
const (
	Audience = "teishi"
	Subject  = "sid1"
	Group    = "ministry"
)

// Issuer is an OpenID provider that listens on this machine, over TLS.
type Issuer struct {
	URL string

	client   *http.Client
	listener net.Listener
	server   *http.Server
	keys     *keys
	fetched  atomic.Int64
	down     atomic.Bool
}

// StartIssuer starts an issuer whose own certificate the CA signs. Close ends it.
func StartIssuer(ca *trust.CA) (*Issuer, error) {
	certificate, err := ca.Issue("issuer", nil)
	if err != nil {
		return nil, err
	}
	pair, err := certificate.Pair()
	if err != nil {
		return nil, err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return nil, err
	}
	i := &Issuer{URL: "https://" + l.Addr().String(), listener: l}
	i.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: true}}
	i.keys = &keys{Storage: storage.NewStorage(storage.NewUserStore(i.URL))}
	i.Rotate()
	provider, err := op.NewProvider(&op.Config{}, i.keys, op.StaticIssuer(i.URL), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	i.server = &http.Server{Handler: i.counted(provider), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	go i.server.Serve(l)
	return i, nil
}

// Close ends the issuer.
func (i *Issuer) Close() error { return i.server.Close() }

// Down has the issuer answer nothing but errors, or be well again.
func (i *Issuer) Down(down bool) { i.down.Store(down) }

// Fetched returns how often its keys were fetched.
func (i *Issuer) Fetched() int { return int(i.fetched.Load()) }

func (i *Issuer) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			http.Error(w, "the issuer is down", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
		if r.URL.Path == "/keys" {
			i.fetched.Add(1)
		}
	})
}

// Rotate has the issuer sign with a new key from now on, and publish no other.
func (i *Issuer) Rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	i.keys.now.Store(&signingKey{id: rand.Text(), key: key})
}

// Token has the issuer make a token as it does for a service.
func (i *Issuer) Token() (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid"}}
	req, err := http.NewRequest(http.MethodPost, i.URL+"/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(Subject, "verysecret")
	resp, err := i.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var made struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(text, &made); err != nil || made.Token == "" {
		return "", fmt.Errorf("the issuer answers %s: %s", resp.Status, text)
	}
	return made.Token, nil
}

// Claims are those of a token that holds now.
func (i *Issuer) Claims() map[string]any {
	now := time.Now()
	return map[string]any{"iss": i.URL, "sub": Subject, "aud": Audience, "exp": now.Add(time.Hour).Unix(), "iat": now.Unix()}
}

// Key is what the issuer signs with now, and its name.
func (i *Issuer) Key() (*ecdsa.PrivateKey, string) {
	k := i.keys.now.Load()
	return k.key, k.id
}

// Sign makes a token by hand, with the key of the issuer.
func (i *Issuer) Sign(claims map[string]any) (string, error) {
	key, id := i.Key()
	return Sign(jose.ES256, key, id, claims)
}

// Sign makes a token by hand.
func Sign(algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) (string, error) {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(text)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// keys is the storage of the provider's own example, but that its tokens are signed ones, for us, with a key that can be changed.
type keys struct {
	*storage.Storage
	now atomic.Pointer[signingKey]
}

// signingKey is a key, private and public.
type signingKey struct {
	id  string
	key *ecdsa.PrivateKey
}

func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.ES256 }
func (k *signingKey) Algorithm() jose.SignatureAlgorithm          { return jose.ES256 }
func (k *signingKey) Key() any                                    { return k.key }
func (k *signingKey) ID() string                                  { return k.id }
func (k *signingKey) Use() string                                 { return "sig" }

// publishedKey is the half of it that is for everybody.
type publishedKey struct{ *signingKey }

func (k publishedKey) Key() any { return &k.key.PublicKey }

func (k *keys) SigningKey(context.Context) (op.SigningKey, error) { return k.now.Load(), nil }

func (k *keys) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publishedKey{k.now.Load()}}, nil
}

func (k *keys) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.ES256}, nil
}

func (k *keys) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	c, err := k.Storage.ClientCredentials(ctx, id, secret)
	return signedFor{c}, err
}

func (k *keys) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{Audience}, Scopes: scopes}, nil
}

func (k *keys) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"groups": []string{Group}}, nil
}

// signedFor is a client that is given signed tokens.
type signedFor struct{ op.Client }

func (signedFor) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
