package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
	"ensemble/internal/fault"
)

// Commit implements [eventstore.Driver].
func (l *Log) Commit(_ context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	switch {
	case l.opts.ReadOnly:
		return nil, fmt.Errorf("%w: %s was opened read-only", eventstore.ErrClosed, l.path)
	case l.broken != nil:
		return nil, l.broken
	}
	if err := l.checkpoint.makeRoom(); err != nil {
		return nil, l.failed(err)
	}
	l.forgetKeys(time.Now()) // a key that has expired is a new one, also after a quiet day
	sequenced, err := l.sequence(batch)
	if err != nil {
		return nil, l.failed(err)
	}
	change, err := l.write(batch, sequenced)
	if err != nil {
		return nil, l.failed(err)
	}
	l.expired = 0
	l.publish(change)
	l.checkpoint.committed(len(sequenced.Events))
	return sequenced.Results, nil
}

// failed decides what an error means for the log: a full disk was rolled back
// and may be tried again, anything else stops the log, because what is on the
// disk is not known.
func (l *Log) failed(err error) error {
	err = l.classify(err)
	if errors.Is(err, eventstore.ErrFull) {
		l.encoder.Forget()
		return err
	}
	l.broken = fmt.Errorf("%w: %s: %w", eventstore.ErrUnknown, l.path, err)
	return l.broken
}

// sequence numbers the batch on top of what is in the log.
func (l *Log) sequence(batch []eventstore.Write) (eventstore.Sequenced, error) {
	s := eventstore.Sequencer{
		Position: l.head.position,
		Last:     l.head.time,
		Number:   func(category string) int64 { return l.index.numbers[category] },
		Version: func(stream eventstore.Stream) (eventstore.Version, error) {
			t, err := l.streamEnd(l.writer, stream.String())
			return t.version(), err
		},
		Outcome: func(key [16]byte) (eventstore.Outcome, bool, error) {
			r, ok := l.index.keys.find(l.index.seed, key)
			if !ok {
				return eventstore.Outcome{}, false, nil
			}
			return l.outcomeAt(l.writer, r, key)
		},
	}
	return s.Sequence(batch, time.Now())
}

// change is what a commit does to the memory beside the file.
type change struct {
	records  []record
	outcomes []keyEntryAt
	head     head
}

// keyEntryAt is a key with its place, on its way into the index.
type keyEntryAt struct {
	key [16]byte
	ref ref
}

// write brings a sequenced batch into the file, in one transaction.
func (l *Log) write(batch []eventstore.Write, q eventstore.Sequenced) (c change, err error) {
	end, err := l.begin()
	if err != nil {
		return c, fmt.Errorf("begin: %w", err)
	}
	defer end(&err)
	if c.records, err = l.records(batch, q); err != nil {
		return c, err
	}
	c.head = l.head
	if n := len(c.records); n > 0 {
		last := &c.records[n-1].event
		c.head = head{position: last.Position, time: last.Time}
		if c.head.chain, err = l.insertEvents(c.records); err != nil {
			return c, err
		}
	}
	if c.outcomes, err = l.insertOutcomes(batch, q.Results, c.head); err != nil {
		return c, err
	}
	return c, l.deleteExpired()
}

// begin begins a transaction and returns how to end it. In the build that is broken
// on purpose it ends only when the next one begins, after its commands were
// answered: the crash tests have to notice.
func (l *Log) begin() (end func(*error), err error) {
	if l.late != nil {
		l.late(&err)
	}
	if err != nil {
		return nil, err
	}
	end, err = sqlitex.ImmediateTransaction(l.writer)
	if fault.AckBeforeCommit && err == nil {
		l.late = end
		return func(*error) {}, nil
	}
	return end, err
}

// deleteExpired drops the outcomes that nobody is answered from any more.
func (l *Log) deleteExpired() error {
	if l.expired == 0 {
		return nil
	}
	s, err := l.writer.Prepare("DELETE FROM outcomes WHERE id <= ?")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	s.BindInt64(1, l.expired)
	return run(s)
}

// records adds to the events what only this driver knows.
func (l *Log) records(batch []eventstore.Write, q eventstore.Sequenced) ([]record, error) {
	records := make([]record, len(q.Events))
	ends := make(map[string]tail, len(batch)) // of the streams within this batch
	for w := range batch {
		for i := q.First[w]; i < q.First[w+1]; i++ {
			r := &records[i]
			r.event = q.Events[i]
			r.stream = r.event.Stream.String()
			if key := batch[w].Key; key != nil {
				r.key, r.finger = key.Hash[:], key.Fingerprint[:]
			}
			if err := l.complete(r, ends); err != nil {
				return nil, err
			}
		}
	}
	return records, nil
}

// complete adds to a record the metadata as text and where its stream was before.
// ends knows the streams of this batch, whose rows are not in the index yet.
func (l *Log) complete(r *record, ends map[string]tail) (err error) {
	if !fits(r.event.Position, r.event.Version) {
		return fmt.Errorf("position %d or version %d is beyond what this driver holds", r.event.Position, r.event.Version)
	}
	if r.meta, err = encodeMeta(r.event.Meta); err != nil {
		return err
	}
	if r.event.Version > 1 {
		end, ok := ends[r.stream]
		if !ok {
			if end, err = l.streamEnd(l.writer, r.stream); err != nil {
				return err
			}
		}
		r.previous = end.position()
	}
	ends[r.stream] = newTail(r.event.Position, r.event.Version)
	return nil
}

const insertEventSQL = "INSERT INTO events (" + columns + ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

// insertEvents writes the records, the rows of the views and the link of the
// chain, and returns the link.
func (l *Log) insertEvents(records []record) (chain [32]byte, err error) {
	stmt, err := l.writer.Prepare(insertEventSQL)
	if err != nil {
		return chain, fmt.Errorf("prepare: %w", err)
	}
	l.encoder.Forget()
	for i := range records {
		r := &records[i]
		r.crc = l.encoder.checksum(r)
		if err := insertEvent(stmt, r); err != nil {
			return chain, fmt.Errorf("insert event %d: %w", r.event.Position, err)
		}
		if err := l.views.apply(l.writer, r.event); err != nil {
			return chain, err
		}
	}
	first := records[0].event.Position
	chain = l.encoder.Chain(l.head.chain, first)
	return chain, insertCommit(l.writer, first, chain)
}

// insertEvent binds a record to the columns, whose order is that of decode.
func insertEvent(s *sqlite.Stmt, r *record) error {
	e := &r.event
	s.BindInt64(1, int64(e.Position))
	s.BindInt64(3, int64(e.Version))
	s.BindInt64(4, int64(r.previous))
	s.BindInt64(5, e.Number)
	s.BindInt64(7, e.Time.UnixMicro())
	s.BindInt64(8, int64(r.crc))
	s.BindText(2, r.stream)
	s.BindText(6, e.Type)
	s.BindText(9, string(e.Data))
	if r.meta == "" {
		s.BindNull(10)
	} else {
		s.BindText(10, r.meta)
	}
	bindBlobOrNull(s, 11, r.key)
	bindBlobOrNull(s, 12, r.finger)
	return run(s)
}

// insertCommit writes the link of the chain for a batch that begins at first.
func insertCommit(conn *sqlite.Conn, first eventstore.Position, chain [32]byte) error {
	s, err := conn.Prepare("INSERT INTO commits (first, hash) VALUES (?, ?)")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	s.BindInt64(1, int64(first))
	s.BindBytes(2, chain[:])
	return run(s)
}

// insertOutcomes writes the outcomes of writes without events, and returns where
// the keys of the batch are.
func (l *Log) insertOutcomes(batch []eventstore.Write, results []eventstore.Result, h head) ([]keyEntryAt, error) {
	var entries []keyEntryAt
	for i := range batch {
		w, r := &batch[i], &results[i]
		switch {
		case w.Key == nil || r.Err != nil || r.Previous != nil:
		case len(w.Events) > 0:
			entries = append(entries, keyEntryAt{key: w.Key.Hash, ref: ref(r.Position)})
		default:
			id, err := insertOutcome(l.writer, w.Key, r, later(h.time, r.Time))
			if err != nil {
				return nil, fmt.Errorf("insert outcome: %w", err)
			}
			entries = append(entries, keyEntryAt{key: w.Key.Hash, ref: ref(-id)})
		}
	}
	return entries, nil
}

// insertOutcome writes the outcome of a write without events and returns its id.
func insertOutcome(conn *sqlite.Conn, key *eventstore.Key, r *eventstore.Result, at time.Time) (int64, error) {
	s, err := conn.Prepare(`INSERT INTO outcomes (key, fingerprint, stream, version, position, time, data)
		VALUES (?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return 0, err
	}
	s.BindBytes(1, key.Hash[:])
	s.BindBytes(2, key.Fingerprint[:])
	name := ""
	if r.Stream != (eventstore.Stream{}) {
		name = r.Stream.String()
	}
	s.BindText(3, name)
	s.BindInt64(4, int64(r.Version))
	s.BindInt64(5, int64(r.Position))
	s.BindInt64(6, at.UnixMicro())
	s.BindBytes(7, key.Outcome)
	if err := run(s); err != nil {
		return 0, err
	}
	return conn.LastInsertRowID(), nil
}

// publish makes a durable commit visible to readers.
func (l *Log) publish(c change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range c.records {
		l.index.note(&c.records[i])
	}
	l.head = c.head
	now := time.Now()
	for _, e := range c.outcomes {
		l.index.keys.add(l.index.seed, e.key[:], e.ref, now)
	}
	l.expired = max(l.expired, l.index.keys.expire(now))
}

// forgetKeys forgets the keys that are too old or too many.
func (l *Log) forgetKeys(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired = max(l.expired, l.index.keys.expire(now))
}

// note takes a record into the index.
func (x *index) note(r *record) {
	x.advance(r.stream, r.event.Position, r.event.Version)
	if r.event.Number > 0 {
		category, _, _ := strings.Cut(r.stream, "-")
		x.raise(category, r.event.Number)
	}
}

// bindBlobOrNull binds a blob, and NULL for nil: an absent key takes no space.
func bindBlobOrNull(s *sqlite.Stmt, column int, b []byte) {
	if b == nil {
		s.BindNull(column)
		return
	}
	s.BindBytes(column, b)
}

// run executes a statement that returns no rows.
func run(s *sqlite.Stmt) error {
	if _, err := s.Step(); err != nil {
		return err
	}
	return s.Reset()
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
