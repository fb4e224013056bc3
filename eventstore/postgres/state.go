package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
)

// A batch takes two round trips, in one transaction:
//
//	begin, take the lock, read the state ──► sequence, checksums, rows of views
//	append, remember, rows, commit       ◄──
//
// The first statement takes the lock of the log, so whatever replica comes next reads what
// this one has written. What is between the two is computed here, as it is for every other
// driver, and the function append looks once more whether the log ends where it should.

// state is what a batch is decided on: the end of the log, of its streams and of its
// counters, and the keys that were used before. It was read under the lock of the log,
// in the transaction that holds it, so it stays true until that ends.
type state struct {
	conn     *pgx.Conn
	sql      *statements
	version  int       // of the schema
	now      time.Time // by the clock of the database, which all replicas share
	position eventstore.Position
	last     time.Time // of the last event
	chain    [32]byte  // hash of the last commit
	ends     map[string]end
	highest  map[string]int64
	used     map[[16]byte]eventstore.Outcome
}

// end is where a stream ends: the zero end, if nobody has written to it.
type end struct {
	version  eventstore.Version
	position eventstore.Position
}

// questions are what a batch asks of the log.
type questions struct {
	streams    []string
	categories []string // of streams that are named by their number
	counts     []int64  // how many numbers each may need
	counters   []string
	keys       [][]byte
}

// ask lists what a batch asks, each thing once.
func ask(batch []eventstore.Write) questions {
	q := questions{streams: []string{}, categories: []string{}, counts: []int64{}, counters: []string{}, keys: [][]byte{}}
	seen := map[string]bool{}
	once := func(kind, name string, list *[]string) {
		if !seen[kind+name] {
			seen[kind+name] = true
			*list = append(*list, name)
		}
	}
	unnamed, numbered := map[string]bool{}, map[string]int64{}
	for i := range batch {
		w := &batch[i]
		for _, e := range w.Events {
			if e.Number != eventstore.NoNumber {
				numbered[w.Stream.Category]++
				once("c", w.Stream.Category, &q.counters)
			}
		}
		switch {
		case w.Stream == (eventstore.Stream{}):
		case w.Stream.ID == "":
			unnamed[w.Stream.Category] = true
		default:
			once("s", w.Stream.String(), &q.streams)
		}
		if w.Key != nil {
			q.keys = append(q.keys, w.Key.Hash[:])
		}
	}
	for category := range unnamed {
		q.categories = append(q.categories, category)
		q.counts = append(q.counts, numbered[category])
	}
	return q
}

// readState begins a transaction, takes the lock of the log and reads what the batch
// asks, in one round trip. Each statement sees what was committed before it began, and
// so those after the lock see everything.
func (l *Log) readState(ctx context.Context, conn *pgx.Conn, q questions) (*state, error) {
	s := &state{
		conn: conn, sql: &l.sql,
		ends: map[string]end{}, highest: map[string]int64{}, used: map[[16]byte]eventstore.Outcome{},
	}
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(l.sql.lock)
	b.Queue(l.sql.state).QueryRow(func(row pgx.Row) error {
		var hash []byte
		err := row.Scan(&s.version, &s.now, (*int64)(&s.position), &s.last, &hash)
		copy(s.chain[:], hash)
		return err
	})
	if len(q.streams)+len(q.categories) > 0 {
		b.Queue(l.sql.ends, q.streams, q.categories, q.counts).Query(s.takeEnds)
	}
	if len(q.counters) > 0 {
		b.Queue(l.sql.highest, q.counters).Query(func(rows pgx.Rows) error {
			var category string
			var highest int64
			_, err := pgx.ForEachRow(rows, []any{&category, &highest}, func() error {
				s.highest[category] = highest
				return nil
			})
			return err
		})
	}
	if len(q.keys) > 0 {
		b.Queue(l.sql.used, q.keys, l.opts.KeepKeys, l.opts.KeepKeysFor).Query(func(rows pgx.Rows) error {
			return scanOutcomes(rows, func(key [16]byte, o eventstore.Outcome) { s.used[key] = o })
		})
	}
	return s, conn.SendBatch(ctx, b).Close()
}

// takeEnds reads where streams end.
func (s *state) takeEnds(rows pgx.Rows) error {
	var name string
	var e end
	_, err := pgx.ForEachRow(rows, []any{&name, (*int64)(&e.version), (*int64)(&e.position)}, func() error {
		s.ends[name] = e
		return nil
	})
	return err
}

// sequencer says what is in the log.
func (s *state) sequencer(ctx context.Context) *eventstore.Sequencer {
	return &eventstore.Sequencer{
		Position: s.position,
		Last:     s.last,
		Number:   func(category string) int64 { return s.highest[category] },
		Version: func(stream eventstore.Stream) (eventstore.Version, error) {
			e, err := s.end(ctx, stream.String())
			return e.version, err
		},
		Outcome: func(key [16]byte) (eventstore.Outcome, bool, error) {
			o, ok := s.used[key]
			return o, ok, nil
		},
	}
}

// end returns where a stream ends. Only one that is named by a number which an import
// has brought along was not asked for before.
func (s *state) end(ctx context.Context, name string) (end, error) {
	if e, ok := s.ends[name]; ok {
		return e, nil
	}
	rows, err := s.conn.Query(ctx, s.sql.ends, []string{name}, []string{}, []int64{})
	if err == nil {
		err = s.takeEnds(rows)
	}
	return s.ends[name], err
}
