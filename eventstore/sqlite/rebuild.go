package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// How much one slice of a rebuild does while commands may be waiting.
const (
	sliceTime  = 2 * time.Millisecond
	sliceLeast = 16   // events or rows, however slow they are
	retireRows = 500  // rows of the old generation that are deleted at once
	pageLeast  = 1000 // events read ahead for the next slices
	finishWith = 4096 // events that the last slice brings in at once
)

// Rebuild fills a second generation of the views' tables from the log and lets it
// take over, see [eventstore.Rebuild]. Nothing of it stays when it fails, at the
// latest from the next opening on.
//
//	begin     empty tables users_green, friend_green, …      between two commits
//	backfill  slices of the log, in order                    each between two commits
//	register  the last slice reaches the head: from here on
//	          each commit writes both generations            with the last slice
//	compare   pages of both, each in one snapshot            beside the commits
//	flip      users → users_old, users_green → users         one transaction
//	retire    users_old is emptied in slices and dropped     between commits
func (l *Log) Rebuild(ctx context.Context, how eventstore.Rebuild) (eventstore.Rebuilt, error) {
	if l.opts.ReadOnly {
		return eventstore.Rebuilt{}, fmt.Errorf("%w: %s was opened read-only", eventstore.ErrClosed, l.path)
	}
	if !l.rebuilding.TryLock() {
		return eventstore.Rebuilt{}, eventstore.ErrRebuilding
	}
	defer l.rebuilding.Unlock()
	r := &rebuild{log: l, how: how}
	if err := r.make(ctx); err != nil {
		r.abandon(ctx, err)
		return eventstore.Rebuilt{}, fmt.Errorf("rebuild the views of %s: %w", l.path, err)
	}
	err := r.retire(ctx)
	l.leftovers.Store(err != nil)
	if err != nil {
		l.opts.Log.Warn("the replaced tables are still there; the next start drops them", "log", l.path, "error", err)
	}
	return r.found, nil
}

// rebuild is one rebuild under way.
type rebuild struct {
	log   *Log
	how   eventstore.Rebuild
	at    eventstore.Position // the green generation holds the events up to here
	seen  eventstore.Position // where the log ended at the last slice
	page  []pending           // read ahead: the events after at
	found eventstore.Rebuilt
}

// pending is what one event changes.
type pending struct {
	position eventstore.Position
	rows     []eventstore.Row
}

// make does everything up to the flip.
func (r *rebuild) make(ctx context.Context) error {
	if err := r.step(ctx, r.begin); err != nil {
		return err
	}
	if err := r.backfill(ctx); err != nil {
		return err
	}
	if err := r.compare(ctx); err != nil {
		return err
	}
	return r.how.Step(ctx, r.flip)
}

// step runs one transaction between two commits.
func (r *rebuild) step(ctx context.Context, fn func() error) error {
	return r.how.Step(ctx, func() error { return r.log.transact(fn) })
}

// transact runs fn in a transaction of its own. A full disk has changed nothing;
// after any other error nobody knows what is on the disk, and the log stops.
func (l *Log) transact(fn func() error) error {
	if l.broken != nil {
		return l.broken
	}
	if err := l.checkpoint.makeRoom(); err != nil {
		return l.failed(err)
	}
	err := func() (err error) {
		end, err := l.begin()
		if err != nil {
			return err
		}
		defer end(&err)
		return fn()
	}()
	if err != nil {
		return l.failed(err)
	}
	return nil
}

// begin makes the green tables, empty.
func (r *rebuild) begin() error {
	l := r.log
	if err := l.dropLeftovers(); err != nil {
		return err
	}
	for name, t := range l.views.tables {
		indexes, err := l.freeIndexes(t)
		if err != nil {
			return err
		}
		if err := sqlitex.ExecuteScript(l.writer, t.createAs(name+greenSuffix, indexes), nil); err != nil {
			return fmt.Errorf("create table %s%s: %w", name, greenSuffix, err)
		}
	}
	r.seen = l.head.position
	return nil
}

// freeIndexes returns what the names of a table's indexes have to contain so that
// they are not those of the generation that answers. One of those may be gone: that is
// damage, and a rebuild is the way out.
func (l *Log) freeIndexes(t *table) (string, error) {
	for _, column := range t.def.Indexes {
		taken := false
		err := sqlitex.ExecuteTransient(l.writer, "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?",
			&sqlitex.ExecOptions{
				Args:       []any{t.def.Name + "_" + column},
				ResultFunc: func(*sqlite.Stmt) error { taken = true; return nil },
			})
		if err != nil {
			return "", err
		}
		if taken {
			return otherIndexes, nil
		}
	}
	return "", nil
}

// backfill brings the log into the green tables, slice by slice, until they are
// where the log is.
func (r *rebuild) backfill(ctx context.Context) error {
	for done := false; !done; {
		if err := r.readAhead(ctx); err != nil {
			return err
		}
		err := r.how.Step(ctx, func() (err error) { done, err = r.slice(ctx); return err })
		if err != nil {
			return err
		}
		r.how.Report(r.at, r.seen)
	}
	return nil
}

// readAhead reads the next events while commits go on, unless some are left. The
// faster the log grows, the more.
func (r *rebuild) readAhead(ctx context.Context) error {
	head, err := r.log.Head(ctx)
	if err != nil || len(r.page) > 0 || r.at == head.Position {
		return err
	}
	return r.read(ctx, r.at, min(pageLeast+2*int(head.Position-r.seen), eventstore.MaxPage))
}

