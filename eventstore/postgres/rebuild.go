package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
)

// How much one slice of a rebuild does while commands of any replica may be waiting.
const (
	sliceLeast = 1000 // events
	finishWith = 1024 // events that the last slice brings in at once
	pageRows   = 1000 // rows of each generation that are compared in one snapshot
)

// Rebuild fills a second generation of the views' tables from the log and lets it take
// over, see [eventstore.Rebuild], while any number of replicas go on writing. Nothing of
// it stays when it fails, at the latest from the next opening or rebuild on.
//
//	begin     empty tables users_green, friend_green, …      under the log's lock
//	backfill  slices of the log, in order                    each under the lock
//	register  the last slice reaches the head: from here on
//	          each commit of each replica writes both        with the last slice
//	compare   pages of both, each in one snapshot            beside the commits
//	flip      users → users_old, users_green → users         one transaction
//	retire    users_old is dropped                           beside the commits
//
// Errors: those of eventstore.Rebuild; ErrRebuilding also when another replica rebuilds.
func (l *Log) Rebuild(ctx context.Context, how eventstore.Rebuild) (found eventstore.Rebuilt, err error) {
	if !l.rebuilding.TryLock() {
		return found, eventstore.ErrRebuilding
	}
	defer l.rebuilding.Unlock()
	if len(l.views.tables) == 0 {
		return found, nil
	}
	conn, err := l.server.connect(ctx)
	if err != nil {
		return found, l.explain(err)
	}
	defer hangUp(ctx, conn) // which also gives the lock of rebuilds back
	alone, err := l.lockRebuilds(ctx, conn)
	if err != nil || !alone {
		return found, errors.Join(l.explain(err), notAlone(alone, err))
	}
	r := &rebuild{log: l, how: how, conn: conn}
	if err := r.make(ctx); err != nil {
		l.opts.Log.Warn("views not rebuilt; the old ones go on", "log", l.name, "cause", l.server.masked(err))
		l.tidyUp(ctx, conn)
		return eventstore.Rebuilt{}, fmt.Errorf("rebuild the views: %w", r.explain(err))
	}
	l.tidyUp(ctx, conn)
	return r.found, nil
}

// notAlone returns ErrRebuilding unless this is the only rebuild.
func notAlone(alone bool, err error) error {
	if err == nil && !alone {
		return eventstore.ErrRebuilding
	}
	return nil
}

// lockRebuilds takes the lock of rebuilds, if nobody has it, for as long as the
// connection lives.
func (l *Log) lockRebuilds(ctx context.Context, conn *pgx.Conn) (alone bool, err error) {
	err = conn.QueryRow(ctx, "select pg_try_advisory_lock(($1::bigint << 32) | $2::regclass::oid::bigint)",
		lockClass, in(l.opts.Schema, "{s}.views")).Scan(&alone)
	return alone, err
}

// tidyUp drops the tables that nobody reads. When it can't, they stay until the next
// opening or rebuild; commits fill them meanwhile, and nothing else is wrong.
func (l *Log) tidyUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.opts.Patience)
	defer cancel()
	if _, err := conn.Exec(ctx, in(l.opts.Schema, "select {s}.drop_green()")); err != nil {
		l.opts.Log.Warn("tables that a rebuild needs no more are still there; the next start drops them",
			"log", l.name, "error", l.server.masked(err))
	}
}

// dropLeftovers drops what a rebuild has left behind whose process has ended.
func (l *Log) dropLeftovers(ctx context.Context, conn *pgx.Conn) error {
	if len(l.views.tables) == 0 {
		return nil
	}
	var left bool
	err := conn.QueryRow(ctx, in(l.opts.Schema, `select exists (
			select from {s}.views v, pg_class c where c.relnamespace = to_regnamespace($1) and c.relname in (v.name || '_green', v.name || '_old'))`),
		in(l.opts.Schema, "{s}")).Scan(&left)
	if err != nil || !left {
		return err
	}
	alone, err := l.lockRebuilds(ctx, conn)
	if err != nil || !alone {
		return err // another replica rebuilds
	}
	l.tidyUp(ctx, conn)
	return nil
}

// rebuild is one rebuild under way.
type rebuild struct {
	log   *Log
	how   eventstore.Rebuild
	conn  *pgx.Conn
	at    eventstore.Position // the green generation holds the events up to here
	seen  eventstore.Position // where the log ended at the last slice
	done  bool                // each commit writes the green generation
	found eventstore.Rebuilt
}

// explain says which errors are the database's; others are the caller's or a view's.
func (r *rebuild) explain(err error) error {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok || r.conn.IsClosed() {
		return r.log.explain(err)
	}
	return err
}

// make does everything up to the flip.
func (r *rebuild) make(ctx context.Context) error {
	err := r.step(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		if r.seen, err = r.head(ctx, tx.Conn()); err != nil { // what came before did not come since
			return err
		}
		return r.call(ctx, tx, "make_green")
	})
	if err != nil {
		return err
	}
	for !r.done {
		if err := r.slice(ctx); err != nil {
			return err
		}
		r.how.Report(r.at, r.seen)
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	return r.step(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var err error
		if r.found.Position, err = r.head(ctx, tx.Conn()); err != nil {
			return err
		}
		return r.flip(ctx, tx)
	})
}

