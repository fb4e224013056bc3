// Package chaos proves that what was acknowledged is kept: it kills a running
// system again and again and holds its log against a ledger of answers.
//
// It guarantees that a run without violations means, for every command it sent:
//
//   - if it was answered with success, exactly one write of it is in the log, at
//     the position that was answered (nothing lost, nothing doubled),
//   - every event in the log belongs to one answered command (nothing invented),
//   - who was said to be erased is, once, and has no friendships in the end,
//   - positions, versions and numbers are dense and time does not run backwards.
//
// Commands that were not answered before the kill are sent again with the same
// idempotency key after the restart, until they are: so each ends as done or as
// refused, and the rules above apply to all.
//
// # Why a ledger is enough
//
// Every answer to a command names the position of the event it led to. The harness
// writes down each command before it sends it and each answer when it comes. After
// the restart it reads the log: each position that was answered has to hold the
// event that the command asks for, and each event has to have been answered to
// somebody. There is nothing left for a lost, a doubled or an invented event to
// hide behind.
//
// # A round
//
//	start ─► load (16 clients, few people, so that pairs collide)
//	            │ 30 to 250 ms
//	         kill -9
//	            │
//	         start ─► send again what was not answered ─► audit both logs
//
// Every fiftieth round audits the logs from their first event.
//
// [Run] does the rounds, on a [Process] and with a way to read its logs.
package chaos
