// Package policystore keeps what is in force: durably, verifiably, and saying how fresh it is.
//
// The log is the truth. Every change is an [Entry], chained to its predecessor by its hash; the state is the fold of
// the entries, history is a shorter fold, and the audit trail is the log itself.
//
//	            Append                    Tail: entries, head proofs
//	Authority ──────────▶ Log ═══════════════════════════════════▶ Replica ──▶ View: Snapshot at a revision, Freshness
//	    ▲    (compare the  │ Checkpoint                               │  ▲
//	    │     position)    └──────────────────────────────────────────│──┘
//	    └───────────── the snapshot at exactly `after` ◀──────────────┘
//
// A [Log] is the record; package sqlite has one. A [Replica] follows any [Source] and verifies everything it is given:
// links, hashes, formats, checkpoints. It freezes at what it does not know and never skips. An [Authority] writes:
// a write is folded against the snapshot at exactly the position it is appended after, and acknowledged when the
// authority's own replica has applied it. [History] answers from former revisions, and [Verify] reads a whole record.
//
// The codec between the messages of teishi.v1 and the types of package policy lives here too: it refuses every field,
// kind and enum number it does not know, at any depth.
package policystore