// flip lets the green tables take over, unless they are gone: a migration that makes
// other tables of views drops them.
func (r *rebuild) flip(ctx context.Context, tx pgx.Tx) error {
	var green int
	err := tx.QueryRow(ctx, in(r.log.opts.Schema, "select count(*) from {s}.views where green and name = any($1)"), r.log.views.sorted()).Scan(&green)
	if err != nil {
		return err
	}
	if green != len(r.log.views.tables) {
		return fmt.Errorf("%w: a migration has dropped what was rebuilt; begin again", eventstore.ErrRebuilding)
	}
	return r.call(ctx, tx, "flip")
}

// step runs one transaction under the lock of the log, between two commits of this
// replica. The transaction is tried again while something that passes is in its way,
// such as a long query of somebody else on a table that is to get another name. While it
// runs no command of this replica is answered, so a silent line ends it after a while.
func (r *rebuild) step(ctx context.Context, fn func(context.Context, pgx.Tx) error) error {
	for try := 0; ; try++ {
		err := r.how.Step(ctx, func() error {
			ctx, cancel := context.WithTimeout(ctx, 3*r.log.opts.Patience)
			defer cancel()
			return pgx.BeginFunc(ctx, r.conn, func(tx pgx.Tx) error {
				if err := r.call(ctx, tx, "take_lock"); err != nil {
					return err
				}
				return fn(ctx, tx)
			})
		})
		if err == nil || judge(err) != again || r.conn.IsClosed() || try == 10 {
			return err
		}
		if err := sleep(ctx, pause(try)); err != nil {
			return err
		}
	}
}

// call calls one of our functions.
func (r *rebuild) call(ctx context.Context, tx pgx.Tx, function string) error {
	_, err := tx.Exec(ctx, in(r.log.opts.Schema, "select {s}."+function+"()"))
	return err
}

// head returns where the log ends.
func (r *rebuild) head(ctx context.Context, conn *pgx.Conn) (p eventstore.Position, err error) {
	err = conn.QueryRow(ctx, in(r.log.opts.Schema, "select coalesce(max(last), 0) from {s}.commits")).Scan((*int64)(&p))
	return p, err
}

// slice brings the next events into the green tables: at least twice as many as came
// since the last slice, so that it gains on a log that several replicas write as fast
// as they can. They are read and turned into rows beside the commits. When little is
// left it takes all of it, and registers the green tables.
func (r *rebuild) slice(ctx context.Context) error {
	head, err := r.head(ctx, r.conn)
	if err != nil {
		return err
	}
	until := min(head, r.at+sliceLeast+2*(head-r.seen))
	changes, err := r.read(ctx, until)
	if err != nil {
		return err
	}
	return r.step(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := r.apply(ctx, tx, changes); err != nil {
			return err
		}
		at := until
		end, err := r.head(ctx, tx.Conn())
		if err != nil {
			return err
		}
		done := end-at <= finishWith
		if done {
			rest, err := r.readFrom(ctx, tx.Conn(), at, end)
			if err != nil {
				return err
			}
			if err := r.apply(ctx, tx, rest); err != nil {
				return err
			}
			if err := r.call(ctx, tx, "register_green"); err != nil {
				return err
			}
			at = end
		}
		r.at, r.seen, r.done = at, end, done
		return nil
	})
}

// read returns what the events up to a position change.
func (r *rebuild) read(ctx context.Context, until eventstore.Position) (map[string][]eventstore.Row, error) {
	return r.readFrom(ctx, r.conn, r.at, until)
}

// readFrom returns what the events after a position up to another change.
func (r *rebuild) readFrom(ctx context.Context, conn *pgx.Conn, after, until eventstore.Position) (map[string][]eventstore.Row, error) {
	all := map[string][]eventstore.Row{}
	for after < until {
		p, err := r.log.page(ctx, conn, r.log.sql.all, int64(after), min(int64(until-after), eventstore.MaxPage))
		if err != nil || len(p.events) == 0 {
			return nil, cmpErr(err, p.damage, r.log.damage(after+1, "the event is missing"))
		}
		changes, err := r.log.views.rows(p.events)
		if err != nil {
			return nil, err
		}
		for table, rows := range changes {
			all[table] = append(all[table], rows...)
		}
		after = p.events[len(p.events)-1].Position
	}
	return all, nil
}

// apply writes rows of the green tables.
func (r *rebuild) apply(ctx context.Context, tx pgx.Tx, changes map[string][]eventstore.Row) error {
	b := &pgx.Batch{}
	for name, rows := range changes {
		t := r.log.views.tables[name]
		b.Queue(t.write, t.args(rows, true)...)
	}
	return tx.SendBatch(ctx, b).Close()
}

// compare compares the two generations of every table, page by page. Each page is read
// in one snapshot, in which both are at the same position, and from then on each commit
// changes both in the same way. So what is equal stays equal, and no commit has to wait.
func (r *rebuild) compare(ctx context.Context) error {
	for _, name := range r.log.views.sorted() {
		t, c := r.log.views.tables[name], eventstore.NewComparison(pageRows)
		for after := int64(math.MinInt64); after < math.MaxInt64; {
			err := pgx.BeginTxFunc(ctx, r.conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
				var pages [2][][]eventstore.Value
				for i := range pages {
					var err error
					if pages[i], err = t.read(ctx, tx, t.page[i], after, int64(pageRows)); err != nil {
						return err
					}
				}
				after = c.Page(pages[0], pages[1])
				return nil
			})
			if err != nil {
				return err
			}
		}
		r.found.Tables = append(r.found.Tables, c.Result(name))
	}
	return nil
}
