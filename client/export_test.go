package client

import "github.com/teishi-dev/teishi/policystore"

// Over returns a client that decides from a replica that somebody else runs.
func Over(r *policystore.Replica, c Config) *Local { return over(r, &c) }

// Same reports whether two answers say the same.
func Same(a, b Decision) bool { return same(&a, &b) }
