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
// A [Log] is the record; packages sqlite and postgres have one each. A [Replica] follows the best of several origins, each a
// [Source], and verifies everything it is given: links, hashes, formats, checkpoints, and by [TrustedKeys] signatures. It
// freezes at what it does not know and never skips. An [Authority] writes: a write is folded against the snapshot at
// exactly the position it is appended after, and acknowledged when the authority's own replica has applied it.
// [History] answers from former revisions, and [Verify] reads a whole record.
//
// Between machines an authority is a source itself. Package redis publishes it and follows what is published, package
// remote follows it over gRPC:
//
//	Authority ═ Tail ═▶ LogService ════════▶ remote.Authority ══▶ Replica
//	    │    ╚═ Tail ═▶ redis.Publisher ══▶ redis.Source ══════▶    │
//	    │                                                           │
//	  Fleet ◀──────────────────────────────────── Report ───────────┘
//
// Only a [HeadProof] makes what a replica has fresh: an authority's word, signed by its [Signer] if it has one, that at a time
// the record ended at a position, from one read of the record. Entries prove nothing. A record that lacks what was
// acknowledged is doubted ([Authority.Doubt]): nothing is written and nothing proven until [Repair] has brought it back, or
// [Rewind] has given it up. [Fleet] keeps in the store, on a [Roll], how far each replica says it is, and so proves that a
// change has arrived everywhere. [Clock] notices that the wall clock was set. [Metrics] counts all of it.
//
// The codec between the messages of teishi.v1 and the types of package policy lives here too: it refuses every field,
// kind and enum number it does not know, at any depth.
package policystore
