package postgres

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
	"ensemble/internal/fault"
)

// Commit implements [eventstore.Driver]. While the database is away it tries again, for
// as long as the options allow; after a first such failure for a second, so that
// commands are refused soon. What became of a transaction whose answer was lost it asks
// the database: its batch is there, or it never will be.
//
// Errors: eventstore.ErrClosed, ErrFull, ErrAway, and ErrUnknown with ErrAway when the database
// did not come back in time to be asked. Anything else is about the program or its
// rights, and nothing was written.
func (l *Log) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	if l.closed.Load() {
		return nil, fmt.Errorf("commit to %s: %w", l.name, eventstore.ErrClosed)
	}
	patience := l.opts.Patience
	if l.away {
		patience = min(patience, time.Second)
	}
	// The batch belongs to many callers; none of their contexts may end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	c := &commit{log: l, batch: batch}
	for try := 0; ; try++ {
		results, err := c.try(ctx)
		if err == nil {
			l.away = false
			return results, nil
		}
		if own, ok := errors.AsType[*ownError](err); ok {
			return nil, own.err
		}
		if verdict := judge(err); verdict == again || verdict == lost {
			if sleep(ctx, pause(try)) == nil {
				continue
			}
			l.away = true
		}
		if c.doubt != nil {
			return nil, fmt.Errorf("%w: %w: %s: %w", eventstore.ErrUnknown, eventstore.ErrAway, l.name, l.server.masked(err))
		}
		return nil, l.explain(err)
	}
}

// ownError is one that trying again would not change.
type ownError struct{ err error }

// Error implements error.
func (e *ownError) Error() string { return e.err.Error() }

// own returns an ownError, unless the error is one, or what a view needs is away.
func own(err error) error {
	if _, ok := errors.AsType[*ownError](err); ok || errors.Is(err, eventstore.ErrAway) {
		return err
	}
	return &ownError{err}
}

// Unwrap returns what it is about.
func (e *ownError) Unwrap() error { return e.err }

// commit is a batch on its way into the log.
type commit struct {
	log   *Log
	batch []eventstore.Write
	doubt *doubt // a transaction of this batch whose answer was lost; nil: there is none
}

// doubt is a transaction that may be durable.
type doubt struct {
	id      [16]byte
	first   eventstore.Position // of its events
	events  int
	key     []byte // of its outcomes; nil: there are none
	results []eventstore.Result
}

// try tries once. When it fails and c.doubt is nil, nothing was written.
func (c *commit) try(ctx context.Context) ([]eventstore.Result, error) {
	l := c.log
	if err := l.connectWriter(ctx); err != nil {
		return nil, err
	}
	if c.doubt != nil {
		landed, err := l.landed(ctx, c.doubt)
		if err != nil {
			return nil, err
		}
		if landed {
			return c.doubt.results, nil
		}
		c.doubt = nil
		if err := l.connectWriter(ctx); err != nil { // it may be gone again
			return nil, err
		}
	}
	results, err := c.transact(ctx)
	if err == nil {
		return results, nil
	}
	_, ofServer := errors.AsType[*pgconn.PgError](err)
	if !ofServer && !l.writer.IsClosed() && c.doubt == nil && ctx.Err() == nil && !errors.Is(err, eventstore.ErrAway) {
		err = own(fmt.Errorf("%s: %w", l.name, err)) // the connection is well: this never got to it
	}
	l.rollBack(ctx)
	return nil, err
}

// transact brings the batch into the log, in one transaction of two round trips: one
// takes the lock and reads, the other writes and commits.
func (c *commit) transact(ctx context.Context) ([]eventstore.Result, error) {
	l := c.log
	s, err := l.readState(ctx, l.writer, ask(c.batch))
	if err != nil {
		return nil, err
	}
	if known := len(migrations()); s.version > known+1 {
		return nil, &ownError{&VersionError{Store: l.name, Found: s.version, Known: known}}
	}
	q, err := s.sequencer(ctx).Sequence(c.batch, s.now)
	if err != nil {
		return nil, err
	}
	p := &parcel{events: len(q.Events), first: s.position + 1, moment: later(s.last, s.now)}
	if _, err := rand.Read(p.id[:]); err != nil {
		return nil, &ownError{err}
	}
	if err := p.pack(ctx, c.batch, q, s); err != nil {
		return nil, err
	}
	if p.events == 0 && len(p.keys) == 0 {
		l.rollBack(ctx)
		return q.Results, nil // everything was refused or known: there is nothing to write
	}
	changes, err := l.views.rows(q.Events)
	if err != nil {
		return nil, own(err)
	}
	return c.send(ctx, p, changes, q.Results)
}

