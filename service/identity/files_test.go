package identity_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity"
)

// TestRotation checks that new files hold for new connections, and that who is connected stays so.
func TestRotation(t *testing.T) {
	h := newHouse(t)
	h.open()
	mdm := h.issue(h.ca, "mdm", nil)
	live := h.converse(&mdm)
	live()

	next, err := trust.NewCA("next", nil)
	h.must(err)
	h.file("ca.pem", append(slices.Clone(next.PEM), h.ca.PEM...))
	h.id.Look()
	theirs := h.issue(next, "next", nil)
	got, err := h.who(h.dial(&theirs))
	h.is(got, err, "cn:next")
	got, err = h.who(h.dial(&mdm))
	h.is(got, err, "cn:mdm")

	h.file("ca.pem", next.PEM)
	h.write("server", h.issue(h.ca, "second", nil))
	h.id.Look()
	got, err = h.who(h.dial(&mdm))
	h.refused(got, err, codes.Unavailable, "")
	got, err = h.who(h.dial(&theirs))
	h.is(got, err, "cn:next")
	if name := h.serverName(); name != "second" {
		t.Errorf("the server is %q, want second", name)
	}
	live()
}

// TestBadFiles checks that files which are not whole and valid change nothing, are complained of once, and only when they stay so.
func TestBadFiles(t *testing.T) {
	h := newHouse(t)
	h.open()
	mdm := h.issue(h.ca, "mdm", nil)
	second := h.issue(h.ca, "second", nil)
	complaints := func() int { return strings.Count(h.log.String(), "the certificates stay as they were") }
	for i, bad := range []func(){
		func() { h.file("server.key", second.KeyPEM) }, // and not its certificate
		func() { h.file("ca.pem", []byte("nothing")) },
		func() { h.file("ca.pem", h.ca.PEM[:len(h.ca.PEM)/2]) },
		func() { remove(t, h.config.CertFile) },
	} {
		bad()
		h.id.Look()
		if n := complaints(); n != i {
			t.Fatalf("%d complaints before files are seen twice, want %d:\n%s", n, i, h.log)
		}
		h.id.Look()
		h.id.Look()
		if n := complaints(); n != i+1 {
			t.Fatalf("%d complaints, want %d:\n%s", n, i+1, h.log)
		}
		got, err := h.who(h.dial(&mdm))
		h.is(got, err, "cn:mdm")
		if name := h.serverName(); name != "server" {
			t.Errorf("the server is %q, want server", name)
		}
	}
}

