package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// An index is a second copy of its column, and a query through it answers with that
// copy. So each table is walked once more through each of its indexes, and what is
// found there held against the log: an entry that is wrong shows as a row that is
// wrong, one that is missing as a row that is missing.

// compareIndexes walks a table through each of its indexes.
func (c *viewCheck) compareIndexes(ctx context.Context, name string, t *table, report func()) error {
	for _, column := range t.def.Indexes {
		c.index = column
		for key := range c.rows[name] {
			c.rows[name][key] &^= rowFound
		}
		if err := c.walkIndex(ctx, name, t, report); err != nil {
			return err
		}
		if err := c.missing(ctx, name, t); err != nil {
			return err
		}
	}
	c.index = ""
	return nil
}

// walkIndex holds what an index leads to against the log, in the order of the index.
func (c *viewCheck) walkIndex(ctx context.Context, name string, t *table, report func()) error {
	key, column := t.def.Columns[0].Name, c.index
	at := slices.IndexFunc(t.def.Columns, func(d eventstore.Column) bool { return d.Name == column })
	end := fmt.Sprintf("(%[1]s, %[2]s) > (?, ?) ORDER BY %[1]s, %[2]s LIMIT ?+0", column, key)
	var last [2]int64 // of the column and the key
	for n := eventstore.MaxPage; n == eventstore.MaxPage; report() {
		page, err := c.read(ctx, t, func(conn *sqlite.Conn) (string, error) {
			return c.through(conn, t, end)
		}, last[0], last[1], eventstore.MaxPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			c.one(name, row)
			last = [2]int64{row.values[at].Int(), row.key}
		}
		n = len(page)
	}
	return nil
}

// through returns the statement that reads a table through the index that is looked
// at. Its name is that of one of two generations, and may change with any rebuild.
func (c *viewCheck) through(conn *sqlite.Conn, t *table, where string) (string, error) {
	for _, generation := range []string{"", otherIndexes} {
		index := t.def.Name + "_" + c.index + generation
		sql := fmt.Sprintf("SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = '%s' AND tbl_name = '%s'", index, t.def.Name)
		n, err := queryInt(conn, sql)
		if err != nil {
			return "", err
		}
		if n == 1 {
			return fmt.Sprintf("SELECT %s FROM %s INDEXED BY %s WHERE %s",
				strings.Join(columnsOf(t.def), ", "), t.def.Name, index, where), nil
		}
	}
	return "", c.indexDamage(t, "is missing")
}

// indexDamage returns the error for the index that is looked at.
func (c *viewCheck) indexDamage(t *table, how string) error {
	return &eventstore.DamageError{
		Log: c.log.path, Reason: fmt.Sprintf("the index on column %s of table %s %s", c.index, t.def.Name, how), Hint: rebuildHint,
	}
}

// lookUp returns a statement that finds a row by its key, through the index that is
// looked at, if one is.
func (c *viewCheck) lookUp(t *table) func(*sqlite.Conn) (string, error) {
	key := t.def.Columns[0].Name
	if c.index == "" {
		return fixed(t.selec[key])
	}
	return func(conn *sqlite.Conn) (string, error) {
		return c.through(conn, t, fmt.Sprintf(
			"%[1]s = (SELECT %[1]s FROM %[2]s NOT INDEXED WHERE %[3]s = ?) AND %[3]s > ? LIMIT ?+0", c.index, t.def.Name, key))
	}
}

// fixed returns a statement that is the same at any time.
func fixed(sql string) func(*sqlite.Conn) (string, error) {
	return func(*sqlite.Conn) (string, error) { return sql, nil }
}
