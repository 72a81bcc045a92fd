package identity

import (
	"context"
	"crypto/sha256"
)

// Look looks at the files, as Run does every few seconds.
func (id *Identity) Look() { id.files.look() }

// Refresh fetches the keys of every issuer, as Run does every few minutes.
func (id *Identity) Refresh(ctx context.Context) error {
	for _, i := range id.issuers {
		if err := i.refresh(ctx); err != nil {
			return err
		}
	}
	return nil
}

// What tests go by.
const (
	KeysFor     = keysFor
	RememberFor = rememberFor
	MaxVerified = maxVerified
	MaxGroups   = maxGroups
	MaxName     = maxName
	MaxFetched  = maxFetched
)

// Remembered returns how many tokens are remembered.
func (id *Identity) Remembered() int { return len(id.verified.tokens) }

// Remember remembers a token of that text.
func Remember(id *Identity, token string) {
	id.verified.put(sha256.Sum256([]byte(token)), &verifiedToken{})
}
