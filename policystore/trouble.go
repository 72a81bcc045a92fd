package policystore

import (
	"context"
	"errors"
	"os"
)

// Trouble is a sort of error, of a closed set, by which errors are counted.
type Trouble string

// The sorts of trouble.
const (
	Unreachable   Trouble = "unreachable"   // no connection, or it broke
	Timeout       Trouble = "timeout"       // no answer in time
	Unauthorized  Trouble = "unauthorized"  // credentials or permissions are refused
	Misconfigured Trouble = "misconfigured" // the server is not as it must be: version, settings, role
	Loading       Trouble = "loading"       // the server is starting
	Full          Trouble = "full"          // the server has no room
	ReadOnly      Trouble = "read_only"     // the server takes no writes now: it is a replica, or fails over
	Missing       Trouble = "missing"       // what is looked for is not there
	Behind        Trouble = "behind"        // it does not have yet what is here already
	Silent        Trouble = "silent"        // it proves nothing, or does not deliver what it proves
	Foreign       Trouble = "foreign"       // it is of another domain, epoch or history
	Damaged       Trouble = "damaged"       // what it has does not verify
	Unknown       Trouble = "unknown"       // what it has is of a format that this version does not know
	Forged        Trouble = "forged"        // what it has is not signed by who is trusted
	Other         Trouble = "other"
)

// A TroubleError is an error whose sort its source knows.
type TroubleError struct {
	Trouble Trouble
	Err     error
}

func (e *TroubleError) Error() string { return e.Err.Error() }
func (e *TroubleError) Unwrap() error { return e.Err }

// TroubleOf returns the sort of an error.
func TroubleOf(err error) Trouble {
	if known, ok := errors.AsType[*TroubleError](err); ok {
		return known.Trouble
	}
	for _, row := range troubles {
		if errors.Is(err, row.is) {
			return row.sort
		}
	}
	return Other
}

var troubles = []struct {
	is   error
	sort Trouble
}{
	{ErrSignature, Forged},
	{ErrFormat, Unknown},
	{ErrDiverged, Foreign},
	{ErrEpoch, Foreign},
	{ErrBroken, Damaged},
	{ErrCompacted, Missing},
	{ErrNotFound, Missing},
	{ErrFull, Full},
	{ErrReadOnly, ReadOnly},
	{context.DeadlineExceeded, Timeout},
	{os.ErrDeadlineExceeded, Timeout},
}
