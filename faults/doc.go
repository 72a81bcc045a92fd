// Package faults breaks a whole Teishi, made of real processes, in every way that its promises are made for, and judges what
// it did meanwhile.
//
//	house     authorities, decision points, PostgreSQL, Redis, shims between them      (package cluster)
//	load      writes, checks, watches, tails and reports, at all times                ──▶ history
//	row       what is broken, and how it must come back
//	judge     folds the record naively and holds every line of the history against it ──▶ I1 to I8, I10 to I12
//
// Each row is a test. Conditions are waited for under one watchdog, and times are printed and never asserted. I9 is held by
// the rows that change a record, against what the program says of it. Each invariant has its mutation proof: with one guard
// taken away from the program, which a build with the tag `faults` allows, the same row must fail by that invariant.
// `make test` runs every row once; `make faults` runs them again and again, runs the mutation proofs, and writes
// docs/faults.md.
package faults
