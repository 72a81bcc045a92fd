package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// withIssuer returns a house that believes an issuer, whose keys it has, and a connection without a certificate.
func withIssuer(t *testing.T) (*house, *identitytest.Issuer, *grpc.ClientConn) {
	t.Helper()
	h := newHouse(t)
	i := h.issuer()
	h.config.Issuers, h.config.Audiences, h.config.IssuerCAFile = []string{i.URL}, []string{"other", identitytest.Audience}, h.config.ClientCAFile
	h.open()
	h.must(h.id.Refresh(t.Context()))
	h.run()
	return h, i, h.dial(nil)
}

func (h *house) issuer() *identitytest.Issuer {
	h.Helper()
	i, err := identitytest.StartIssuer(h.ca)
	h.must(err)
	h.Cleanup(func() { _ = i.Close() })
	return i
}

// token is one that an issuer made as it does for a service.
func (h *house) token(i *identitytest.Issuer) string {
	h.Helper()
	token, err := i.Token()
	h.must(err)
	return token
}

// signed is a token that an issuer might have made, but for some claims; a nil one is left out.
func (h *house) signed(i *identitytest.Issuer, claims map[string]any) string {
	h.Helper()
	all := i.Claims()
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	token, err := i.Sign(all)
	h.must(err)
	return token
}

// TestToken checks that a token of the issuer's alone says who calls, whatever certificate comes with it.
func TestToken(t *testing.T) {
	h, i, conn := withIssuer(t)
	user, group := "user:"+i.URL+"#"+identitytest.Subject, "group:"+i.URL+"#"+identitytest.Group
	token := h.token(i)
	for range 2 { // the second time it is remembered
		got, err := h.who(conn, "Bearer "+token)
		if h.is(got, err, user, group); got.Means != service.ByToken {
			t.Errorf("known by %d, want by token", got.Means)
		}
	}
	got, err := h.who(conn, "bearer "+token)
	h.is(got, err, user, group)

	mdm := h.issue(h.ca, "mdm", nil)
	both := h.dial(&mdm)
	got, err = h.who(both, "Bearer "+token)
	h.is(got, err, user, group)
	got, err = h.who(both)
	h.is(got, err, "cn:mdm")
	got, err = h.who(both, "Bearer "+h.signed(i, map[string]any{"aud": "somebody"}))
	h.refused(got, err, codes.Unauthenticated, "meant for somebody else")
	got, err = h.who(both, "Basic bWRtOm1kbQ==")
	h.refused(got, err, codes.Unauthenticated, "given once, as `Bearer TOKEN`")
}

// TestClaims checks what a token that the issuer has signed must say.
func TestClaims(t *testing.T) {
	h, i, conn := withIssuer(t)
	user := "user:" + i.URL + "#"
	at := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for _, c := range []struct {
		name    string
		claims  map[string]any
		refused string
		want    string
	}{
		{"expired", map[string]any{"exp": at(-time.Minute)}, "has expired", ""},
		{"expired by less than the skew", map[string]any{"exp": at(-2 * time.Second)}, "", "sid1"},
		{"without end", map[string]any{"exp": nil}, "has expired", ""},
		{"not valid yet", map[string]any{"nbf": at(time.Minute)}, "does not hold yet", ""},
		{"not valid yet by less than the skew", map[string]any{"nbf": at(5 * time.Second)}, "", "sid1"},
		{"issued in the future", map[string]any{"iat": at(time.Minute)}, "does not hold yet", ""},
		{"without time of issue", map[string]any{"iat": nil}, "", "sid1"},
		{"for somebody else", map[string]any{"aud": "somebody"}, "meant for somebody else", ""},
		{"for several", map[string]any{"aud": []string{"somebody", "teishi"}}, "", "sid1"},
		{"for nobody", map[string]any{"aud": nil}, "meant for somebody else", ""},
		{"of nobody", map[string]any{"sub": nil}, "names nobody", ""},
		{"of two lines", map[string]any{"sub": "a\nb"}, "names nobody", ""},
		{"of a name that is too long", map[string]any{"sub": strings.Repeat("a", identity.MaxName+1)}, "names nobody", ""},
		{"of another issuer", map[string]any{"iss": "https://id.example.org"}, "is not believed", ""},
		{"of an issuer with another slash", map[string]any{"iss": i.URL + "/"}, "is not believed", ""},
		{"of no issuer", map[string]any{"iss": nil}, "is not believed", ""},
		{"with times that are text", map[string]any{"exp": "tomorrow"}, "is not believed", ""},
		{"with a fragment", map[string]any{"sub": "a#b"}, "", "a#b"},
	} {
		got, err := h.who(conn, "Bearer "+h.signed(i, c.claims))
		if c.want == "" {
			h.refused(got, err, codes.Unauthenticated, c.refused)
		} else {
			h.is(got, err, user+c.want)
		}
		if t.Failed() {
			t.Fatalf("with a token %s", c.name)
		}
	}
}

