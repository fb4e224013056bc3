// Package api is the HTTP side of the three services: users, friendships and
// recommendations. It guarantees, on every route:
//
//   - success bodies are exact to the byte (package wire), errors are problems
//     (RFC 9457) that say what to do next and never show what is inside,
//   - checks are made in the documented order: path, media type, size, syntax,
//     then the rules,
//   - a request that was answered with success is on disk, and one that carries
//     an Idempotency-Key happens once, over restarts too,
//   - a list is either complete or its connection is aborted, never cut silently,
//   - a trailing slash matches, HEAD works as GET, OPTIONS and 405 list the
//     methods in Allow, anything unknown is a 404 problem.
//
// [NewUser], [NewFriend] and [NewRecommendation] return a [Service] each: an
// http.Handler with the routes of the service under /v1, its health under
// /actuator, /livez, /readyz, /healthz and its metrics. A server of
// package guard stands in front of each.
//
// # How a request travels
//
//	ServeHTTP     finds the route by method and path, or what to say instead
//	measured      times it
//	handle        takes a request from the pool, gives it an id, catches panics
//	the handler   reads parameters and body, calls the domain, replies
//	reply, fail   write the answer: exact bytes, or a problem
//
// # Commands
//
// A command's handler does four things and nothing else: it reads what the client
// wants, claims its idempotency key, hands both to the domain's service, and turns
// the outcome into an answer. It knows no rule. The outcome says what became of the
// command (changed, unchanged, replayed), in which version of which stream, and at
// which position of the log; from these come the status, the ETag, the Location and
// the Event-Position.
//
// # Queries
//
// Users and friendships are read from views that are written with the events, so a
// query never lags behind a command that was answered. Recommendations come from
// the graph, which follows a moment later.
//
// A list's handler says what is in the list, how an item is written and where it
// stands; what all lists have in common is written once: the form that Accept asks
// for (accept.go), the part that limit and cursor ask for (lists.go, cursors.go), and
// how it is sent (stream.go).
//
// # Problems
//
// An error is wrapped on its way up and looked at once, in problems.go: it becomes
// a slug, the slug has a status, a title and a page that says what to do, and the
// detail says what happened in this case. What is not in the table is an internal
// error; it is logged with the request's id, and the client sees only the id.
//
// # Administration
//
// [NewAdmin] returns what an operator asks and orders, for a listener of its own: how
// far everything is behind its log, what runs, how it is configured, profiles of the
// process, and rebuilds. A rebuild outlives the request that asked for it. It is
// answered 202 with the place where its progress can be read, and it belongs to the
// [Admin], whose Close waits for it.
//
// Nobody signs in there. What guards it is that it listens on the loopback interface,
// and that it refuses whatever a browser sends on behalf of a web page.
//
// # Its own description
//
// What the routes are is in the tables; what they mean is in the describe files, one
// for each noun: parameters, answers, headers, and which problems may come. openapi.go
// makes one document of both, with schemas from the types that are sent, and docs.go
// serves it, with a page that shows it and a page for each kind of problem. Package
// apitest holds every answer that a test gets against the document. So a route that
// answers what is not described fails the test that asked it, and a description that
// nothing answers to is found as well.
//
// # Waiting for a position
//
// A query may name positions that its answer has to contain. Before its handler runs,
// minposition.go waits until they are reached, or says after a while that they are not.
// It holds nothing meanwhile but the connection, and only so many may wait at once.
//
// Files are named by noun. A route is one line of a table (users.go, friends.go,
// recommendations.go, health.go); a handler returns an error, and problems.go is
// the only place where errors become statuses.
package api
