package postgres

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
)

// columns is what decode reads, in its order.
const columns = "position, stream, version, previous, number, type, recorded_at, crc, data, meta, key, fingerprint"

// statements are those on the tables of the log.
type statements struct {
	all, stream, head, lineage                string
	lock, state, ends, highest, used          string
	append, remember, landedEvents, landedKey string
}

// newStatements returns the statements on the log in a schema.
func newStatements(schema string) statements {
	s := statements{
		all:     "select " + columns + " from {s}.events where position > $1 order by position limit $2",
		stream:  "select " + columns + " from {s}.events where stream = $1 and version > $2 order by stream, version limit $3",
		head:    "select last, recorded_at from {s}.commits order by first desc limit 1",
		lineage: "select first, uuid from {s}.lineage order by first",
		lock:    "select {s}.take_lock()",
		state: `select v.version, clock_timestamp(), coalesce(c.last, 0), coalesce(c.recorded_at, 'epoch'), coalesce(c.hash, '')
			from {s}.schema_version v left join (select * from {s}.commits order by first desc limit 1) c on true`,
		ends: `select n.name, coalesce(e.version, 0), coalesce(e.position, 0) from (
				select unnest($1::text[]) union
				select a.category || '-' || coalesce(c.highest, 0)::numeric + i
				from unnest($2::text[], $3::bigint[]) a(category, count)
				left join {s}.counters c using (category), generate_series(1, a.count) i
			) n(name) left join lateral (
				select version, position from {s}.events where stream = n.name order by stream desc, version desc limit 1
			) e on true`,
		highest: "select category, highest from {s}.counters where category = any($1)",
		// The limit keeps the planner from looking for the keys among all that are kept.
		used: `select o.key, o.fingerprint, o.stream, o.version, o.position, o.events, o.data
			from unnest($1::bytea[]) k(key), lateral (select * from {s}.outcomes where key = k.key limit 1) o
			where o.id > (select max(id) from {s}.outcomes) - $2::bigint and o.recorded_at >= clock_timestamp() - $3::interval`,
		append:       "select {s}.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
		remember:     "select {s}.remember($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		landedEvents: "select exists (select from {s}.commits where first = $1 and batch = $2)",
		landedKey:    "select exists (select from {s}.outcomes where key = $1 and batch = $2)",
	}
	for _, sql := range []*string{
		&s.all, &s.stream, &s.head, &s.lineage, &s.lock, &s.state, &s.ends, &s.highest, &s.used,
		&s.append, &s.remember, &s.landedEvents, &s.landedKey,
	} {
		*sql = in(schema, *sql)
	}
	return s
}

// ReadAll implements [eventstore.Driver].
func (l *Log) ReadAll(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	p, err := l.read(ctx, l.sql.all, int64(after), min(limit, eventstore.MaxPage))
	if err != nil {
		return nil, err
	}
	for i := range p.events {
		if want := after + 1 + eventstore.Position(i); p.events[i].Position != want {
			p.events, p.damage = p.events[:i], l.damage(want, "the event is missing")
			break
		}
	}
	if len(p.events) > 0 {
		return p.events, nil // damage further on is met by the next call, which begins there
	}
	return nil, p.damage
}

// ReadStream implements [eventstore.Driver].
func (l *Log) ReadStream(
	ctx context.Context, stream eventstore.Stream, after eventstore.Version, limit int,
) ([]eventstore.Event, error) {
	p, err := l.read(ctx, l.sql.stream, stream.String(), int64(after), min(limit, eventstore.MaxPage))
	if err != nil || p.damage != nil {
		return nil, cmpErr(err, p.damage)
	}
	for i, e := range p.events {
		if want := after + 1 + eventstore.Version(i); e.Version != want || e.Stream != stream {
			return nil, l.damage(e.Position, "version %d of stream %s is missing", want, stream)
		}
	}
	return p.events, nil
}

