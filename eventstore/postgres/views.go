package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"ensemble/eventstore"
)

// The rows of views are written in the transaction that appends their events, by functions
// of the schema that know their table: a role that serves may call those, and has no right
// to the tables but to read them. While a view is made anew there are two tables of it,
// and each function writes to both, so whichever answers is whole:
//
//	users          answers, until the flip renames the two
//	users_green    is filled from the log, and written by every commit meanwhile

// views knows the tables of all views and the statements on them.
type views struct {
	list   []eventstore.View
	tables map[string]*table
}

// newViews prepares the statements of all views.
func newViews(schema string, list []eventstore.View) (*views, error) {
	if err := checkSchema(schema); err != nil {
		return nil, err
	}
	v := &views{list: list, tables: map[string]*table{}}
	for i, view := range list {
		for _, def := range view.Tables() {
			if v.tables[def.Name] != nil {
				return nil, fmt.Errorf("two views share the table %s", def.Name)
			}
			var err error
			if v.tables[def.Name], err = newTable(schema, i, def); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// sorted returns the names of all tables, ascending.
func (v *views) sorted() []string { return slices.Sorted(maps.Keys(v.tables)) }

// rows returns what events change, by table.
func (v *views) rows(events []eventstore.Event) (map[string][]eventstore.Row, error) {
	changes := map[string][]eventstore.Row{}
	for _, e := range events {
		for _, view := range v.list {
			rows, err := view.Rows(e)
			if err != nil {
				return nil, fmt.Errorf("view of event %d: %w", e.Position, err)
			}
			for _, row := range rows {
				if v.tables[row.Table] == nil {
					return nil, fmt.Errorf("row of table %s for event %d: no view has this table", row.Table, e.Position)
				}
				changes[row.Table] = append(changes[row.Table], row)
			}
		}
	}
	return changes, nil
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
	args := []any{q.After, int64(min(q.Limit, eventstore.MaxPage))}
	if q.Column != "" {
		args = append([]any{q.Equals}, args...)
	}
	err = l.patiently(ctx, func(ctx context.Context) error {
		rows, err = t.read(ctx, l.readers, sql, args...)
		return err
	})
	return rows, err
}

// read reads rows of the table.
func (t *table) read(ctx context.Context, on interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, sql string, args ...any,
) (list [][]eventstore.Value, err error) {
	rows, err := on.Query(ctx, sql, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := t.row(rows.RawValues())
		if err != nil {
			return nil, err
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// row reads a row in its binary form. Somebody may have changed the type of a column,
// which is not served as something else.
func (t *table) row(columns [][]byte) ([]eventstore.Value, error) {
	values := make([]eventstore.Value, len(columns))
	for i, c := range t.def.Columns {
		if columns[i] == nil || c.Type != eventstore.TextColumn && len(columns[i]) != 8 {
			return nil, &eventstore.DamageError{
				Log: t.name, Reason: fmt.Sprintf("column %s is not a %s", c.Name, t.types[i]),
				Hint: "The events are not affected: drop the table and its row of views, and start with the role of the owner",
			}
		}
		switch c.Type {
		case eventstore.TextColumn:
			values[i] = eventstore.Text(string(columns[i]))
		case eventstore.TimeColumn:
			values[i] = eventstore.Micros(integer(columns[i]) + epoch)
		case eventstore.IntColumn:
			values[i] = eventstore.Int(integer(columns[i]))
		}
	}
	return values, nil
}
