package service

import (
	"fmt"
	"sync"
)

// mostReporters bounds the replicas whose names are held.
const mostReporters = 10_000

// reporters says by whom each replica reports, since this server began: what one reports, no other can take back, or report for it.
type reporters struct {
	mu sync.Mutex
	of map[string]string // principals by the names of replicas
}

// A takenError says that a replica is reported by somebody else, or that there is no room for another.
type takenError struct{ ID, Problem string }

func (e *takenError) Error() string { return fmt.Sprintf("replica %s: %s", e.ID, e.Problem) }

// take lets the caller report as the replica.
func (r *reporters) take(id string, caller *Caller) error {
	if caller == &local {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.free(id, caller); err != nil {
		return err
	}
	if _, held := r.of[id]; !held && len(r.of) >= mostReporters {
		return &takenError{id, fmt.Sprintf("%d replicas report here already", mostReporters)}
	}
	r.of[id] = caller.Principal
	return nil
}

// free refuses the name of a replica that another reports as.
func (r *reporters) free(id string, caller *Caller) error {
	if holder, held := r.of[id]; held && holder != caller.Principal {
		return &takenError{id, "another principal reports as it: give each replica a name of its own by --id, or forget that one"}
	}
	return nil
}

// goodbye lets the caller take the replica off, and anybody take its name.
func (r *reporters) goodbye(id string, caller *Caller) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.free(id, caller); err != nil {
		return err
	}
	delete(r.of, id)
	return nil
}

// leave lets anybody take the name.
func (r *reporters) leave(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.of, id)
}
