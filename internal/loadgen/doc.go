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
// # Retries
//
// A command may be refused because the system is busy, starting or stopping, or its
// answer may be lost with the connection. It is then sent again, later each time and
// not before the answer's Retry-After, with the key that it had: whether or not the
// first one happened, the command happens once. What is refused for a reason is not
// sent again; it ends the run.
//
// # Latency
//
// The latency of a request counts from sending it to the last byte of its answer;
// waiting for a worker does not count. The load is closed: a worker sends the next
// request when the last one is answered, so a slow system is asked less often.
//
// A network comes from a file ([ReadGraph]), from chance ([Random]) or from the
// demonstration ([Demo]); [Run] loads it.
package loadgen
