package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/teishi-dev/teishi/service"
	"github.com/teishi-dev/teishi/service/identity"
)

// identityFlags say how connections are made, and how callers are known.
type identityFlags struct {
	cert, key, clientCA, minVersion string
	issuers, audiences              []string
	groupsClaim, issuerCA           string
	reflection, bootstrap           string
}

// flagOf names the flag of each field that can be wrong.
var flagOf = map[string]string{
	"CertFile": "tls-cert", "KeyFile": "tls-key", "ClientCAFile": "tls-client-ca",
	"Issuers": "oidc-issuer", "Audiences": "oidc-audience", "IssuerCAFile": "oidc-ca",
}

func (f *identityFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.cert, "tls-cert", "", "speak TLS with the certificate in this `FILE`, which is read again when it changes (default: plaintext)")
	flags.StringVar(&f.key, "tls-key", "", "the private key of that certificate, in this `FILE`")
	flags.StringVar(&f.clientCA, "tls-client-ca", "", "know callers by certificates that an authority in this `FILE` has signed; read again when it changes")
	flags.StringVar(&f.minVersion, "tls-min-version", "1.3", "speak no TLS before `VERSION`: 1.2 or 1.3")
	flags.StringSliceVar(&f.issuers, "oidc-issuer", nil, "know callers by bearer tokens of the OpenID provider at this `URL`; may be repeated")
	flags.StringSliceVar(&f.audiences, "oidc-audience", nil, "take a token only if it is made for this `NAME`; may be repeated")
	flags.StringVar(&f.groupsClaim, "oidc-groups-claim", "groups", "the `CLAIM` of a token that names the groups of its user")
	flags.StringVar(&f.bootstrap, "bootstrap-admin", "", "as an authority of a record that has no administrator, make this `PRINCIPAL` one: spiffe://DOMAIN/PATH, dns:HOST, cn:NAME, user:ISSUER#SUBJECT or group:ISSUER#NAME")
	flags.StringVar(&f.reflection, "reflection", "authenticated", "describe the services to `WHOM`: authenticated, open (everybody) or off (nobody)")
	flags.StringVar(&f.issuerCA, "oidc-ca", "", "believe the certificate of an OpenID provider if an authority in this `FILE` signed it (default those of the system)")
}

// knows reports whether there is a way for callers to say who they are.
func (f *identityFlags) knows() bool { return f.clientCA != "" || len(f.issuers) > 0 }

// reflections are to whom services are described.
var reflections = map[string]service.Reflection{
	"authenticated": service.ReflectionAuthenticated, "open": service.ReflectionOpen, "off": service.ReflectionOff,
}

// checkPrincipal reports as an error that nobody can be called that.
func checkPrincipal(s string) error {
	if s == "" {
		return nil
	}
	for _, sort := range []string{"spiffe://", "dns:", "cn:", "user:", "group:"} {
		if strings.HasPrefix(s, sort) && len(s) > len(sort) {
			return nil
		}
	}
	return fmt.Errorf("%q is nobody: say spiffe://DOMAIN/PATH, dns:HOST or cn:NAME of a certificate, user:ISSUER#SUBJECT or group:ISSUER#NAME of a token", s)
}

// tlsVersions are those that can be the least.
var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// config judges the settings, and the files that they name.
func (f *identityFlags) config(wrong *faults) identity.Config {
	c := identity.Config{
		CertFile:     f.cert,
		KeyFile:      f.key,
		ClientCAFile: f.clientCA,
		Issuers:      f.issuers,
		Audiences:    f.audiences,
		GroupsClaim:  f.groupsClaim,
		IssuerCAFile: f.issuerCA,
	}
	var known bool
	if c.MinVersion, known = tlsVersions[f.minVersion]; !known {
		wrong.add("tls-min-version", fmt.Errorf("%q is neither 1.2 nor 1.3", f.minVersion))
	}
	if _, known := reflections[f.reflection]; !known {
		wrong.add("reflection", fmt.Errorf("%q is none of authenticated, open, off", f.reflection))
	}
	wrong.add("bootstrap-admin", checkPrincipal(f.bootstrap))
	for _, p := range c.Problems() {
		wrong.add(flagOf[p.Field], p.Err)
	}
	return c
}

// checkListen refuses an address that others can reach and that is open to them, unless that is wanted.
func checkListen(listen string, insecure bool, c *identity.Config) error {
	if here, err := isHere(listen); err != nil || here || insecure {
		return err
	}
	why := ""
	switch {
	case c.CertFile != "" && (c.ClientCAFile != "" || len(c.Issuers) > 0):
		return nil
	case c.CertFile != "":
		why = "who may then write, for nobody is asked who he is: say --tls-client-ca or --oidc-issuer"
	case len(c.Issuers) > 0:
		why = "who may then read the tokens of callers: say --tls-cert and --tls-key"
	default:
		why = "who may then write: say --tls-cert and --tls-key, and --tls-client-ca or --oidc-issuer"
	}
	return fmt.Errorf("%s can be reached by others, %s; or listen on 127.0.0.1, or say --insecure", listen, why)
}

// checkMetrics refuses an address at which others on the way could read what is measured, unless that is wanted. Metrics tell nothing of
// policy, so who asks for them is not asked who he is.
func checkMetrics(listen string, insecure bool, c *identity.Config) error {
	if listen == "" {
		return nil
	}
	if here, err := isHere(listen); err != nil || here || insecure || c.CertFile != "" {
		return err
	}
	return fmt.Errorf("%s can be reached by others, in plaintext: say --tls-cert and --tls-key; or listen on 127.0.0.1, or say --insecure", listen)
}

// isHere reports whether an address can be reached by this machine only.
func isHere(listen string) (bool, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false, fmt.Errorf("%q is not HOST:PORT", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, fmt.Errorf("%q is not a port", port)
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback(), nil
}

// calling is how a call of grpcurl begins that the server answers.
func calling(c *identity.Config) string {
	how := "grpcurl -plaintext"
	if c.CertFile != "" {
		how = "grpcurl -cacert CA.pem"
	}
	switch {
	case c.ClientCAFile != "":
		how += " -cert CERTIFICATE.pem -key KEY.pem"
	case len(c.Issuers) > 0:
		how += " -H 'authorization: Bearer TOKEN'"
	}
	return how
}
