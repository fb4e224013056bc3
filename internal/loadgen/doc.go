// Package loadgen sends people, friendships and questions to a running system,
// through the same HTTP calls as any client, and reports how it went.
//
// It guarantees that
//
//   - the same seed makes the same people and the same friendships,
//   - a command that was not answered is sent again with the same idempotency key,
//     so that it happens once,
//   - a report hides nothing: every answer that was no success is counted by its
//     status, and every retry,
//   - memory is bounded by the network to be loaded, not by how long it takes.
//
// A network comes from a file ([ReadGraph]), from chance ([Random]) or from the
// demonstration ([Demo]); [Run] loads it.
package loadgen
