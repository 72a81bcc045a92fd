package service

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
	"github.com/teishi-dev/teishi/policystore"
)

// FuzzToken looks for page tokens that are others once they are written, or that pin what cannot be.
func FuzzToken(f *testing.F) {
	pinned := token{digest: [16]byte(bytes.Repeat([]byte{7}, 16)), epoch: 1, revision: 2, at: -3, cursor: "line"}
	f.Add(pinned.sealed(policystore.Hash{}))
	pinned.instead = []policy.Instant{4, policy.Beginning, policy.Forever}
	f.Add(pinned.sealed(policystore.Hash{}))
	f.Add(pinned.sealed(policystore.Hash{}) + "=")
	f.Add(token{}.sealed(policystore.Hash{}))
	f.Fuzz(func(t *testing.T, text string) {
		read, _, ok := parseToken(text)
		if !ok {
			return
		}
		if read.revision < 1 || read.cursor == "" || len(read.instead) > maxInstead {
			t.Errorf("%q is read as %+v", text, read)
		}
		if again, _, ok := parseToken(read.sealed(policystore.Hash{})); !ok || !reflect.DeepEqual(again, read) {
			t.Errorf("%q is read as %+v, and once that is written as %+v, %t", text, read, again, ok)
		}
	})
}

// FuzzDomain looks for domains of which a question means another one than it says: what was converted is in A-labels, is not
// converted again, and is that of the domain in other cases.
func FuzzDomain(f *testing.F) {
	for _, app := range []string{"", "line", "domain:line.me", "domain:ライン.jp", "DOMAIN:ＬＩＮＥ．me。", "domain:faß.de", "domain:\u200d.jp", "domain:_dmarc.例え.テスト", "ios:ライン", "domain:xn--a.\xff"} {
		f.Add(app)
	}
	f.Fuzz(func(t *testing.T, app string) {
		converted := ascii(app)
		if converted == app {
			return
		}
		if beyondASCII(converted) || !strings.HasPrefix(converted, domainScheme) {
			t.Errorf("%q becomes %q", app, converted)
		}
		if again := ascii(converted); again != converted {
			t.Errorf("%q becomes %q, and then %q", app, converted, again)
		}
		if lower := ascii(domainScheme + strings.ToLower(app[len(domainScheme):])); lower != converted && !beyondASCII(lower) {
			t.Errorf("%q becomes %q, and in lower case %q", app, converted, lower)
		}
	})
}