// send writes and commits in one round trip.
func (c *commit) send(
	ctx context.Context, p *parcel, changes map[string][]eventstore.Row, results []eventstore.Result,
) ([]eventstore.Result, error) {
	l := c.log
	b := &pgx.Batch{}
	if p.events > 0 {
		b.Queue(l.sql.append, p.appendArgs()...)
	}
	if len(p.keys) > 0 {
		b.Queue(l.sql.remember, append(p.rememberArgs(), l.opts.KeepKeys, l.opts.KeepKeysFor)...)
	}
	for name, rows := range changes {
		t := l.views.tables[name]
		b.Queue(t.write, t.args(rows, false)...)
	}
	var tag pgconn.CommandTag
	if fault.AckBeforeCommit {
		tag = pgconn.NewCommandTag("COMMIT")
		b.Queue("select 1")
	} else {
		b.Queue("commit").Exec(func(t pgconn.CommandTag) error { tag = t; return nil })
	}
	c.doubt = &doubt{id: p.id, first: p.first, events: p.events, results: results}
	if len(p.keys) > 0 {
		c.doubt.key = p.keys[0]
	}
	l.warned = false
	err := l.writer.SendBatch(ctx, b).Close()
	switch {
	case err == nil && l.warned:
		// It has waited for a standby and was told to stop: durable here, but not there.
		return nil, errNoStandby()
	case err == nil && tag.String() != "COMMIT":
		c.doubt = nil
		return nil, &ownError{fmt.Errorf("%s: the transaction was answered with %s", l.name, tag)}
	case err == nil:
		return results, nil
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (judge(pg) != lost) {
		c.doubt = nil // the transaction has failed before its end, and the server says so
	} else if !l.writer.IsClosed() && !ok {
		c.doubt = nil // it was not sent
	}
	return nil, err
}

// later returns the later of two times, as the sequencer does.
func later(a, b time.Time) time.Time {
	if b = b.UTC().Truncate(time.Microsecond); a.After(b) {
		return a.UTC()
	}
	return b
}

// parcel is a sequenced batch in the form in which the database takes it: columns.
type parcel struct {
	id     [16]byte
	first  eventstore.Position
	moment time.Time
	hash   [32]byte
	events int

	streams, types           []string
	versions, previous       []int64
	numbers, crcs            []int64
	data, eventKeys, prints  [][]byte
	meta                     []*string
	categories               []string
	highest                  []int64
	keys, fingerprints, kept [][]byte // of outcomes
	answered                 []string
	answeredAt, answeredUpTo []int64
	counts                   []int32
}

// pack fills the columns.
func (p *parcel) pack(ctx context.Context, batch []eventstore.Write, q eventstore.Sequenced, s *state) error {
	summer, highest := eventstore.NewSummer(), map[string]int64{}
	for w := range batch {
		for i := q.First[w]; i < q.First[w+1]; i++ {
			e := &q.Events[i]
			r := eventstore.Record{Event: e, Name: e.Stream.String()}
			if key := batch[w].Key; key != nil {
				r.Key, r.Fingerprint = key.Hash[:], key.Fingerprint[:]
			}
			before, err := s.end(ctx, r.Name)
			if err != nil {
				return err
			}
			r.Previous = before.position
			s.ends[r.Name] = end{e.Version, e.Position}
			if e.Number > 0 {
				highest[e.Stream.Category] = e.Number // they only rise
			}
			if err := p.packEvent(r, summer); err != nil {
				return &ownError{err}
			}
		}
		p.packOutcome(&batch[w], &q.Results[w])
	}
	for category, n := range highest {
		p.categories, p.highest = append(p.categories, category), append(p.highest, n)
	}
	if p.events > 0 {
		p.hash = summer.Chain(s.chain, p.first)
	}
	return nil
}

// packEvent adds one event.
func (p *parcel) packEvent(r eventstore.Record, summer *eventstore.Summer) error {
	e := r.Event
	var meta *string
	if len(e.Meta) > 0 {
		text, err := json.Marshal(e.Meta)
		if err != nil {
			return fmt.Errorf("encode metadata: %w", err)
		}
		r.Meta = string(text)
		meta = &r.Meta
	}
	data := e.Data
	if data == nil {
		data = []byte{} // no data is not the absence of a value
	}
	p.streams, p.types = append(p.streams, r.Name), append(p.types, e.Type)
	p.versions, p.previous = append(p.versions, int64(e.Version)), append(p.previous, int64(r.Previous))
	p.numbers, p.crcs = append(p.numbers, e.Number), append(p.crcs, int64(summer.Sum(r)))
	p.data, p.meta = append(p.data, data), append(p.meta, meta)
	p.eventKeys, p.prints = append(p.eventKeys, r.Key), append(p.prints, r.Fingerprint)
	return nil
}

// packOutcome adds what a write with a key was answered.
func (p *parcel) packOutcome(w *eventstore.Write, r *eventstore.Result) {
	if w.Key == nil || r.Err != nil || r.Previous != nil {
		return
	}
	name, data := "", w.Key.Outcome
	if r.Stream != (eventstore.Stream{}) {
		name = r.Stream.String()
	}
	if data == nil {
		data = []byte{}
	}
	p.keys, p.fingerprints = append(p.keys, w.Key.Hash[:]), append(p.fingerprints, w.Key.Fingerprint[:])
	p.answered, p.kept = append(p.answered, name), append(p.kept, data)
	p.answeredAt, p.answeredUpTo = append(p.answeredAt, int64(r.Version)), append(p.answeredUpTo, int64(r.Position))
	p.counts = append(p.counts, int32(len(w.Events)))
}

// appendArgs are the arguments of the function append.
func (p *parcel) appendArgs() []any {
	return []any{
		p.id, int64(p.first), p.moment, p.hash[:], p.streams, p.versions, p.previous, p.numbers, p.types,
		p.crcs, p.data, p.meta, p.eventKeys, p.prints, p.categories, p.highest,
	}
}

// rememberArgs are the arguments of the function remember, but for how long.
func (p *parcel) rememberArgs() []any {
	return []any{p.id, p.moment, p.keys, p.fingerprints, p.answered, p.answeredAt, p.answeredUpTo, p.counts, p.kept}
}
