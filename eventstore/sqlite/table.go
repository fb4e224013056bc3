package sqlite

import (
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// Suffixes of the tables beside the one that answers. The green generation is
// being filled, the old one has been replaced; neither outlives its process, for
// both are dropped when the log is opened.
const (
	greenSuffix = "_green"
	oldSuffix   = "_old"
)

// otherIndexes is what every second generation has in the names of its indexes: an
// index keeps its name when its table gets another.
const otherIndexes = "_b"

// table is one table of a view with its statements. Names of tables and columns
// come from the views, never from input.
type table struct {
	view   int // index into views.list
	def    eventstore.Table
	create string            // the statements that make it; kept in the file to notice a change
	blue   writes            // on the generation that answers
	green  writes            // on the one that is being filled
	selec  map[string]string // by column
	page   [2]string         // reads a page of the blue and of the green generation
	retire string            // deletes a slice of the old generation
}

// writes are the statements that change rows of one generation.
type writes struct{ upsert, remove string }

// newTable prepares the statements of one table.
func newTable(view int, def eventstore.Table) *table {
	key, all := def.Columns[0].Name, strings.Join(columnsOf(def), ", ")
	t := &table{view: view, def: def, selec: map[string]string{}}
	t.create = t.createAs(def.Name, "")
	t.blue, t.green = t.writesTo(def.Name), t.writesTo(def.Name+greenSuffix)
	end := fmt.Sprintf(" %s > ? ORDER BY %s LIMIT ?+0", key, key)
	t.page[0] = fmt.Sprintf("SELECT %s FROM %s WHERE", all, def.Name) + end
	t.page[1] = fmt.Sprintf("SELECT %s FROM %s%s WHERE", all, def.Name, greenSuffix) + end
	from := fmt.Sprintf("SELECT %s FROM %s WHERE", all, def.Name)
	t.selec[""] = from + end
	t.selec[key] = from + " " + key + " = ? AND" + end
	for _, column := range def.Indexes {
		t.selec[column] = from + " " + column + " = ? AND" + end
	}
	t.retire = fmt.Sprintf("DELETE FROM %[1]s%[2]s WHERE %[3]s IN (SELECT %[3]s FROM %[1]s%[2]s ORDER BY %[3]s LIMIT ?)",
		def.Name, oldSuffix, key)
	return t
}

// columnsOf returns the names of the columns of a table.
func columnsOf(def eventstore.Table) []string {
	list := make([]string, len(def.Columns))
	for i, c := range def.Columns {
		list[i] = c.Name
	}
	return list
}

// createAs returns the statements that make the table under some name.
func (t *table) createAs(name, indexes string) string {
	cols := make([]string, len(t.def.Columns))
	for i, c := range t.def.Columns {
		kind, constraint := "INTEGER", " NOT NULL"
		if c.Type == eventstore.TextColumn {
			kind = "TEXT"
		}
		if i == 0 {
			constraint = " PRIMARY KEY"
		}
		cols[i] = c.Name + " " + kind + constraint
	}
	var sql strings.Builder
	fmt.Fprintf(&sql, "CREATE TABLE %s (%s) STRICT;", name, strings.Join(cols, ", "))
	for _, column := range t.def.Indexes {
		fmt.Fprintf(&sql, " CREATE INDEX %s_%s%s ON %s (%s);", t.def.Name, column, indexes, name, column)
	}
	return sql.String()
}

// writesTo returns the statements that change rows of a generation.
func (t *table) writesTo(name string) writes {
	marks := strings.Repeat(", ?", len(t.def.Columns))[2:]
	return writes{
		upsert: fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (%s)", name, strings.Join(columnsOf(t.def), ", "), marks),
		remove: fmt.Sprintf("DELETE FROM %s WHERE %s = ?", name, t.def.Columns[0].Name),
	}
}

// apply writes or deletes one row.
func (w *writes) apply(conn *sqlite.Conn, row *eventstore.Row) error {
	sql, values := w.upsert, row.Values
	if row.Delete {
		sql, values = w.remove, row.Values[:1]
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
