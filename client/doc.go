// Package client asks Teishi, from Go: may this organization use this app for this purpose, in these circumstances, now?
//
//	c, err := client.Dial("dns:///teishi.example:8443", client.Config{Credentials: credentials.NewTLS(nil), Token: token})
//	…
//	d, err := c.Check(ctx, client.Query{Organization: "jp-mic", App: "line", Purpose: "feedback.opinion"})
//	if err != nil {
//		return err // an *UndecidedError: there is no answer; do not act
//	}
//	if !d.Allowed() {
//		return d.Err() // a *DeniedError, with its reason and on whose authority; do not act
//	}
//	for _, o := range d.Obligations() {
//		… // honour it, or do not act
//	}
//
// There is nothing to configure but credentials. Calls go in turn to all servers that the name stands for and that are healthy,
// are asked anew where one is not to be had, and have a deadline of 2 s if the context has none.
//
// # It fails closed
//
// What could not be decided is not [Decision.Allowed], nor is the zero Decision, an outcome that is not known, or INDETERMINATE.
// Denied is an answer and no error; that there is none is an error and no answer: [DeniedError] and [UndecidedError] keep them
// apart. Where a service may rather go on without an answer, the question says so, and each such answer is marked, logged and
// counted ([Stats]):
//
//	client.Query{…, IfUndecided: client.Allow}
//
// # Obligations
//
// An answer may be ALLOWED with obligations: then the caller may act only if it honours every one. [Guard] and
// [UnaryServerInterceptor] therefore open nothing for such an answer; a [Gate] with Honour does.
//
// # Endpoints
//
// One line guards an HTTP handler, or every unary method of a gRPC server:
//
//	mux.Handle("POST /opinions", client.Guard(c, queryOf)(opinions))
//	grpc.NewServer(grpc.UnaryInterceptor(client.UnaryServerInterceptor(c, queryOfCall)))
//
// # Here rather than there
//
// [Dial] asks servers. [Follow] decides in this process, in less than a microsecond and whatever becomes of the network, from a
// record that it follows; its answers are the same in every word, and grow old in the same way. Both are a [Client]:
//
//	          ┌ Remote ── Check, WatchDecisions ──▶ servers
//	Client ───┤
//	          └ Local ◀── checkpoint, entries, proofs ── an authority, or any policystore.Source
//
// # Changes
//
// [Client].Watch tells the answers to some questions, and from then on each that changes, by a directive or by time. It goes on by
// itself from server to server, and repeats nothing:
//
//	for change, err := range c.Watch(ctx, queries...) {
//		if err != nil {
//			return err // it cannot go on
//		}
//		device.Permit(change.Query.App, change.Decision.Allowed())
//	}
//
// # Keeping answers
//
// Nothing is kept unless Config.Cache asks for it. Then an answer is given again to exactly the same question until the server's
// cache_until_time; while this client watches the question, and the watch is fresh, until valid_until_time. The first is at most
// 5 s: for as long a halt may not be seen.
package client