// cmpErr returns the first error that is one.
func cmpErr(errs ...error) error {
	if i := slices.IndexFunc(errs, func(e error) bool { return e != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// page is a result of reading: events that are as they were written, up to damage.
type page struct {
	events []eventstore.Event
	damage error // why there are no more; nil if there is nothing wrong
}

// read reads events with a connection of its own, and again while the database is
// away.
func (l *Log) read(ctx context.Context, sql string, args ...any) (p page, err error) {
	err = l.patiently(ctx, func(ctx context.Context) error {
		p, err = l.page(ctx, l.readers, sql, args...)
		return err
	})
	return p, err
}

// page reads events and checks each of them.
func (l *Log) page(ctx context.Context, on interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, sql string, args ...any,
) (p page, err error) {
	rows, err := on.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return p, err
	}
	defer rows.Close()
	d := decoder{check: eventstore.NewChecker(), types: map[string]string{}}
	for rows.Next() {
		var r stored
		if err := d.decode(rows.RawValues(), &r); err != nil {
			p.damage = l.damage(r.event.Position, "%v", err)
			return p, nil
		}
		p.events = append(p.events, r.event)
	}
	return p, rows.Err()
}

// stored is an event with the columns that only this driver knows.
type stored struct {
	event    eventstore.Event
	previous eventstore.Position
}

// decoder turns rows into events.
type decoder struct {
	check *eventstore.Summer
	types map[string]string // names of types: there are few, so each is kept once
}

// epoch is where Postgres counts its microseconds from, in those since 1970.
const epoch = 946_684_800_000_000

// decode reads the columns of a row, in their binary form, and refuses what is not as
// it was written.
func (d *decoder) decode(v [][]byte, r *stored) (err error) {
	for _, i := range [...]int{0, 2, 3, 4, 6, 7} {
		if len(v[i]) != 8 {
			return fmt.Errorf("column %d has %d bytes instead of 8", i+1, len(v[i]))
		}
	}
	name := string(v[1])
	e := &r.event
	e.Position = eventstore.Position(integer(v[0]))
	e.Version = eventstore.Version(integer(v[2]))
	r.previous = eventstore.Position(integer(v[3]))
	e.Number = integer(v[4])
	e.Type = d.typeName(v[5])
	e.Time = time.UnixMicro(integer(v[6]) + epoch).UTC()
	e.Data = slices.Clone(v[8])
	if e.Stream, err = eventstore.ParseStream(name); err != nil {
		return err
	}
	meta := ""
	if v[9] != nil {
		meta = string(v[9])
		if err := json.Unmarshal(v[9], &e.Meta); err != nil {
			return err
		}
	}
	sum := d.check.Sum(eventstore.Record{
		Event: e, Name: name, Meta: meta, Previous: r.previous, Key: v[10], Fingerprint: v[11],
	})
	if want := integer(v[7]); int64(sum) != want {
		return fmt.Errorf("its checksum is %08x instead of %08x", sum, want)
	}
	return nil
}

// typeName returns the name of a type.
func (d *decoder) typeName(b []byte) string {
	name, known := d.types[string(b)]
	if !known {
		name = string(b)
		d.types[name] = name
	}
	return name
}

// integer reads a bigint, a timestamp or a timestamptz.
func integer(b []byte) int64 { return int64(binary.BigEndian.Uint64(b)) }

// Head implements [eventstore.Driver].
func (l *Log) Head(ctx context.Context) (h eventstore.Head, err error) {
	err = l.patiently(ctx, func(ctx context.Context) error {
		h, err = l.headOn(ctx)
		return err
	})
	return h, err
}

// headOn asks for the end of the log and its lineage in one round trip. The lineage is
// read last: it may know of a fork that lies beyond the end, never the other way round.
func (l *Log) headOn(ctx context.Context) (h eventstore.Head, err error) {
	batch := &pgx.Batch{}
	batch.Queue(l.sql.head).QueryRow(func(row pgx.Row) error {
		err := row.Scan((*int64)(&h.Position), &h.Time)
		if err == pgx.ErrNoRows { //nolint:errorlint // it is returned as it is
			return nil
		}
		h.Time = h.Time.UTC()
		return err
	})
	batch.Queue(l.sql.lineage).Query(func(rows pgx.Rows) error {
		var f eventstore.Fork
		_, err := pgx.ForEachRow(rows, []any{(*int64)(&f.First), &f.UUID}, func() error {
			h.Lineage = append(h.Lineage, f)
			return nil
		})
		return err
	})
	if err := l.readers.SendBatch(ctx, batch).Close(); err != nil {
		return h, err
	}
	if len(h.Lineage) == 0 || h.Lineage[0].First != 1 {
		return h, l.damage(0, "the lineage does not begin at position 1")
	}
	return h, nil
}

// Outcome implements [eventstore.Driver].
func (l *Log) Outcome(ctx context.Context, hash [16]byte) (o eventstore.Outcome, found bool, err error) {
	err = l.patiently(ctx, func(ctx context.Context) error {
		rows, err := l.readers.Query(ctx, l.sql.used, [][]byte{hash[:]}, l.opts.KeepKeys, l.opts.KeepKeysFor)
		if err != nil {
			return err
		}
		return scanOutcomes(rows, func(_ [16]byte, one eventstore.Outcome) { o, found = one, true })
	})
	return o, found, err
}

// scanOutcomes reads rows of outcomes.
func scanOutcomes(rows pgx.Rows, take func([16]byte, eventstore.Outcome)) error {
	defer rows.Close()
	for rows.Next() {
		var o eventstore.Outcome
		var key, fingerprint []byte
		var stream string
		err := rows.Scan(&key, &fingerprint, &stream, (*int64)(&o.Version), (*int64)(&o.Position), &o.Events, &o.Data)
		if err != nil {
			return err
		}
		copy(o.Fingerprint[:], fingerprint)
		if stream != "" {
			if o.Stream, err = eventstore.ParseStream(stream); err != nil {
				return err
			}
		}
		take([16]byte(key), o)
	}
	return rows.Err()
}