// read adds up to limit events after a position to the page.
func (r *rebuild) read(ctx context.Context, after eventstore.Position, limit int) error {
	events, err := r.log.pageAfter(ctx, after, limit)
	if err != nil {
		return err
	}
	for _, e := range events {
		c := pending{position: e.Position}
		for i := range r.log.views.list {
			rows, err := r.log.views.rows(i, e)
			if err != nil {
				return err
			}
			c.rows = append(c.rows, rows...)
		}
		r.page = append(r.page, c)
	}
	return nil
}

// slice brings some of the page into the green tables. It takes at least twice
// the events that were committed since the last one, so that it gains on a log
// that grows as fast as it can. When little is left it takes all of it, and says
// that the green tables are where the log is: each commit writes them from now on.
func (r *rebuild) slice(ctx context.Context) (done bool, err error) {
	l := r.log
	least := sliceLeast + 2*int(l.head.position-r.seen)
	if l.head.position-r.at <= finishWith {
		if err := r.readRest(ctx); err != nil {
			return false, err
		}
		least = len(r.page)
	}
	n := 0
	if err := l.transact(func() error { n, err = r.bringIn(least); return err }); err != nil {
		return false, err
	}
	if n > 0 {
		r.at = r.page[n-1].position
		r.page = r.page[n:]
	}
	r.seen = l.head.position
	l.checkpoint.committed(n)
	l.views.green = r.at == l.head.position
	return l.views.green, nil
}

// readRest reads what the page lacks up to the head, which stands still.
func (r *rebuild) readRest(ctx context.Context) error {
	for end := r.at + eventstore.Position(len(r.page)); end < r.log.head.position; {
		if err := r.read(ctx, end, eventstore.MaxPage); err != nil {
			return err
		}
		end = r.page[len(r.page)-1].position
	}
	return nil
}

// bringIn applies the page from its beginning, at least so many events and then
// as many as there is time for. It returns how many.
func (r *rebuild) bringIn(least int) (int, error) {
	start := time.Now()
	for n := range r.page {
		if n >= least && time.Since(start) > sliceTime {
			return n, nil
		}
		for i := range r.page[n].rows {
			row := &r.page[n].rows[i]
			if err := r.log.views.tables[row.Table].green.apply(r.log.writer, row); err != nil {
				return n, fmt.Errorf("row of table %s for event %d: %w", row.Table, r.page[n].position, err)
			}
		}
	}
	return len(r.page), nil
}

// flip gives the green tables the names under which they are read, in one
// transaction. Statements that were prepared on the old ones are prepared again by
// SQLite when they are next used, in every connection.
func (r *rebuild) flip() error {
	l := r.log
	err := l.transact(func() error {
		for name := range l.views.tables {
			err := sqlitex.ExecuteScript(l.writer, fmt.Sprintf(
				"ALTER TABLE %[1]s RENAME TO %[1]s%[3]s; ALTER TABLE %[1]s%[2]s RENAME TO %[1]s;", name, greenSuffix, oldSuffix), nil)
			if err != nil {
				return fmt.Errorf("flip table %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	l.views.green = false
	r.found.Position = l.head.position
	return nil
}

// retire deletes the rows of the old generation in slices, and then its tables: to
// drop a large table at once would hold up the commits.
func (r *rebuild) retire(ctx context.Context) error {
	l := r.log
	for _, name := range l.views.sorted() {
		for empty := false; !empty; {
			deleted := 0
			err := r.step(ctx, func() (err error) { deleted, err = l.retireSome(l.views.tables[name]); return err })
			if err != nil {
				return err
			}
			empty = deleted == 0
			l.checkpoint.committed(deleted)
		}
		if err := r.step(ctx, func() error { return l.drop(name + oldSuffix) }); err != nil {
			return err
		}
	}
	return nil
}

// retireSome deletes some rows of a table's old generation and returns how many.
func (l *Log) retireSome(t *table) (deleted int, err error) {
	s, err := l.writer.Prepare(t.retire)
	if err != nil {
		return 0, err
	}
	for start := time.Now(); time.Since(start) < sliceTime; {
		s.BindInt64(1, retireRows)
		if err := run(s); err != nil {
			return deleted, err
		}
		n := l.writer.Changes()
		if deleted += n; n == 0 {
			break
		}
	}
	return deleted, nil
}

// abandon drops the green tables, if the log still takes it. Otherwise the next
// start does.
func (r *rebuild) abandon(ctx context.Context, cause error) {
	l := r.log
	err := r.how.Step(context.WithoutCancel(ctx), func() error {
		l.views.green = false // also when they can't be dropped: nobody has to fill them now
		return l.transact(l.dropLeftovers)
	})
	l.leftovers.Store(err != nil)
	l.opts.Log.Warn("views not rebuilt; the old ones go on", "log", l.path, "cause", cause, "dropped", err == nil)
}

// dropLeftovers drops what a rebuild has left behind: the tables of generations
// that nobody reads.
func (l *Log) dropLeftovers() error {
	for _, name := range l.views.sorted() {
		for _, suffix := range []string{greenSuffix, oldSuffix} {
			if err := l.drop(name + suffix); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop drops a table with its indexes, if it is there.
func (l *Log) drop(name string) error {
	if err := sqlitex.ExecuteTransient(l.writer, "DROP TABLE IF EXISTS "+name, nil); err != nil {
		return fmt.Errorf("drop table %s: %w", name, err)
	}
	return nil
}
