// Package eventstore is the record of everything that happened: an append-only
// log of events, cut into streams.
//
// It guarantees, whatever the driver below:
//
//   - Positions are 1, 2, 3, … without gaps, in the order of the commits.
//     Versions do the same within each stream.
//   - A write is appended as a whole or not at all, together with the rows of
//     every [View] and the outcome kept under its [Key].
//   - Append answers only after the commit is on disk. [ErrUnknown] means the
//     commit may or may not have happened: read again, or retry with the same
//     key. Every other error means nothing was written.
//   - Time never runs backwards in a log.
//   - A subscription sees each event once, in order, from where it asked on.
//
// A command uses a log in three steps: read its stream, decide, and append with
// the version it has read as the expected one:
//
//	events, err := store.Stream(ctx, stream, 0)
//	…decide…
//	result, err := store.Append(ctx, eventstore.Write{Stream: stream, Expected: version, Events: decided})
//
// A [ConflictError] says that somebody was faster; read and decide again, as
// package decider does.
//
// Drivers live below this package (memory, sqlite); package storetest holds the
// contract as a suite that every driver passes.
package eventstore
