package policy

import (
	"fmt"
	"strings"
)

// An InvalidError says that one field of a change is wrong in itself.
type InvalidError struct{ Field, Problem string }

func (e *InvalidError) Error() string { return e.Field + ": " + e.Problem }

// A ReferenceError says that a field names something that does not exist, or is retired and was not named before.
type ReferenceError struct {
	Field   string
	Key     Key
	Retired bool
}

func (e *ReferenceError) Error() string {
	if e.Retired {
		return fmt.Sprintf("%s: %s is retired and may not be named anew", e.Field, e.Key)
	}
	return fmt.Sprintf("%s: %s is not registered", e.Field, e.Key)
}

// A NotFoundError says that what a request is about does not exist.
type NotFoundError struct{ Key Key }

func (e *NotFoundError) Error() string { return e.Key.String() + " does not exist" }

// An ExistsError says that what a request would make exists already.
type ExistsError struct{ Key Key }

func (e *ExistsError) Error() string { return e.Key.String() + " exists already" }

// A HeldError says that an alias or identifier is held by another resource.
type HeldError struct {
	Field, Name string
	Holder      Key
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s: %s is held by %s", e.Field, e.Name, e.Holder)
}

// A ReferencedError says that a resource cannot be deleted because others name it; By has the first ten of them.
type ReferencedError struct {
	Key Key
	By  []Key
}

func (e *ReferencedError) Error() string {
	names := make([]string, len(e.By))
	for i, k := range e.By {
		names[i] = k.String()
	}
	return fmt.Sprintf("%s is named by %s; retire it instead", e.Key, strings.Join(names, ", "))
}

// A RuleError says that a directive, or the reach of one, does not permit a change.
type RuleError struct{ Directive, Field, Problem string }

func (e *RuleError) Error() string {
	return fmt.Sprintf("directive %s does not permit this: %s", e.Directive, e.Problem)
}

// A LimitError says that the record holds as many of something as it may.
type LimitError struct {
	What  string
	Limit int
}

func (e *LimitError) Error() string { return fmt.Sprintf("at most %d %s", e.Limit, e.What) }
