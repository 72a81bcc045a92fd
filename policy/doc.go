// Package policy decides. It holds the vocabulary of Teishi as plain Go types, the state that a log of changes folds
// into, and the two steps of an answer: [Snapshot.Resolve] turns names into numbers, [Snapshot.Decide] turns a resolved
// query into a decision.
//
// It is pure: no I/O, no clock, no context, nothing but the standard library. A [Snapshot] never changes; applying an
// entry yields another one that shares everything the entry did not touch, so readers are never blocked and an old
// snapshot stays answerable for as long as somebody holds it.
//
//	changes ──Apply──▶ Snapshot ──Resolve──▶ Resolved ──Decide──▶ Decision ──▶ citations, obligations, advice
//	             ▲         │
//	             └ Propose ┘   (writers only: Apply, if every rule allows the changes)
//
// [Loosens] says under which directives an entry could make an answer milder.
//
// The rules themselves are written in docs/semantics.md; a second evaluator in the tests is written from that page
// alone and compared with this one on random worlds.
package policy
