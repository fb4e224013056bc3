// Package chaos proves that what was acknowledged is kept: it kills a running
// system again and again and holds its log against a ledger of answers.
//
// It guarantees that a run without violations means, for every command it sent:
//
//   - if it was answered with success, exactly one write of it is in the log, at
//     the position that was answered (nothing lost, nothing doubled),
//   - every event in the log belongs to one answered command (nothing invented),
//   - positions, versions and numbers are dense and time does not run backwards.
//
// Commands that were not answered before the kill are sent again with the same
// idempotency key after the restart, until they are: so each ends as done or as
// refused, and the rules above apply to all.
//
// [Run] does the rounds, on a [Process] and with a way to read its logs.
package chaos
