// Package guard stands between a socket and a handler, on the port of the gateway
// and on those of the services. It guarantees that
//
//   - a handler sees only requests that every reader of HTTP understands in the
//     same way: how long they are, where they end, which path and host they mean,
//   - what is refused is answered with a problem, changes nothing, and is the last
//     that is read of its connection, so whatever was hidden behind it is never
//     taken for a request,
//   - nobody holds more than [Limits] say: headers, their number, the path, the
//     time for a header, a body and an answer, connections.
//
// [NewServer] returns a server whose Serve puts all of it around a listener.
//
// # Why not only a handler
//
// When net/http calls a handler, it has settled what matters most here and kept no
// trace: it drops Content-Length beside Transfer-Encoding, joins folded lines,
// takes a bare LF for the end of a line, and answers what it can't read with a line
// of plain text. So the guard reads each head as it comes from the socket, before
// net/http does, and hands on only whole heads that it has found good.
//
//	socket ─► conn.Read: where does the head end? ─► check: is it good? ─► net/http ─► handler
//	                                                   │ no
//	                                                   └► a short request in its place, whose
//	                                                      answer is the problem, then the end
//
// The request put in its place has a path that no client gets past the guard. So
// the refusal takes the way of any answer: after those to earlier requests of the
// connection, with a request id, counted and measured.
//
// # What a head has to be
//
//	head.go    the lines: CRLF, names, framing, Host, Expect, Upgrade
//	target.go  the path: no dot segments, nothing that could be read as another path
package guard
