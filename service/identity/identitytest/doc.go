// Package identitytest issues the tokens that callers show in tests: those of a real OpenID provider that listens on this machine.
package identitytest
