// Package redis carries the record to any number of decision points by way of Redis, and keeps nothing: what it has is a
// projection of the record that may be lost at any moment and is made anew. A Publisher writes it, a Source reads it.
//
// The keys of a domain share a hash tag:
//
//	{teishi:DOMAIN}:log                  stream   id REVISION-0: hash │ entry; its last entry is the head, nowhere else
//	{teishi:DOMAIN}:hb                   stream   id *: proof; about the last sixteen
//	{teishi:DOMAIN}:meta                 hash     epoch │ seed │ checkpoint, previous: EPOCH:REVISION, or none
//	{teishi:DOMAIN}:ckpt:EPOCH:REVISION  string   a checkpoint; the last two
//
// Entries, proofs and checkpoints are the bytes that policystore encodes. Whoever follows verifies them; nothing that Redis
// says is taken for true because Redis says it, least of all that something is not there: a key that is missing is
// trouble, and never an empty policy.
//
// Any number of publishers may run. Each entry is appended by a script that compares first, so that it is there once and
// after the entry it follows, however often and by whomever it is sent.
package redis
