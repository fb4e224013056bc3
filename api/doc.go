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
// /actuator, /livez, /readyz, /healthz and its metrics. [Server] puts limits
// around one.
//
// Files are named by noun. A route is one line of a table (users.go, friends.go,
// recommendations.go, health.go); a handler returns an error, and problems.go is
// the only place where errors become statuses.
package api