// converse begins a stream that stays open, and returns what exchanges a message over it.
func (h *house) converse(c *trust.Certificate) func() {
	h.Helper()
	stream, err := h.dial(c).NewStream(h.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/who/converses")
	h.must(err)
	return func() {
		h.Helper()
		h.must(stream.SendMsg(&emptypb.Empty{}))
		h.must(stream.RecvMsg(&emptypb.Empty{}))
	}
}

// serverName is the common name of the certificate that the server shows.
func (h *house) serverName() string {
	h.Helper()
	conn, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.ca.Pool(), NextProtos: []string{"h2"}})
	h.must(err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestMinVersion checks that TLS 1.2 is spoken only where that is wanted.
func TestMinVersion(t *testing.T) {
	for _, c := range []struct {
		min  uint16
		good bool
	}{{0, false}, {tls.VersionTLS13, false}, {tls.VersionTLS12, true}} {
		h := newHouse(t)
		h.config.MinVersion = c.min
		h.open()
		conn, err := tls.Dial("tcp", h.address, &tls.Config{RootCAs: h.ca.Pool(), NextProtos: []string{"h2"}, MaxVersion: tls.VersionTLS12})
		if (err == nil) != c.good {
			t.Errorf("TLS 1.2 with a least version of %x: %v", c.min, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// TestProblems checks that everything that is wrong is told, with the file it is in.
func TestProblems(t *testing.T) {
	h := newHouse(t)
	yesterday := func(x *x509.Certificate) {
		x.NotBefore, x.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	expired, expiredKey := h.write("expired", h.issue(h.ca, "expired", yesterday))
	early, earlyKey := h.write("early", h.issue(h.ca, "early", func(x *x509.Certificate) { x.NotBefore = time.Now().Add(time.Hour) }))
	_, otherKey := h.write("other", h.issue(h.ca, "other", nil))
	old, err := trust.NewCA("old", yesterday)
	h.must(err)
	oldCA, empty := h.file("old.pem", old.PEM), h.file("empty.pem", []byte("# nothing"))
	open := h.file("open.key", nil)
	h.must(os.Chmod(open, 0o644))
	group := h.file("group.key", readFile(t, h.config.KeyFile))
	h.must(os.Chmod(group, 0o640))
	cert, key, ca := h.config.CertFile, h.config.KeyFile, h.config.ClientCAFile
	const issuer = "https://id.example.org"
	some := []string{"teishi"}
	for name, c := range map[string]struct {
		config identity.Config
		want   string // words of it, the field before them
	}{
		"nothing":              {identity.Config{}, ""},
		"all":                  {identity.Config{CertFile: cert, KeyFile: key, ClientCAFile: ca, Issuers: []string{issuer}, Audiences: some, IssuerCAFile: ca}, ""},
		"a key for a group":    {identity.Config{CertFile: cert, KeyFile: group}, ""},
		"no key":               {identity.Config{CertFile: cert}, "KeyFile name its key too"},
		"no certificate":       {identity.Config{KeyFile: key}, "CertFile name its certificate too"},
		"callers without TLS":  {identity.Config{ClientCAFile: ca}, "CertFile over TLS only"},
		"another key":          {identity.Config{CertFile: cert, KeyFile: otherKey}, "KeyFile other.key has not the key"},
		"a key for everybody":  {identity.Config{CertFile: cert, KeyFile: open}, "KeyFile open.key can be read by everybody"},
		"a key that is absent": {identity.Config{CertFile: cert, KeyFile: "none"}, "KeyFile none"},
		"no such certificate":  {identity.Config{CertFile: "none", KeyFile: key}, "CertFile none"},
		"expired":              {identity.Config{CertFile: expired, KeyFile: expiredKey}, "CertFile expired.pem expired at"},
		"not valid yet":        {identity.Config{CertFile: early, KeyFile: earlyKey}, "CertFile early.pem does not hold before"},
		"no authority":         {identity.Config{CertFile: cert, KeyFile: key, ClientCAFile: empty}, "ClientCAFile empty.pem"},
		"an old authority":     {identity.Config{CertFile: cert, KeyFile: key, ClientCAFile: oldCA}, "ClientCAFile old.pem expired at"},
		"no audience":          {identity.Config{Issuers: []string{issuer}}, "Audiences for whom"},
		"no issuer":            {identity.Config{Audiences: some}, "Audiences there is no issuer"},
		"no issuer to believe": {identity.Config{IssuerCAFile: ca}, "IssuerCAFile there is no issuer"},
		"an old issuer":        {identity.Config{Issuers: []string{issuer}, Audiences: some, IssuerCAFile: oldCA}, "IssuerCAFile old.pem"},
		"plaintext":            {identity.Config{Issuers: []string{"http://id.example.org"}, Audiences: some}, "Issuers does not begin with https://"},
		"plaintext here":       {identity.Config{Issuers: []string{"http://127.0.0.1:8080"}, Audiences: some}, ""},
		"plaintext elsewhere":  {identity.Config{Issuers: []string{"http://localhost.example.org"}, Audiences: some}, "Issuers does not begin with https://"},
		"a fragment":           {identity.Config{Issuers: []string{issuer + "#x"}, Audiences: some}, "Issuers is not https://HOST/PATH"},
		"no URL":               {identity.Config{Issuers: []string{"id.example.org"}, Audiences: some}, "Issuers is not https://HOST/PATH"},
		"two things":           {identity.Config{CertFile: expired, KeyFile: otherKey, ClientCAFile: empty, Issuers: []string{"x"}}, "ClientCAFile CertFile Issuers Audiences"},
	} {
		var said strings.Builder
		for _, p := range c.config.Problems() {
			said.WriteString(p.Field + " " + p.Err.Error() + "\n")
		}
		if c.want == "" && said.Len() > 0 || !says(said.String(), c.want) {
			t.Errorf("%s: told %q, want %q", name, said.String(), c.want)
		}
		if _, err := identity.New(c.config); (err != nil) != (c.want != "") {
			t.Errorf("%s: New returns %v", name, err)
		}
	}
}

// says reports whether every one of the words is in a text.
func says(text, words string) bool {
	return !slices.ContainsFunc(strings.Fields(words), func(w string) bool { return !strings.Contains(text, w) })
}

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
