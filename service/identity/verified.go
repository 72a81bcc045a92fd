package identity

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/teishi-dev/teishi/service"
)

const (
	rememberFor = 10 * time.Second // a token that was verified
	maxVerified = 4096             // tokens
)

// verified remembers for a moment what tokens say that were verified, by the sums of the tokens: a call costs no check of a signature.
type verified struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]*verifiedToken
}

// verifiedToken is what a token says, as long as it holds and its issuer's keys are those by which it was verified.
type verifiedToken struct {
	caller service.Caller
	until  time.Time
	issuer *issuer
	ring   *ring
}

func newVerified() *verified { return &verified{tokens: make(map[[sha256.Size]byte]*verifiedToken)} }

func (v *verified) get(key [sha256.Size]byte, now time.Time) (service.Caller, bool) {
	v.mu.RLock()
	t := v.tokens[key]
	v.mu.RUnlock()
	if t == nil || now.After(t.until) || t.issuer.ring.Load() != t.ring {
		return service.Caller{}, false
	}
	return t.caller, true
}

// put remembers a token. Where there are too many already, any of them is forgotten.
func (v *verified) put(key [sha256.Size]byte, t *verifiedToken) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.tokens) >= maxVerified {
		for any := range v.tokens {
			delete(v.tokens, any)
			break
		}
	}
	v.tokens[key] = t
}
