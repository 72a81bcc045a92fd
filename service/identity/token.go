package identity

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/teishi-dev/teishi/policystore/failpoint"
	"github.com/teishi-dev/teishi/service"
)

// algorithms are those of signatures that only the issuer can make: none of a secret that two share.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}

// algorithmNames are their names.
func algorithmNames() []string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	return names
}

// bearer returns the token in the metadata of a call.
func bearer(given []string) (string, bool) {
	if len(given) != 1 {
		return "", false
	}
	scheme, token, ok := strings.Cut(given[0], " ")
	return token, ok && strings.EqualFold(scheme, "bearer") && token != "" && !strings.ContainsRune(token, ' ') && !strings.ContainsRune(token, ',')
}

// verify says who a token names, if its issuer signed it, for us, and it holds.
func (id *Identity) verify(ctx context.Context, raw string, now time.Time) (*verifiedToken, *refusal) {
	token, err := jwt.ParseSigned(raw, algorithms)
	if err != nil {
		return nil, malformed
	}
	var claimed jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&claimed); err != nil {
		return nil, malformed
	}
	i := id.issuers[claimed.Issuer]
	if i == nil {
		return nil, strange
	}
	var claims jwt.Claims
	var all map[string]any
	opened, r, refused := i.verify(ctx, raw, &token.Headers[0])
	if refused != nil {
		return nil, refused
	}
	if opened.Claims(&claims) != nil || opened.Claims(&all) != nil {
		return nil, malformed
	}
	if refused := id.judge(&claims, now); refused != nil {
		return nil, refused
	}
	v := &verifiedToken{issuer: i, ring: r, until: now.Add(rememberFor), caller: service.Caller{
		Principal: "user:" + i.url + "#" + claims.Subject,
		Groups:    groupsOf(i.url, all[id.config.GroupsClaim]),
		Means:     service.ByToken,
	}}
	if claims.Expiry != nil {
		v.caller.Expires = claims.Expiry.Time().Add(id.config.MaxClockSkew)
		if v.caller.Expires.Before(v.until) {
			v.until = v.caller.Expires
		}
	}
	return v, nil
}

// judge refuses a token of the issuer's that is not for us, does not hold now, or names nobody.
func (id *Identity) judge(c *jwt.Claims, now time.Time) *refusal {
	expected := jwt.Expected{AnyAudience: id.config.Audiences, Time: now}
	if failpoint.Without("audience") {
		expected.AnyAudience = nil
	}
	ends := *c
	if failpoint.Without("token-expiry") {
		ends.Expiry = nil
	} else if c.Expiry == nil {
		return expired
	}
	switch err := ends.ValidateWithLeeway(expected, id.config.MaxClockSkew); {
	case errors.Is(err, jwt.ErrInvalidAudience):
		return otherwise
	case errors.Is(err, jwt.ErrExpired):
		return expired
	case err != nil:
		return early
	case !isName(c.Subject):
		return unnamed
	}
	return nil
}

// maxGroups bounds how many groups of a token count.
const maxGroups = 64

// groupsOf returns the groups that a claim names: one, or a list. What is no name is passed over: a group never takes anything away.
func groupsOf(issuer string, claim any) (groups []string) {
	names, several := claim.([]any)
	if !several {
		names = []any{claim}
	}
	for _, n := range names {
		if name, ok := n.(string); ok && isName(name) && len(groups) < maxGroups {
			groups = append(groups, "group:"+issuer+"#"+name)
		}
	}
	return groups
}

// judgeIssuers returns what is wrong with what is said of issuers.
func (c *Config) judgeIssuers() (wrong []Problem) {
	needless := errors.New("it is about tokens, and there is no issuer of any")
	if len(c.Issuers) == 0 && len(c.Audiences) > 0 {
		wrong = append(wrong, Problem{"Audiences", needless})
	}
	if len(c.Issuers) == 0 && c.IssuerCAFile != "" {
		wrong = append(wrong, Problem{"IssuerCAFile", needless})
	}
	if len(c.Issuers) == 0 {
		return wrong
	}
	for _, u := range c.Issuers {
		if err := judgeIssuer(u); err != nil {
			wrong = append(wrong, Problem{"Issuers", err})
		}
	}
	if len(c.Audiences) == 0 {
		wrong = append(wrong, Problem{"Audiences", errors.New("say for whom tokens are made: else one that is meant for anybody else would do here")})
	}
	if c.IssuerCAFile != "" {
		if _, err := authorities(c.IssuerCAFile, c.Clock()); err != nil {
			wrong = append(wrong, Problem{"IssuerCAFile", err})
		}
	}
	return wrong
}

// judgeIssuer reports as an error that a URL cannot be that of an issuer: it is part of names, in which a # ends it.
func judgeIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(issuer, "?#") || len(issuer) > maxName || !isName(issuer) {
		return fmt.Errorf("%q is not https://HOST/PATH", issuer)
	}
	return judgeURL(issuer)
}

// judgeURL reports as an error that what is fetched from a URL could be exchanged on its way.
func judgeURL(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%q is no URL", address)
	}
	if u.Scheme == "https" || u.Scheme == "http" && isLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q does not begin with https://: its keys could be exchanged on their way", address)
}

func isLoopback(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }
