package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// tailLength is how many of the last events are checked when a log is opened.
const tailLength = 1000

// recover fills the memory beside the file: from the saved index as far as that
// goes, from the events after it.
func (l *Log) recover(ctx context.Context) error {
	l.encoder = newEncoder()
	err := l.readers.read(ctx, l.checkEnd)
	switch {
	case err != nil:
		return l.classify(err)
	case l.opts.ReadOnly:
		l.index = newIndex(l.opts)
		return nil
	}
	return l.loadIndex()
}

// checkEnd reads where the log ends and checks what lies there. It does so in one
// transaction: another process may be writing meanwhile.
func (l *Log) checkEnd(conn *sqlite.Conn) (err error) {
	defer sqlitex.Transaction(conn)(&err)
	if err := l.readEnd(conn); err != nil {
		return err
	}
	return l.checkTail(conn)
}

// readEnd reads where the log ends.
func (l *Log) readEnd(conn *sqlite.Conn) error {
	err := query(conn, "SELECT position, time FROM events ORDER BY position DESC LIMIT 1", func(s *sqlite.Stmt) error {
		l.head.position = eventstore.Position(s.ColumnInt64(0))
		l.head.time = time.UnixMicro(s.ColumnInt64(1)).UTC()
		return nil
	})
	if err != nil {
		return err
	}
	return query(conn, "SELECT hash FROM commits ORDER BY first DESC LIMIT 1", func(s *sqlite.Stmt) error {
		s.ColumnBytes(0, l.head.chain[:])
		return nil
	})
}

// checkTail checks the last commits. What is older is checked whenever it is
// read, and all of it by Verify.
func (l *Log) checkTail(conn *sqlite.Conn) error {
	const sql = "SELECT coalesce(max(first), 0) FROM commits WHERE first <= max(1, ?)"
	first, err := queryInt(conn, sql, int64(l.head.position-tailLength))
	if err != nil {
		return err
	}
	if first == 0 {
		if l.head.position > 0 {
			return l.damage(1, "its commit is missing")
		}
		return l.noneBeyond(conn)
	}
	check := verification{log: l, encoder: newEncoder(), until: l.head.position, position: eventstore.Position(first - 1)}
	if check.chain, err = check.before(conn, eventstore.Position(first)); err != nil {
		return err
	}
	if check.position >= check.until {
		return l.damage(check.until+1, "the event is missing")
	}
	if err := check.page(conn, check.until); err != nil {
		return err
	}
	return l.noneBeyond(conn)
}

// noneBeyond looks for a commit that begins after the last event: it had events once.
func (l *Log) noneBeyond(conn *sqlite.Conn) error {
	const sql = "SELECT coalesce(min(first), 0) FROM commits WHERE first > (SELECT coalesce(max(position), 0) FROM events)"
	first, err := queryInt(conn, sql)
	if err == nil && first > 0 {
		return l.damage(eventstore.Position(first), "its commit is there, the event is missing")
	}
	return err
}

// loadIndex takes the saved index and adds the events that came after it.
func (l *Log) loadIndex() error {
	saved, err := readIndexFile(l.indexPath(), l.opts)
	switch {
	case errors.Is(err, errNoIndex):
		saved = &indexFile{index: newIndex(l.opts)}
	case err != nil:
		l.opts.Log.Warn("the saved heads can't be used; reading them from the log", "log", l.path, "reason", err)
		saved = &indexFile{index: newIndex(l.opts)}
	case saved.uuid != l.lineage[len(l.lineage)-1].UUID:
		return l.damage(0, "%s belongs to another log; move it away to have it made again", l.indexPath())
	case saved.position > l.head.position:
		return l.damage(l.head.position+1, "the log was at position %d when its heads were saved, and ends at %d now",
			saved.position, l.head.position)
	}
	l.index = saved.index
	if saved.position == l.head.position && saved.chain != l.head.chain {
		return l.damage(saved.position, "the last commit is not the one that was there when the heads were saved")
	}
	if err := l.rescan(saved.position); err != nil {
		return l.classify(err)
	}
	return l.classify(l.rescanOutcomes(saved.outcome))
}

// rescan takes the events after a position into the index.
func (l *Log) rescan(after eventstore.Position) error {
	const sql = "SELECT position, stream, version, number, time, key FROM events WHERE position > ? ORDER BY position"
	oldest := time.Now().Add(-l.opts.KeepKeysFor)
	var pending record // the last event with a key: the next may carry the same
	flush := func() {
		if pending.key != nil && pending.event.Time.After(oldest) {
			l.index.keys.add(l.index.seed, pending.key, ref(pending.event.Position), pending.event.Time)
		}
		pending.key = nil
	}
	err := query(l.writer, sql, func(s *sqlite.Stmt) error {
		r := record{stream: s.ColumnText(1), event: eventstore.Event{
			Position: eventstore.Position(s.ColumnInt64(0)),
			Version:  eventstore.Version(s.ColumnInt64(2)),
			Number:   s.ColumnInt64(3),
		}}
		if r.event.Position != after+1 {
			return l.damage(after+1, "the event is missing")
		}
		after++
		l.index.note(&r)
		if s.ColumnIsNull(5) {
			flush()
			return nil
		}
		r.key, r.event.Time = columnBytes(s, 5), time.UnixMicro(s.ColumnInt64(4))
		if string(r.key) != string(pending.key) {
			flush()
		}
		pending = r
		return nil
	}, int64(after))
	flush()
	return err
}

// rescanOutcomes takes the outcomes after an id into the index.
func (l *Log) rescanOutcomes(after int64) error {
	oldest := time.Now().Add(-l.opts.KeepKeysFor)
	const sql = "SELECT id, key, time FROM outcomes WHERE id > ? AND time > ? ORDER BY id"
	err := query(l.writer, sql, func(s *sqlite.Stmt) error {
		l.index.keys.add(l.index.seed, columnBytes(s, 1), ref(-s.ColumnInt64(0)), time.UnixMicro(s.ColumnInt64(2)))
		return nil
	}, after, oldest.UnixMicro())
	slices.SortStableFunc(l.index.keys.order, func(a, b keyEntry) int { return cmp.Compare(a.time, b.time) })
	l.index.keys.expire(time.Now())
	return err
}

// indexPath returns where the index is saved: user.heads beside user.db.
func (l *Log) indexPath() string { return strings.TrimSuffix(l.path, ".db") + ".heads" }

// saveIndex writes the index beside the log.
func (l *Log) saveIndex() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	outcome := int64(0)
	for _, e := range l.index.keys.order {
		outcome = max(outcome, int64(-e.ref))
	}
	f := indexFile{
		index: l.index, uuid: l.lineage[len(l.lineage)-1].UUID,
		position: l.head.position, chain: l.head.chain, outcome: outcome,
	}
	if err := f.write(l.indexPath()); err != nil {
		return fmt.Errorf("save the heads of %s: %w", l.path, err)
	}
	return nil
}
