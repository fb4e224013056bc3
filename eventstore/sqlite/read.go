package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// ReadAll implements [eventstore.Driver].
func (l *Log) ReadAll(ctx context.Context, after eventstore.Position, limit int) (events []eventstore.Event, err error) {
	err = l.scan(ctx, after, min(limit, eventstore.MaxPage), func(r *record) error {
		events = append(events, r.event)
		return nil
	})
	if len(events) > 0 {
		return events, nil // damage further on is met by the next call, which begins there
	}
	return nil, err
}

// scan calls fn for up to limit records after a position, each of them checked.
func (l *Log) scan(ctx context.Context, after eventstore.Position, limit int, fn func(*record) error) error {
	const sql = "SELECT " + columns + " FROM events WHERE position > ? ORDER BY position LIMIT ?+0"
	return l.readers.read(ctx, func(conn *sqlite.Conn) error {
		check := newChecker()
		var r record
		return l.classify(query(conn, sql, func(s *sqlite.Stmt) error {
			if err := l.decodeChecked(s, &r, &check); err != nil {
				return err
			}
			if r.event.Position != after+1 {
				return l.damage(after+1, "the event is missing")
			}
			after++
			return fn(&r)
		}, int64(after), int64(limit)))
	})
}

// decodeChecked reads the current row and refuses it if it is not as it was
// written.
func (l *Log) decodeChecked(s *sqlite.Stmt, r *record, check *encoder) error {
	if err := decode(s, r); err != nil {
		return l.damage(eventstore.Position(s.ColumnInt64(0)), "%v", err)
	}
	if sum := check.checksum(r); sum != r.crc {
		return l.damage(r.event.Position, "its checksum is %08x instead of %08x", sum, r.crc)
	}
	return nil
}

// ReadStream implements [eventstore.Driver]. It follows the stream backwards
// from its head. A log opened read-only answers [ErrNoHeads].
func (l *Log) ReadStream(
	ctx context.Context, stream eventstore.Stream, after eventstore.Version, limit int,
) (events []eventstore.Event, err error) {
	if l.opts.ReadOnly {
		return nil, ErrNoHeads
	}
	name := stream.String()
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		end, err := l.streamEnd(conn, name)
		if err != nil || end.version() <= after {
			return err
		}
		last := min(end.version(), after+eventstore.Version(min(limit, eventstore.MaxPage)))
		events, err = l.walk(conn, name, end, after, last)
		return err
	})
	return events, l.classify(err)
}

// walk reads the versions above after up to last, from the end of the stream
// backwards.
func (l *Log) walk(
	conn *sqlite.Conn, stream string, end tail, after, last eventstore.Version,
) ([]eventstore.Event, error) {
	const sql = "SELECT " + columns + " FROM events WHERE position = ?"
	check := newChecker()
	var events []eventstore.Event
	position, version := end.position(), end.version()
	for version > after {
		var r record
		found := false
		err := query(conn, sql, func(s *sqlite.Stmt) error {
			found = true
			return l.decodeChecked(s, &r, &check)
		}, int64(position))
		if err != nil {
			return nil, err
		}
		if !found || r.stream != stream || r.event.Version != version {
			return nil, l.damage(position, "version %d of stream %s is not here", version, stream)
		}
		if version <= last {
			events = append(events, r.event)
		}
		position, version = r.previous, version-1
	}
	slices.Reverse(events)
	return events, nil
}

// streamEnd returns where a stream ends; the zero tail if there is none.
func (l *Log) streamEnd(conn *sqlite.Conn, stream string) (tail, error) {
	l.mu.RLock()
	t, found, sure := l.index.find(stream)
	l.mu.RUnlock()
	if !found || sure {
		return t, nil
	}
	owner := ""
	err := query(conn, "SELECT stream FROM events WHERE position = ?", func(s *sqlite.Stmt) error {
		owner = s.ColumnText(0)
		return nil
	}, int64(t.position()))
	if err != nil {
		return 0, fmt.Errorf("find the end of stream %s: %w", stream, err)
	}
	if owner == "" {
		return 0, l.damage(t.position(), "the event is missing")
	}
	if owner != stream {
		return 0, nil // another stream with the same hash
	}
	return t, nil
}

// Outcome implements [eventstore.Driver]. A log opened read-only answers
// [ErrNoHeads].
func (l *Log) Outcome(ctx context.Context, key [16]byte) (o eventstore.Outcome, found bool, err error) {
	if l.opts.ReadOnly {
		return o, false, ErrNoHeads
	}
	l.mu.RLock()
	r, ok := l.index.keys.find(l.index.seed, key)
	l.mu.RUnlock()
	if !ok {
		return o, false, nil
	}
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		o, found, err = l.outcomeAt(conn, r, key)
		return err
	})
	return o, found, err
}

// outcomeAt reads an outcome from its row; false if the row belongs to another
// key.
func (l *Log) outcomeAt(conn *sqlite.Conn, r ref, key [16]byte) (o eventstore.Outcome, found bool, err error) {
	sql := "SELECT key, fingerprint, stream, version, position, data FROM outcomes WHERE id = ?"
	if r > 0 {
		sql = "SELECT key, fingerprint, stream, version, position FROM events WHERE position = ?"
	}
	err = query(conn, sql, func(s *sqlite.Stmt) error {
		if string(columnBytes(s, 0)) != string(key[:]) {
			return nil
		}
		found = true
		s.ColumnBytes(1, o.Fingerprint[:])
		o.Version = eventstore.Version(s.ColumnInt64(3))
		o.Position = eventstore.Position(s.ColumnInt64(4))
		if r < 0 {
			o.Data = columnBytes(s, 5)
		}
		if name := s.ColumnText(2); name != "" {
			o.Stream, err = eventstore.ParseStream(name)
		}
		return err
	}, max(int64(r), int64(-r)))
	if err == nil && found && r > 0 {
		o.Events, err = countEvents(conn, o.Position, key)
	}
	return o, found, err
}

// countEvents returns how many events of one commit carry the key, from the last one
// back. Those of the commit before may carry it too: it had expired in between.
func countEvents(conn *sqlite.Conn, last eventstore.Position, key [16]byte) (n int, err error) {
	first, err := queryInt(conn, "SELECT coalesce(max(first), 1) FROM commits WHERE first <= ?", int64(last))
	if err != nil {
		return 0, err
	}
	const sql = "SELECT key FROM events WHERE position = ?"
	for same := true; same && last >= eventstore.Position(first); last-- {
		same = false
		err := query(conn, sql, func(s *sqlite.Stmt) error {
			same = string(columnBytes(s, 0)) == string(key[:])
			return nil
		}, int64(last))
		if err != nil {
			return 0, err
		}
		if same {
			n++
		}
	}
	return n, nil
}

// readHead asks the file where the log ends, for a log that another process
// writes.
func (l *Log) readHead(ctx context.Context) (h eventstore.Head, err error) {
	h.Lineage = l.lineage
	const sql = "SELECT position, time FROM events ORDER BY position DESC LIMIT 1"
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		return query(conn, sql, func(s *sqlite.Stmt) error {
			h.Position = eventstore.Position(s.ColumnInt64(0))
			h.Time = time.UnixMicro(s.ColumnInt64(1)).UTC()
			return nil
		})
	})
	return h, l.classify(err)
}
