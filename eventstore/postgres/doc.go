// Package postgres keeps a log in a Postgres database, for services with several
// replicas: any number of them append to one log at once.
//
// It guarantees, beyond the contract of [eventstore.Driver]:
//
//   - A commit is on the disk of the server, and of its synchronous standby if there is
//     one, before Commit returns: each transaction asks for synchronous_commit itself.
//   - Positions, versions and numbers are given under one lock of the log, in the
//     transaction that appends. So positions have no gaps and are in the order of the
//     commits whoever commits, and a reader that tails them misses nothing.
//   - A lost connection, a restart, a failover or a time limit costs a retry. If the
//     answer to a commit was lost, the database is asked what became of it; only when it
//     does not come back in time does the caller learn that nobody knows.
//   - Damage is found before it is served: each event carries a CRC32C, each commit a
//     SHA-256 over itself and its predecessor, the same as in SQLite. [Log.Verify] checks
//     all of it.
//   - A log whose database has another history than before (a standby was promoted, a
//     backup restored) gets a new entry in its lineage, from the next position on.
//   - The role that serves needs no right but to read and to execute the functions that
//     append and fill the views. It can change no event.
//   - No error and no line of log holds the password.
//
// What every column means is in docs/format/postgres.md.
//
// # What a commit does
//
//	begin      one round trip:
//	lock       pg_advisory_xact_lock, released by the end of the transaction
//	read       the head, the ends of the streams, the counters, the keys used before
//	──
//	sequence   positions, versions, numbers, results (in this process)
//	──
//	append     one round trip: events, the link of the chain, counters
//	remember   the outcomes of keys
//	write_…    the rows of each table of the views
//	commit     one flush of the server's write-ahead log
//
// Decisions are made here and not in plpgsql, because the rows of views are: they depend
// on positions and numbers, and are computed by Go code that every driver shares. The
// function append trusts nobody all the same: it takes the lock itself, and refuses
// events that do not begin where the log ends.
//
// READ COMMITTED is what makes the order of the first round trip matter. Each statement
// sees what was committed before it began; those after the lock see everything.
//
// # When the answer is lost
//
// A connection may break between a commit and its answer. The row of the commit holds a
// random id of the batch, and so do the rows of outcomes. Whoever then gets the lock
// knows that the transaction has ended, for it held the lock when its end was sent: the
// id is there, or it never will be. In the second case the batch is tried again.
//
// A commit that waits for a synchronous standby and is told to stop, by an operator or a
// time limit, is durable here, but perhaps not there. Whoever finds it waits for the
// standby anew; only what does not come in time is an unknown outcome.
//
// # Poolers
//
// Connect to the server itself. A pooler in statement mode forbids transactions, and the
// first commit says so; one in any other mode has to let our startup parameters through,
// most of which are time limits, and makes a failover harder to notice.
//
// # Schema
//
// [Open] makes and migrates the schema if its role may; otherwise [Migrate] does, with
// the URL of the owner. A program works on its own version of the schema and on the
// next, so that replicas of two releases run beside each other; on anything else it
// refuses to. Tables of a view whose definition has changed are filled anew; until the
// last older replica has gone, rows that it writes have the defaults in columns that it
// does not know, and a rebuild puts them right.
package postgres
