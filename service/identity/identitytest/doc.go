// Package identitytest issues the credentials that callers show in tests: certificates of an authority of its own, and tokens of a
// real OpenID provider that listens on this machine.
package identitytest
