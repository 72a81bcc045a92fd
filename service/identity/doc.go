// Package identity says who calls: by the certificate that a caller shows when it connects, or by the token that it sends with a
// call.
//
//	files ──▶ material ──▶ handshake of a connection ──▶ certificate ─┐
//	                                                                  ├──▶ service.Caller, or UNAUTHENTICATED
//	issuer ──▶ ring of keys ──▶ check of a token ──▶ what is verified ┘
//
// Files are looked at all the time, and what is in them holds for connections that are made from then on, all of it or none.
// Keys are fetched from their issuer in the background: they serve while the issuer is down, and not for ever.
// A token, where there is one, alone says who calls. No token is ever logged, nor any part of one.
package identity
