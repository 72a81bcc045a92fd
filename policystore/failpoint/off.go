//go:build !faults

// Package failpoint lets the fault suite break a process where nothing outside could: at named places in the code, in its
// clock, and by taking away one guard at a time. A program built without the tag `faults` has none of it: every
// function here is empty, and costs nothing.
//
// With the tag, the file that TEISHI_FAULTS_FILE names says what is broken, and is read anew whenever it changes:
//
//	clock 3600s            the wall clock is an hour ahead
//	at after-commit kill   the process is killed when it gets there; `stop` stops it, `wait` holds whoever comes by
//	without monotone       the guard of that name is gone
//
// Whoever is held has a line in a file of the same name with `.held` after it.
package failpoint

import (
	"context"
	"time"
)

// Hit is a named place in the code that the process has reached.
func Hit(context.Context, string) {}

// Without reports whether the named guard was taken away.
func Without(string) bool { return false }

// Shift returns the reading of the wall clock that the process is to see.
func Shift(t time.Time) time.Time { return t }
