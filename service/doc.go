// Package service answers over gRPC: questions to agency backends, the registry, directives and the audit trail to
// administrators.
//
//	           ┌ conclude ─ recover ─ per message: size │ known fields │ protovalidate ┐
//	call ──────┤                                                                       ├──▶ handler
//	           └ one list of links, of which the unary and the stream chain are made   ┘
//
//	Check   message ─▶ policy.Query ─▶ Replica.View ─▶ Resolve, Decide ─▶ message
//	writes  message ─▶ policy resource ─▶ Authority.Write(Prepare: expect_revision, command) ─▶ the entry ─▶ message
//	lists   the first page pins the revision in its token; later pages are answered from it, by History if need be
//
// Denied is an answer, not an error. Handlers return the errors of the rooms below as they are; only errors.go knows
// which status each of them is.
package service
