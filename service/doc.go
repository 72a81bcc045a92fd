// Package service answers over gRPC: questions to agency backends, the registry, directives and the audit trail to
// administrators.
//
//	call ─▶ concluded ─▶ recovered ─▶ each message: size, known fields, protovalidate ─▶ handler
//
//	Check   message ─▶ policy.Query ─▶ Replica.View ─▶ Resolve, Decide ─▶ message
//	writes  message ─▶ policy resource ─▶ Authority.Write(Prepare: expect_revision, command) ─▶ the entry ─▶ message
//	lists   the first page pins the revision in its token; later pages are answered from it, by History if need be
//
// Denied is an answer, not an error. Handlers return the errors of the rooms below as they are; only errors.go knows
// which status each of them is.
package service