// TestGroups checks which groups of a token count.
func TestGroups(t *testing.T) {
	h, i, conn := withIssuer(t)
	var many []string
	for n := range identity.MaxGroups + 10 {
		many = append(many, fmt.Sprint("g", n))
	}
	for _, c := range []struct {
		claim any
		want  []string
	}{
		{"one", []string{"one"}},
		{[]any{"one", strings.Repeat("a", identity.MaxName+1), "", 7, "a\tb", "two words"}, []string{"one", "two words"}},
		{many, many[:identity.MaxGroups]},
		{map[string]any{"one": true}, nil},
		{nil, nil},
	} {
		var want []string
		for _, name := range c.want {
			want = append(want, "group:"+i.URL+"#"+name)
		}
		got, err := h.who(conn, "Bearer "+h.signed(i, map[string]any{"groups": c.claim}))
		h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject, want...)
	}
}

// TestForgery checks that nothing is believed that the issuer has not signed, that all of it is told alike, and that no part of a token
// is logged.
func TestForgery(t *testing.T) {
	h, i, conn := withIssuer(t)
	key, id := i.Key()
	claims := i.Claims()
	sign := func(a jose.SignatureAlgorithm, k any, id string) string {
		token, err := identitytest.Sign(a, k, id, claims)
		h.must(err)
		return token
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	h.must(err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	h.must(err)
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	h.must(err)
	good := sign(jose.ES256, key, id)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	claims["sub"] = "administrator"
	text, err := json.Marshal(claims)
	h.must(err)
	encode := base64.RawURLEncoding.EncodeToString
	second := h.issuer()
	for name, token := range map[string]string{
		"signed by nobody":                       encode([]byte(`{"alg":"none"}`)) + "." + payload + ".",
		"signed by nobody, in capitals":          encode([]byte(`{"alg":"NONE"}`)) + "." + payload + "." + signature,
		"signed with the public key as a secret": sign(jose.HS256, public, id),
		"signed with another key":                sign(jose.ES256, other, id),
		"signed with another key without name":   sign(jose.ES256, other, ""),
		"signed with a key nobody knows":         sign(jose.ES256, other, "nobody"),
		"signed with a key of another kind":      sign(jose.RS256, rsaKey, id),
		"signed with one of a third kind":        sign(jose.EdDSA, edKey, id),
		"signed by another issuer":               h.signed(second, map[string]any{"iss": i.URL}),
		"by another issuer":                      h.token(second),
		"for somebody else than was signed":      header + "." + encode(text) + "." + signature,
		"truncated":                              good[:len(good)-5],
		"without a signature":                    header + "." + payload,
		"that is none":                           "nothing",
		"that is long":                           strings.Repeat("a", 8<<10),
		"with a key of its own":                  h.withOwnKey(other, claims),
	} {
		got, err := h.who(conn, "Bearer "+token)
		if h.refused(got, err, codes.Unauthenticated, "the token is not believed"); t.Failed() {
			t.Fatalf("with a token %s", name)
		}
		if logged := h.log.String(); strings.Contains(logged, payload[:20]) || strings.Contains(logged, header) {
			t.Fatalf("with a token %s, part of it is logged:\n%s", name, logged)
		}
	}
	for _, authorization := range [][]string{{"Bearer " + good, "Bearer " + good}, {"Bearer"}, {""}, {good}, {"Bearer " + good + " x"}, {"Bearer " + good + ",Bearer " + good}} {
		got, err := h.who(conn, authorization...)
		h.refused(got, err, codes.Unauthenticated, "given once, as `Bearer TOKEN`")
	}
	got, err := h.who(conn)
	h.refused(got, err, codes.Unauthenticated, "connect with a certificate, or send")
	got, err = h.who(conn, "Bearer "+good)
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
}

// withOwnKey is a token that brings the key along that it is to be verified by.
func (h *house) withOwnKey(key *ecdsa.PrivateKey, claims map[string]any) string {
	h.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, &jose.SignerOptions{EmbedJWK: true})
	h.must(err)
	text, err := json.Marshal(claims)
	h.must(err)
	signed, err := signer.Sign(text)
	h.must(err)
	token, err := signed.CompactSerialize()
	h.must(err)
	return token
}

// TestSecondIssuer checks that each of two issuers speaks for its own users only.
func TestSecondIssuer(t *testing.T) {
	h := newHouse(t)
	first, second := h.issuer(), h.issuer()
	h.config.Issuers, h.config.Audiences, h.config.IssuerCAFile = []string{first.URL, second.URL}, []string{identitytest.Audience}, h.config.ClientCAFile
	h.open()
	h.run()
	conn := h.dial(nil)
	for _, i := range []*identitytest.Issuer{first, second} {
		got, err := h.who(conn, "Bearer "+h.signed(i, nil))
		h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
	}
	got, err := h.who(conn, "Bearer "+h.signed(first, map[string]any{"iss": second.URL}))
	h.refused(got, err, codes.Unauthenticated, "is not believed")
}

// TestRollover checks that a new key is believed at once, and the old one no more, not even for a token that is remembered.
func TestRollover(t *testing.T) {
	h, i, conn := withIssuer(t)
	old := h.token(i)
	got, err := h.who(conn, "Bearer "+old)
	user := "user:" + i.URL + "#" + identitytest.Subject
	h.is(got, err, user, "group:"+i.URL+"#"+identitytest.Group)
	i.Rotate()
	got, err = h.who(conn, "Bearer "+h.signed(i, nil))
	h.is(got, err, user)
	got, err = h.who(conn, "Bearer "+old)
	h.refused(got, err, codes.Unauthenticated, "is not believed")
}

// TestStrangeKeys checks that tokens with made-up keys do not have us fetch again and again.
func TestStrangeKeys(t *testing.T) {
	h, i, conn := withIssuer(t)
	key, _ := i.Key()
	before := i.Fetched()
	for n := range 50 {
		token, err := identitytest.Sign(jose.ES256, key, fmt.Sprint("made-up-", n), i.Claims())
		h.must(err)
		got, err := h.who(conn, "Bearer "+token)
		h.refused(got, err, codes.Unauthenticated, "is not believed")
	}
	if n := i.Fetched() - before; n > 2 { // the one that Run begins with, and one that was asked for
		t.Errorf("fifty made-up keys had the keys fetched %d times", n)
	}
}

// TestIssuerDown checks that the keys serve on while the issuer is down, but not for ever, and that all is well once it is back.
func TestIssuerDown(t *testing.T) {
	h, i, conn := withIssuer(t)
	i.Down(true)
	long := h.signed(i, map[string]any{"exp": time.Now().Add(48 * time.Hour).Unix()})
	call := func() (service.Caller, error) { return h.who(conn, "Bearer "+long) }
	got, err := call()
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
	if h.id.Refresh(t.Context()) == nil {
		t.Fatal("the issuer is not down")
	}
	h.moved.Store(int64(identity.KeysFor - time.Hour))
	conn = h.dial(nil) // its certificate has not expired yet
	got, err = call()
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
	h.moved.Store(int64(identity.KeysFor + time.Minute))
	got, err = call()
	h.refused(got, err, codes.Unauthenticated, "keys of the token's issuer are not at hand")
	h.moved.Store(0)
	i.Down(false)
	h.must(h.id.Refresh(t.Context()))
	got, err = call()
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
}

// TestIssuerNeverReached checks that an issuer which was never there keeps nobody else out.
func TestIssuerNeverReached(t *testing.T) {
	h := newHouse(t)
	i := h.issuer()
	i.Down(true)
	h.config.Issuers, h.config.Audiences, h.config.IssuerCAFile = []string{i.URL}, []string{identitytest.Audience}, h.config.ClientCAFile
	h.open()
	h.run()
	mdm := h.issue(h.ca, "mdm", nil)
	conn := h.dial(&mdm)
	got, err := h.who(conn)
	h.is(got, err, "cn:mdm")
	got, err = h.who(conn, "Bearer "+h.signed(i, nil))
	h.refused(got, err, codes.Unauthenticated, "keys of the token's issuer are not at hand")
	i.Down(false)
	h.must(h.id.Refresh(t.Context()))
	got, err = h.who(conn, "Bearer "+h.signed(i, nil))
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
}

// TestRemembered checks that what is remembered ends with the token, and that there is never more than so much of it.
func TestRemembered(t *testing.T) {
	h, i, conn := withIssuer(t)
	ends := h.signed(i, map[string]any{"exp": time.Now().Add(2 * time.Minute).Unix()})
	got, err := h.who(conn, "Bearer "+ends)
	h.is(got, err, "user:"+i.URL+"#"+identitytest.Subject)
	h.moved.Store(int64(3 * time.Minute))
	got, err = h.who(conn, "Bearer "+ends)
	h.refused(got, err, codes.Unauthenticated, "has expired")
	h.moved.Store(0)
	for n := range identity.MaxVerified + 100 {
		identity.Remember(h.id, fmt.Sprint(n))
	}
	if n := h.id.Remembered(); n > identity.MaxVerified {
		t.Errorf("%d tokens are remembered, want at most %d", n, identity.MaxVerified)
	}
}

// TestWrongIssuers checks what is not taken for the keys of an issuer, and that those that were there before stay.
func TestWrongIssuers(t *testing.T) {
	h := newHouse(t)
	var self, keys string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			fmt.Fprint(w, self)
		case "/keys":
			fmt.Fprint(w, keys)
		default:
			http.Redirect(w, r, "http://id.example.org/keys", http.StatusFound)
		}
	}))
	defer server.Close()
	h.config.Issuers, h.config.Audiences = []string{server.URL}, []string{identitytest.Audience}
	h.open()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.must(err)
	public, err := json.Marshal(jose.JSONWebKey{Key: &key.PublicKey, KeyID: "k", Use: "sig"})
	h.must(err)
	secret, err := json.Marshal(jose.JSONWebKey{Key: bytes.Repeat([]byte{1}, 32), KeyID: "s"})
	h.must(err)
	well := `{"issuer":"` + server.URL + `","jwks_uri":"` + server.URL + `/keys"}`
	some := `{"keys":[{"kty":"nobody knows"},` + string(secret) + `,` + string(public) + `]}`
	for _, c := range []struct{ name, self, keys, wrong string }{
		{"it is well", well, some, ""},
		{"it calls itself otherwise", strings.Replace(well, "127.0.0.1", "127.0.0.2", 1), some, "did not match the issuer URL"},
		{"its keys come in plaintext", `{"issuer":"` + server.URL + `","jwks_uri":"http://id.example.org/keys"}`, some, "does not begin with https://"},
		{"it sends us elsewhere", `{"issuer":"` + server.URL + `","jwks_uri":"` + server.URL + `/elsewhere"}`, some, "it sends us elsewhere"},
		{"it says nothing of keys", well, `{}`, "does not say which keys it has"},
		{"it is no JSON", well, `<html>`, "invalid character"},
		{"it is endless", well, `{"keys":[` + strings.Repeat(" ", identity.MaxFetched), "too large"},
	} {
		self, keys = c.self, c.keys
		err := h.id.Refresh(t.Context())
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want …%s…", c.name, err, c.wrong)
		}
		claims := map[string]any{"iss": server.URL, "sub": "a", "aud": identitytest.Audience, "exp": time.Now().Add(time.Hour).Unix()}
		token, err := identitytest.Sign(jose.ES256, key, "k", claims)
		h.must(err)
		got, err := h.who(h.dial(nil), "Bearer "+token)
		h.is(got, err, "user:"+server.URL+"#a")
	}
}
