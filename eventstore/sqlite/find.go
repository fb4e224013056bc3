package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// findPage is how many positions are looked through in one read transaction. SQLite
// compares some millions of names a second; a page takes a few hundredths of one.
const findPage = 100_000

// FindStream returns all events of a stream, none if there is no such stream. Unlike
// ReadStream it needs no heads, which a log opened read-only does not have: it looks
// through the whole log. progress is told how far it is.
//
// Errors: DamageError, the context's.
func (l *Log) FindStream(
	ctx context.Context, stream eventstore.Stream, progress func(done, total eventstore.Position),
) (events []eventstore.Event, err error) {
	head, err := l.readHead(ctx)
	if err != nil {
		return nil, err
	}
	f := finding{log: l, stream: stream.String()}
	for at := eventstore.Position(0); at < head.Position; at += findPage {
		to := min(at+findPage, head.Position)
		if err := l.readers.read(ctx, func(conn *sqlite.Conn) error { return f.page(conn, at, to) }); err != nil {
			return nil, l.classify(err)
		}
		progress(to, head.Position)
	}
	return f.events, nil
}

// finding gathers a stream. Each event has to point back to the one that was found
// before it, so that one which was taken out, or changed to another stream's, is missed.
type finding struct {
	log    *Log
	stream string
	end    tail // of the stream so far
	events []eventstore.Event
}

// page looks through a range of positions. SQLite compares the names: rows of other
// streams are not decoded.
func (f *finding) page(conn *sqlite.Conn, after, to eventstore.Position) error {
	const sql = "SELECT " + columns + " FROM events WHERE position > ? AND position <= ? AND stream = ? ORDER BY position"
	s, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	defer s.Reset() //nolint:errcheck // its errors were returned by Step
	s.BindInt64(1, int64(after))
	s.BindInt64(2, int64(to))
	s.BindText(3, f.stream)
	check := newChecker()
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
		if err := f.add(s, &check); err != nil {
			return err
		}
	}
}

// add takes the current row in, which has to follow the one before it.
func (f *finding) add(s *sqlite.Stmt, check *encoder) error {
	var r record
	if err := f.log.decodeChecked(s, &r, check); err != nil {
		return err
	}
	if r.event.Version != f.end.version()+1 || r.previous != f.end.position() {
		return f.log.damage(r.event.Position, "it is version %d of stream %s, which was at version %d",
			r.event.Version, f.stream, f.end.version())
	}
	f.end = newTail(r.event.Position, r.event.Version)
	f.events = append(f.events, r.event)
	return nil
}
