package eventstore

import (
	"context"
	"time"
)

// Driver keeps one log in some database. Store adds the queue, the batching and
// the subscriptions on top, so a driver is as thin as its database allows.
//
// Package storetest tests this contract sentence by sentence.
type Driver interface {
	// Commit appends the writes in order, in one transaction with the rows of
	// the views and the keys, and returns one Result a write. A write that
	// can't be appended (conflict, invalid, key used before) fails alone. It
	// returns only when the transaction is durable. It is called by one
	// goroutine at a time.
	//
	// Errors: ErrFull and ErrAway, nothing was written and a later Commit may
	// succeed; ErrUnknown, the transaction may or may not be durable, and the
	// driver refuses any further Commit unless it can tell. A driver that finds
	// out by itself what became of it says ErrUnknown and ErrAway.
	Commit(ctx context.Context, batch []Write) ([]Result, error)
	// ReadStream returns up to limit events of a stream with a version above
	// after, ascending.
	ReadStream(ctx context.Context, stream Stream, after Version, limit int) ([]Event, error)
	// ReadAll returns up to limit events with a position above after,
	// ascending. Damage returns the events before it, or a DamageError when
	// there are none.
	ReadAll(ctx context.Context, after Position, limit int) ([]Event, error)
	// Head says where the log ends and which log it is.
	Head(ctx context.Context) (Head, error)
	// Outcome returns what is remembered under a key's hash, or false.
	Outcome(ctx context.Context, hash [16]byte) (Outcome, bool, error)
	// Select returns rows of a view's table, as they are after the last commit.
	Select(ctx context.Context, query Select) ([][]Value, error)
	// Close releases what the driver holds. No other call may be under way.
	Close() error
}

// Head is the end of a log, and its identity.
type Head struct {
	Position Position
	Time     time.Time // of the last event; zero in an empty log
	Lineage  Lineage
}

// Fork is one entry of a log's lineage: the log is known by UUID from First on.
type Fork struct {
	UUID  [16]byte
	First Position
}

// Lineage lists the identities of a log, ascending. A new log has one entry with
// First = 1; restoring a backup adds one.
type Lineage []Fork

// At returns the identity under which position p was written. A position before
// the first event belongs to the first entry.
func (l Lineage) At(p Position) [16]byte {
	for i := len(l) - 1; i > 0; i-- {
		if l[i].First <= p {
			return l[i].UUID
		}
	}
	return l[0].UUID
}
