package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
)

// Verified is what Verify has looked at.
type Verified struct {
	Events  eventstore.Position
	Commits int
	Streams int
	Rows    int // of views, each as the log says
}

// Verify checks the whole log and its views: every checksum, the chain of commits, that
// positions and the versions of every stream are dense, that each event points back to
// the one before it in its stream, that time never runs backwards, that counters and
// lineage fit, and that every row of every view is what the log says. Replicas may go on
// writing; it checks what was there when it began. It takes about 100 bytes of memory a
// stream and a row. progress is told how far it is.
//
// Errors: DamageError, which names the first thing that is wrong; ErrAway, the
// context's.
func (l *Log) Verify(ctx context.Context, progress func(done, total eventstore.Position)) (v Verified, err error) {
	conn, err := l.server.connect(ctx)
	if err != nil {
		return v, l.explain(err)
	}
	defer hangUp(ctx, conn)
	// One snapshot for all of it: the transaction is idle while this process computes, and a
	// statement takes as long as this process needs for what it reads.
	if _, err := conn.Exec(ctx, "set idle_in_transaction_session_timeout = 0; set statement_timeout = 0"); err != nil {
		return v, l.explain(err)
	}
	check := &verification{log: l, streams: map[string]end{}, numbers: map[string]int64{}, rows: map[string]map[int64]uint64{}}
	check.decoder = decoder{check: eventstore.NewSummer(), types: map[string]string{}}
	check.seed = maphash.MakeSeed()
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error { return check.all(ctx, tx, progress) })
	v = Verified{Events: check.position, Commits: check.commits, Streams: len(check.streams), Rows: check.compared}
	if _, ok := errors.AsType[*ownError](err); ok {
		return v, err
	}
	return v, l.explain(err)
}

// verification walks the log along its commits.
type verification struct {
	log      *Log
	decoder  decoder // its checksums also make the hashes of commits
	streams  map[string]end
	numbers  map[string]int64 // the highest of each category
	position eventstore.Position
	last     time.Time
	chain    [32]byte
	commits  int
	seed     maphash.Seed
	rows     map[string]map[int64]uint64 // by table and key, a hash of what the log says
	compared int
}

// link is a row of commits.
type link struct {
	first, last eventstore.Position
	at          time.Time
	hash        []byte
}

// all checks everything that one snapshot holds.
func (v *verification) all(ctx context.Context, tx pgx.Tx, progress func(done, total eventstore.Position)) error {
	for name := range v.log.views.tables {
		v.rows[name] = map[int64]uint64{}
	}
	var end eventstore.Position
	if err := tx.QueryRow(ctx, v.sql("select coalesce(max(last), 0) from {s}.commits")).Scan((*int64)(&end)); err != nil {
		return err
	}
	for first := eventstore.Position(0); ; {
		links, err := v.links(ctx, tx, first)
		if err != nil {
			return err
		}
		if len(links) == 0 {
			break
		}
		if err := v.walk(ctx, tx, links); err != nil {
			return err
		}
		first = links[len(links)-1].first
		progress(v.position, end)
	}
	if err := v.ends(ctx, tx); err != nil {
		return err
	}
	for _, name := range v.log.views.sorted() {
		if err := v.view(ctx, tx, name); err != nil {
			return err
		}
	}
	return nil
}

// sql names the tables of a statement.
func (v *verification) sql(statement string) string { return in(v.log.opts.Schema, statement) }

// links reads the next commits.
func (v *verification) links(ctx context.Context, tx pgx.Tx, after eventstore.Position) ([]link, error) {
	rows, err := tx.Query(ctx, v.sql("select first, last, recorded_at, hash from {s}.commits where first > $1 order by first limit 500"), int64(after))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l link, err error) {
		err = row.Scan((*int64)(&l.first), (*int64)(&l.last), &l.at, &l.hash)
		return l, err
	})
}

// walk checks the events of commits that follow each other.
func (v *verification) walk(ctx context.Context, tx pgx.Tx, links []link) error {
	rows, err := tx.Query(ctx, v.sql("select "+columns+" from {s}.events where position between $1 and $2 order by position"),
		pgx.QueryResultFormats{pgx.BinaryFormatCode}, int64(links[0].first), int64(links[len(links)-1].last))
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := range links {
		if links[i].first != v.position+1 || links[i].last < links[i].first {
			return v.log.damage(v.position+1, "no commit begins here")
		}
		for v.position < links[i].last {
			if !rows.Next() {
				if err := rows.Err(); err != nil {
					return err
				}
				return v.log.damage(v.position+1, "the event is missing")
			}
			if err := v.event(rows.RawValues(), &links[i]); err != nil {
				return err
			}
		}
		v.chain = v.decoder.check.Chain(v.chain, links[i].first)
		if string(v.chain[:]) != string(links[i].hash) {
			return v.log.damage(links[i].first, "the commit that begins here does not fit into the chain")
		}
		v.commits++
	}
	return nil
}

