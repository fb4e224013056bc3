package sqlite

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// views knows the tables of all views and the statements on them.
type views struct {
	list   []eventstore.View
	tables map[string]*table
	green  bool // the green generation is written too; used between commits alone
}

// newViews prepares the statements of all views.
func newViews(list []eventstore.View) (*views, error) {
	v := &views{list: list, tables: map[string]*table{}}
	for i, view := range list {
		for _, def := range view.Tables() {
			if v.tables[def.Name] != nil {
				return nil, fmt.Errorf("two views share the table %s", def.Name)
			}
			if strings.HasSuffix(def.Name, greenSuffix) || strings.HasSuffix(def.Name, oldSuffix) {
				return nil, fmt.Errorf("table %s: names with that end belong to rebuilding; choose another", def.Name)
			}
			v.tables[def.Name] = newTable(i, def)
		}
	}
	return v, nil
}

// sorted returns the names of all tables, ascending.
func (v *views) sorted() []string { return slices.Sorted(maps.Keys(v.tables)) }

// rows returns what an event changes in one view.
func (v *views) rows(view int, e eventstore.Event) ([]eventstore.Row, error) {
	rows, err := v.list[view].Rows(e)
	if err != nil {
		return nil, fmt.Errorf("view of event %d: %w", e.Position, err)
	}
	for i := range rows {
		if v.tables[rows[i].Table] == nil {
			return nil, fmt.Errorf("row of table %s for event %d: no view has this table", rows[i].Table, e.Position)
		}
	}
	return rows, nil
}

// apply writes the rows that an event changes, in every generation there is.
func (v *views) apply(conn *sqlite.Conn, e eventstore.Event) error {
	for i := range v.list {
		if err := v.applyOne(conn, i, e); err != nil {
			return err
		}
	}
	return nil
}

// applyOne writes the rows that an event changes in one view.
func (v *views) applyOne(conn *sqlite.Conn, view int, e eventstore.Event) error {
	rows, err := v.rows(view, e)
	if err != nil {
		return err
	}
	for i := range rows {
		t := v.tables[rows[i].Table]
		err := t.blue.apply(conn, &rows[i])
		if err == nil && v.green {
			err = t.green.apply(conn, &rows[i])
		}
		if err != nil {
			return fmt.Errorf("row of table %s for event %d: %w", rows[i].Table, e.Position, err)
		}
	}
	return nil
}

// Select implements [eventstore.Driver].
func (l *Log) Select(ctx context.Context, q eventstore.Select) (rows [][]eventstore.Value, err error) {
	t := l.views.tables[q.Table]
	if t == nil {
		return nil, fmt.Errorf("select from %s: no view has this table", q.Table)
	}
	sql, ok := t.selec[q.Column]
	if !ok {
		return nil, fmt.Errorf("select from %s: no index on column %s", q.Table, q.Column)
	}
	args := []int64{q.After, int64(min(q.Limit, eventstore.MaxPage))}
	if q.Column != "" {
		args = append([]int64{q.Equals}, args...)
	}
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		return query(conn, sql, func(s *sqlite.Stmt) error {
			rows = append(rows, t.row(s))
			return nil
		}, args...)
	})
	return rows, l.classify(err)
}

// openViews makes the tables of the views, and fills those anew whose definition
// is not the one in the file. Nobody reads or writes yet, so that is done in one
// transaction.
func (l *Log) openViews(ctx context.Context) (err error) {
	if l.views, err = newViews(l.opts.Views); err != nil {
		return err
	}
	// On a full disk they stay: nobody reads or fills them.
	if err := l.classify(l.dropLeftovers()); err != nil {
		if !errors.Is(err, eventstore.ErrFull) {
			return err
		}
		l.leftovers.Store(true)
	}
	stale, err := l.staleViews()
	if err != nil || len(stale) == 0 {
		return err
	}
	return l.fill(ctx, stale)
}

// staleViews returns the indices of the views whose tables are not in the file
// as they are defined.
func (l *Log) staleViews() (stale []int, err error) {
	found := map[string]string{}
	const sql = "SELECT name, definition FROM views WHERE name IN (SELECT name FROM sqlite_schema WHERE type = 'table')"
	err = query(l.writer, sql, func(s *sqlite.Stmt) error {
		found[s.ColumnText(0)] = s.ColumnText(1)
		return nil
	})
	if err != nil {
		return nil, l.classify(err)
	}
	for i := range l.views.list {
		for name, t := range l.views.tables {
			if t.view == i && found[name] != t.create {
				stale = append(stale, i)
				break
			}
		}
	}
	return stale, nil
}

// fill drops the tables of some views and fills them from the log.
func (l *Log) fill(ctx context.Context, which []int) (err error) {
	end, err := sqlitex.ImmediateTransaction(l.writer)
	if err != nil {
		return l.classify(err)
	}
	defer end(&err)
	for _, i := range which {
		if err := l.recreate(i); err != nil {
			return l.classify(err)
		}
	}
	for at := eventstore.Position(0); at < l.head.position; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if at, err = l.fillPage(ctx, which, at); err != nil {
			return l.classify(err)
		}
	}
	return nil
}

// fillPage brings a page of events into some views and returns where it ends.
func (l *Log) fillPage(
	ctx context.Context, which []int, after eventstore.Position,
) (eventstore.Position, error) {
	page, err := l.pageAfter(ctx, after, eventstore.MaxPage)
	if err != nil {
		return after, err
	}
	for _, e := range page {
		for _, i := range which {
			if err := l.views.applyOne(l.writer, i, e); err != nil {
				return after, err
			}
		}
		after = e.Position
	}
	return after, nil
}

// pageAfter reads events that have to be there.
func (l *Log) pageAfter(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	page, err := l.ReadAll(ctx, after, limit)
	if err == nil && len(page) == 0 {
		err = l.damage(after+1, "the event is missing")
	}
	return page, err
}

// recreate makes the tables of one view, empty.
func (l *Log) recreate(view int) error {
	for name, t := range l.views.tables {
		if t.view != view {
			continue
		}
		if err := sqlitex.ExecuteScript(l.writer, "DROP TABLE IF EXISTS "+name+";"+t.create, nil); err != nil {
			return fmt.Errorf("create table %s: %w", name, err)
		}
		err := sqlitex.ExecuteTransient(l.writer, "INSERT OR REPLACE INTO views (name, definition) VALUES (?, ?)",
			&sqlitex.ExecOptions{Args: []any{name, t.create}})
		if err != nil {
			return fmt.Errorf("note table %s: %w", name, err)
		}
	}
	return nil
}
