// Package sqlite keeps a log in one SQLite file: the embedded driver, with
// nothing to install and nothing to run.
//
// It guarantees, beyond the contract of [eventstore.Driver]:
//
//   - A commit is on the disk (WAL, synchronous=FULL) before Commit returns.
//   - Damage is found before it is served: each event carries a CRC32C, each
//     commit a SHA-256 over itself and its predecessor. Opening checks the tail,
//     [Log.Verify] all of it. Nothing is ever cut off silently.
//   - One writer: a second one is refused for as long as the first has the file
//     open. Tools open it read-only, also while it is written.
//   - The file stays readable with the sqlite3 shell and plain SQL; what every
//     column and byte means is drawn in docs/format/sqlite.md.
//
// The events table has no index on (stream, version): it would cost more than
// all the rest of a commit. Instead the head of each stream is kept in memory,
// about 27 bytes a stream, and each event points back to the one before it in
// its stream. The heads are saved beside the log when it is closed and now and
// then; when that file is missing they are read again from the log.
package sqlite
