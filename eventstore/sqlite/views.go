package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// views knows the tables of all views and the statements on them.
type views struct {
	list   []eventstore.View
	tables map[string]*table
}

// table is one table of a view with its statements. Names of tables and columns
// come from the views, never from input.
type table struct {
	view   int // index into views.list
	def    eventstore.Table
	create string // the statements that make it; kept in the file to notice a change
	upsert string
	remove string
	selec  map[string]string // by column
}

// newViews prepares the statements of all views.
func newViews(list []eventstore.View) (*views, error) {
	v := &views{list: list, tables: map[string]*table{}}
	for i, view := range list {
		for _, def := range view.Tables() {
			if v.tables[def.Name] != nil {
				return nil, fmt.Errorf("two views share the table %s", def.Name)
			}
			v.tables[def.Name] = newTable(i, def)
		}
	}
	return v, nil
}

// newTable prepares the statements of one table.
func newTable(view int, def eventstore.Table) *table {
	var cols, names, marks []string
	for i, c := range def.Columns {
		kind := "INTEGER"
		if c.Type == eventstore.TextColumn {
			kind = "TEXT"
		}
		constraint := " NOT NULL"
		if i == 0 {
			constraint = " PRIMARY KEY"
		}
		cols = append(cols, c.Name+" "+kind+constraint)
		names = append(names, c.Name)
		marks = append(marks, "?")
	}
	key, all := def.Columns[0].Name, strings.Join(names, ", ")
	t := &table{
		view:   view,
		def:    def,
		create: fmt.Sprintf("CREATE TABLE %s (%s) STRICT;", def.Name, strings.Join(cols, ", ")),
		upsert: fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (%s)", def.Name, all, strings.Join(marks, ", ")),
		remove: fmt.Sprintf("DELETE FROM %s WHERE %s = ?", def.Name, key),
		selec:  map[string]string{},
	}
	end := fmt.Sprintf(" %s > ? ORDER BY %s LIMIT ?+0", key, key)
	from := fmt.Sprintf("SELECT %s FROM %s WHERE", all, def.Name)
	t.selec[""] = from + end
	t.selec[key] = from + " " + key + " = ? AND" + end
	for _, column := range def.Indexes {
		t.create += fmt.Sprintf(" CREATE INDEX %s_%s ON %s (%s);", def.Name, column, def.Name, column)
		t.selec[column] = from + " " + column + " = ? AND" + end
	}
	return t
}

// apply writes the rows that an event changes.
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
	rows, err := v.list[view].Rows(e)
	if err != nil {
		return fmt.Errorf("view of event %d: %w", e.Position, err)
	}
	for i := range rows {
		if err := v.applyRow(conn, &rows[i]); err != nil {
			return fmt.Errorf("row of table %s for event %d: %w", rows[i].Table, e.Position, err)
		}
	}
	return nil
}

// applyRow writes or deletes one row.
func (v *views) applyRow(conn *sqlite.Conn, row *eventstore.Row) error {
	t := v.tables[row.Table]
	if t == nil {
		return errors.New("no view has this table")
	}
	sql, values := t.upsert, row.Values
	if row.Delete {
		sql, values = t.remove, row.Values[:1]
	}
	s, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	for i, value := range values {
		if value.Type() == eventstore.TextColumn {
			s.BindText(i+1, value.Text())
		} else {
			s.BindInt64(i+1, value.Int())
		}
	}
	return run(s)
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

// row reads the current row of a statement.
func (t *table) row(s *sqlite.Stmt) []eventstore.Value {
	values := make([]eventstore.Value, len(t.def.Columns))
	for i, c := range t.def.Columns {
		switch c.Type {
		case eventstore.TextColumn:
			values[i] = eventstore.Text(s.ColumnText(i))
		case eventstore.TimeColumn:
			values[i] = eventstore.Micros(s.ColumnInt64(i))
		case eventstore.IntColumn:
			values[i] = eventstore.Int(s.ColumnInt64(i))
		}
	}
	return values
}

// openViews makes the tables of the views, and fills those anew whose definition
// is not the one in the file.
func (l *Log) openViews(ctx context.Context) (err error) {
	if l.views, err = newViews(l.opts.Views); err != nil {
		return err
	}
	stale, err := l.staleViews()
	if err != nil || len(stale) == 0 {
		return err
	}
	return l.fill(ctx, stale, func(_, _ eventstore.Position) {})
}

// Rebuild drops all views and fills them from the log, in one transaction: until
// it is done readers see the old ones. progress is told how far it is. No Commit
// may be under way.
//
// Errors: DamageError, ErrFull, the context's.
func (l *Log) Rebuild(ctx context.Context, progress func(done, total eventstore.Position)) error {
	all := make([]int, len(l.views.list))
	for i := range all {
		all[i] = i
	}
	return l.fill(ctx, all, progress)
}

// staleViews returns the indices of the views whose tables are not in the file
// as they are defined.
func (l *Log) staleViews() (stale []int, err error) {
	found := map[string]string{}
	err = query(l.writer, "SELECT name, definition FROM views", func(s *sqlite.Stmt) error {
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
func (l *Log) fill(ctx context.Context, which []int, progress func(done, total eventstore.Position)) (err error) {
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
		progress(at, l.head.position)
	}
	return nil
}

// fillPage brings a page of events into some views and returns where it ends.
func (l *Log) fillPage(
	ctx context.Context, which []int, after eventstore.Position,
) (eventstore.Position, error) {
	page, err := l.ReadAll(ctx, after, eventstore.MaxPage)
	if err != nil {
		return after, err
	}
	if len(page) == 0 {
		return after, l.damage(after+1, "the event is missing")
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
