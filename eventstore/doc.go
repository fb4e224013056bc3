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
// # Why a log
//
// A table of users says what is true now. A log says what happened, in which
// order, and so also what was true at any moment before; what is true now is a
// fold over it. Whatever else the product keeps (the tables that answer queries,
// the graph that recommends friends) is made from the log and can be made again.
//
// # Streams and expected versions
//
// A log holds the events of many things. Those of one thing are a stream, and the
// rules about that thing look at its stream alone. That is what makes concurrency
// simple: two commands on one stream are in conflict, whoever commits second finds
// that the version has moved and decides again; two commands on different streams
// never are. There are no locks that a command holds while it thinks.
//
// # How a write travels
//
//	Append ─► queue ─► committer ─► driver.Commit ─► disk
//	   ▲     (bounded)    │  takes all that queued while the last commit ran
//	   └── Result ◄───────┘  then wakes the subscriptions
//
// A disk needs the same time to make one event durable as to make a thousand, so
// the committer takes everything that has queued up while the last commit ran. It
// never waits for company: a lone client is served at once, and under load the
// batches grow by themselves. A write that can't be appended fails alone.
//
// # What an error means
//
// Most errors of a database are answers to the wrong question. What a caller has to
// know is whether the write happened: not (conflict, busy, full, closed), or nobody
// knows (unknown). After an error of the second kind the log stops, because what a
// failed fsync left on the disk can't be asked; whoever opens the log again sees
// the truth, and the idempotency key brings the old answer back.
//
// A database on another machine is different: it can be asked, later. A driver for one
// finds out what became of a commit whose answer was lost, and goes on; what it could
// not find out in time is unknown to the caller, and no reason to stop ([ErrAway]).
//
// # Views and keys in the same commit
//
// The rows of views and the outcomes of idempotency keys are written in the same
// transaction as the events. So a query after an answered command always sees it,
// and a retried command is recognised even if the process died between the commit
// and the answer.
//
// # Making views anew
//
// A view is a fold over the log, so it can be folded again: because an earlier
// version had a fault, or because somebody wants to know that there was none. A
// driver does that beside the view that answers ([Rebuild]). It makes a second
// generation of the tables, fills it from the log in the log's own order, and when
// that has caught up, writes both in each commit; compares them; and swaps them in
// one commit. All steps that write run between two commits ([Store.Between]), each of
// them short, so commands go on, and each of them whole, so a crash leaves one
// generation or the other.
//
// Filling in order is what makes it simple. The new tables are at every moment what
// the log says up to some position; nobody has to know which of two rows is newer.
//
// Drivers live below this package (memory, sqlite, postgres); package storetest holds the
// contract as a suite that every driver passes.
package eventstore
