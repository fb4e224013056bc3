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
// # Closed and open
//
// [Run] loads a network with a closed load: a worker sends the next request when
// the last one is answered, so a slow system is asked less often. It says how fast
// loading is. The latency of a request counts from sending it.
//
// [RunOpen] measures how a system answers people, who come when they want: requests
// are due at times that are fixed beforehand ([Schedule]), whether or not earlier
// ones are answered, and a latency counts from the moment at which the request was
// due. A second in which nothing is answered is then seen in a second's worth of
// requests, not in one for each worker. If more are under way than allowed, the next
// ones wait, their waiting is part of their latency, and the report says so. Nothing
// is sent twice; a run with a single request that failed is void.
//
// What an open load does is planned before it begins, from the seed alone, so that a
// correct system refuses nothing of it, however requests overtake each other: nobody
// is made a friend twice, a friendship that is removed was loaded, and the people who
// are erased, the last ones of the network, are asked for nothing else. A network
// that is too small for that is [ErrPlan], before anything is sent.
//
// # Void
//
// A report is void ([Report.Void], [OpenReport.Void]) if its numbers mean nothing: an
// answer that was no success, a retry, a request that was never sent, an interruption,
// nothing measured. To be held is no reason, and neither is a rate that was not
// reached: both are what was measured.
//
// # Networks
//
// A network comes from a file ([ReadGraph]), from chance ([Random]) or from the
// demonstration ([Demo]).
package loadgen