// event checks one event.
func (v *verification) event(columns [][]byte, in *link) error {
	at := v.position + 1
	var r stored
	if err := v.decoder.decode(columns, &r); err != nil {
		return v.log.damage(at, "%v", err)
	}
	e := &r.event
	name := e.Stream.String()
	before := v.streams[name]
	switch {
	case e.Position != at:
		return v.log.damage(at, "the event is missing")
	case e.Version != before.version+1 || r.previous != before.position:
		return v.log.damage(at, "it is version %d of stream %s, which was at version %d", e.Version, name, before.version)
	case e.Time.Before(v.last) || !e.Time.Equal(in.at):
		return v.log.damage(at, "its time is not that of its commit, or before that of the event before it")
	}
	v.streams[name] = end{e.Version, at}
	v.numbers[e.Stream.Category] = max(v.numbers[e.Stream.Category], e.Number)
	v.position, v.last = at, e.Time
	return v.fold(*e)
}

// fold takes in what an event changes in the views.
func (v *verification) fold(e eventstore.Event) error {
	changes, err := v.log.views.rows([]eventstore.Event{e})
	if err != nil {
		return &ownError{err}
	}
	for name, rows := range changes {
		for _, row := range rows {
			if delete(v.rows[name], row.Values[0].Int()); !row.Delete {
				v.rows[name][row.Values[0].Int()] = v.sum(row.Values)
			}
		}
	}
	return nil
}

// sum hashes a row.
func (v *verification) sum(values []eventstore.Value) uint64 {
	var h maphash.Hash
	h.SetSeed(v.seed)
	for _, value := range values {
		maphash.WriteComparable(&h, value)
	}
	return h.Sum64()
}

// ends checks what is beside the events: that none lies beyond the last commit, the
// counters, the lineage.
func (v *verification) ends(ctx context.Context, tx pgx.Tx) error {
	var beyond, name, fork eventstore.Position
	err := tx.QueryRow(ctx, v.sql(`select (select coalesce(max(position), 0) from {s}.events),
			coalesce((select first from {s}.lineage order by first limit 1), 0),
			coalesce((select first from {s}.lineage order by first desc limit 1), 0)`)).
		Scan((*int64)(&beyond), (*int64)(&name), (*int64)(&fork))
	if err != nil {
		return err
	}
	if beyond != v.position {
		return v.log.damage(v.position+1, "there are events up to %d that no commit holds", beyond)
	}
	if fork > v.position+1 {
		return v.log.damage(v.position+1, "the log ends before position %d, where its lineage says it goes on", fork)
	}
	if name != 1 {
		return v.log.damage(0, "the lineage does not begin at position 1")
	}
	rows, err := tx.Query(ctx, v.sql("select category, highest from {s}.counters"))
	if err != nil {
		return err
	}
	var category string
	var highest int64
	found := map[string]int64{}
	if _, err := pgx.ForEachRow(rows, []any{&category, &highest}, func() error { found[category] = highest; return nil }); err != nil {
		return err
	}
	for category, highest := range found {
		if want := v.numbers[category]; highest != want {
			return v.log.damage(0, "the counter of %s is at %d, the events say %d", category, highest, want)
		}
		delete(v.numbers, category)
	}
	for category, want := range v.numbers {
		if want != 0 {
			return v.log.damage(0, "the counter of %s is missing, the events say %d", category, want)
		}
	}
	return nil
}

// view compares a table with what the log says.
func (v *verification) view(ctx context.Context, tx pgx.Tx, name string) error {
	t, should := v.log.views.tables[name], v.rows[name]
	wrong := func(key int64, how string) error {
		return &eventstore.DamageError{
			Log: v.log.name, Reason: fmt.Sprintf("row %d of table %s %s", key, name, how),
			Hint: "The events are not affected: rebuild the views",
		}
	}
	for after, n := int64(math.MinInt64), pageRows; n == pageRows; {
		rows, err := t.read(ctx, tx, t.page[0], after, int64(pageRows))
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row[0].Int()
			sum, there := should[after]
			switch {
			case !there:
				return wrong(after, "is there, but not by the log")
			case sum != v.sum(row):
				return wrong(after, "is not what the log says")
			}
			delete(should, after)
			v.compared++
		}
		n = len(rows)
	}
	for key := range should {
		return wrong(key, "is missing")
	}
	return nil
}
