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
// # What a commit does
//
//	sequence   give positions, versions, numbers and the time (in memory)
//	BEGIN      IMMEDIATE, on the one connection that writes
//	events     a row each, with its checksum
//	views      the rows that each event changes
//	commits    one row: the hash that binds the batch to all before it
//	outcomes   a row for each answered command that led to no event
//	COMMIT     one write to the write-ahead log, one fsync
//	publish    the heads of the streams, for the next command and for readers
//
// # What a rebuild does
//
// [Log.Rebuild] makes the tables of the views a second time, under names that end in
// _green, and fills them while the first ones answer. The work is cut so that no
// commit waits long for it:
//
//	reading     events are read, checked and turned into rows beside the commits
//	slices      rows are written between two commits, a few milliseconds at a time
//	both        once the green tables are where the log is, each commit writes both
//	comparing   pages of both are read in one snapshot each, beside the commits
//	flipping    two renames a table in one transaction
//	retiring    the old rows are deleted between commits, a few at a time
//
// A slice takes at least twice the events that were committed since the last one, so
// that the end comes nearer however fast the log grows. Comparing in pages is enough:
// from the moment at which a page is equal, each commit changes it in both tables
// alike.
//
// Statements that readers have prepared survive the flip. SQLite notes that the
// schema has changed and prepares them again, on the table that has the name now. A
// reader in the middle of a snapshot goes on reading the old one.
//
// # What happens after a crash
//
// SQLite replays its write-ahead log up to the last whole transaction. Before that
// this package reads the log itself: a damaged frame in the middle is not the end
// of a crash, and what comes after it was acknowledged (see wal.go). Then the last
// commits are checked, and the heads are brought up to date from the events after
// the last time they were saved.
//
// # Files
//
//	user.db         the log, the views, the outcomes
//	user.db-wal     the write-ahead log; brought into user.db now and then
//	user.db-shm     SQLite's index of the write-ahead log
//	user.db.lock    held by the one process that writes
//	user.heads      where each stream ends; may be deleted at any time
//
// # Backups
//
// A log is never changed before its head, so a consistent copy needs no lock and no
// long transaction: [Backup] notes where each log ends and reads what lies before, a
// page at a time, while commits go on behind it.
//
//	head      of each log; the log that speaks of another comes first
//	copy      page by page, each event checked, into a file of its own
//	verify    the copy: checksums, chain, versions, where it ends
//	archive   manifest, copies, and a seal over every byte
//	read      the whole file again, against its seal
//	rename    FILE.partial to FILE; until here there is no FILE
//
// The ways that SQLite has (its backup API, VACUUM INTO, a copy under a read
// transaction) copy the views too, in which names stand in the open: a backup would
// then remember who was to be forgotten. They also either hold a read transaction as
// long as they take, so that the write-ahead log grows, or start over whenever a
// commit comes in between.
//
// [Restore] goes the other way. A file called restore.unfinished is in the folder
// from before its first byte until after its last, and no log is opened beside it: so
// a crash at any moment leaves either nothing, or something that is refused until the
// restore was run again.
//
//	check     manifest and seal, before the folder is touched
//	lock      both logs; a system that runs there is left alone
//	mark      restore.unfinished, synced
//	extract   each log, synced
//	verify    each log; it has to end where the manifest says
//	fork      a new entry in the lineage, from the next position on
//	unmark    from now on the logs can be opened
//
// The new entry is what tells a restored log from the one that was lost. Both have
// the same events up to the backup, and then different ones with the same positions.
// An event's id, a position token and an entity tag carry the identity of the log, so
// that none of them is taken for one of the other log's.
//
// # Checking
//
// [Log.Verify] looks at the log, [Log.VerifyViews] at what was made from it. Both may
// run beside a writer and never hold a read transaction longer than a page. A page of
// a view is read together with the position it is of; the log says what the rows are
// at that very position.
//
// # Memory
//
// The events table has no index on (stream, version): it would cost more than
// all the rest of a commit. Instead the head of each stream is kept in memory,
// about 27 bytes a stream, and each event points back to the one before it in
// its stream. The heads are saved beside the log when it is closed and now and
// then; when that file is missing they are read again from the log.
package sqlite
