package postgres

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"ensemble/eventstore"
)

// Suffixes of the tables beside the one that answers: the green generation is being
// filled, the old one has been replaced.
const (
	greenSuffix = "_green"
	oldSuffix   = "_old"
)

// table is one table of a view with its statements. Names of tables and columns come
// from the views, never from input, and are plain words.
type table struct {
	view  int // index into views.list
	def   eventstore.Table
	name  string            // with its schema
	types []string          // of the columns
	selec map[string]string // by column
	page  [2]string         // reads a page of the blue and of the green generation
	write string            // calls the function that changes rows
}

// newTable prepares the statements of one table.
func newTable(schema string, view int, def eventstore.Table) (*table, error) {
	t := &table{view: view, def: def, name: in(schema, "{s}.") + def.Name, selec: map[string]string{}}
	for _, word := range append([]string{def.Name}, columnsOf(def)...) {
		if !plainWord(word) {
			return nil, fmt.Errorf("%q can't be the name of a table or column: use lower-case letters, digits and underscores", word)
		}
	}
	if slices.Contains(ownTables(), def.Name) || strings.HasSuffix(def.Name, greenSuffix) || strings.HasSuffix(def.Name, oldSuffix) {
		return nil, fmt.Errorf("table %s: the log has the name itself, or gives it to a table that is made anew; choose another", def.Name)
	}
	for _, c := range def.Columns {
		t.types = append(t.types, typeOf(c.Type))
	}
	key, all := def.Columns[0].Name, strings.Join(columnsOf(def), ", ")
	from := "select " + all + " from " + t.name
	t.selec[""] = fmt.Sprintf("%s where %[2]s > $1 order by %[2]s limit $2", from, key)
	t.selec[key] = fmt.Sprintf("%s where %[2]s = $1 and %[2]s > $2 limit $3", from, key)
	for _, c := range def.Indexes {
		// Ordered by both, so that no other index fits.
		t.selec[c] = fmt.Sprintf("%s where %[2]s = $1 and %[3]s > $2 order by %[2]s, %[3]s limit $3", from, c, key)
	}
	for i, suffix := range []string{"", greenSuffix} {
		t.page[i] = fmt.Sprintf("select %s from %s%s where %[4]s > $1 order by %[4]s limit $2", all, t.name, suffix, key)
	}
	marks := make([]string, len(def.Columns)+2)
	for i := range marks {
		marks[i] = fmt.Sprint("$", i+1)
	}
	t.write = fmt.Sprintf("select %swrite_%s(%s)", in(schema, "{s}."), def.Name, strings.Join(marks, ", "))
	return t, nil
}

// plainWord says whether a name needs no quotes.
func plainWord(word string) bool {
	return regexp.MustCompile(`^[a-z_][a-z0-9_]{0,40}$`).MatchString(word)
}

// columnsOf returns the names of the columns of a table.
func columnsOf(def eventstore.Table) []string {
	list := make([]string, len(def.Columns))
	for i, c := range def.Columns {
		list[i] = c.Name
	}
	return list
}

// typeOf returns the type of a column. Times are in UTC and without a zone.
func typeOf(t eventstore.ColumnType) string {
	switch t {
	case eventstore.TextColumn:
		return "varchar"
	case eventstore.TimeColumn:
		return "timestamp"
	default:
		return "bigint"
	}
}

// shape returns the columns with their types, as they are noted in the database.
func (t *table) shape() []string {
	list := columnsOf(t.def)
	for i := range list {
		list[i] += " " + t.types[i]
	}
	return list
}

// ddl returns the statements that make the table under some name, {table}. Every column
// has a default, so that an older program which does not know it can write the rest.
func (t *table) ddl(schema string) string {
	cols := make([]string, len(t.def.Columns))
	for i, c := range t.def.Columns {
		switch {
		case i == 0:
			cols[i] = c.Name + " bigint primary key"
		case c.Type == eventstore.TimeColumn:
			cols[i] = c.Name + " timestamp not null default 'epoch'"
		case c.Type == eventstore.TextColumn:
			cols[i] = c.Name + " varchar not null default ''"
		default:
			cols[i] = c.Name + " bigint not null default 0"
		}
	}
	var sql strings.Builder
	fmt.Fprintf(&sql, "create table {s}.{table} (%s);", strings.Join(cols, ", "))
	for _, c := range t.def.Indexes {
		fmt.Fprintf(&sql, " create index on {s}.{table} (%s, %s);", c, t.def.Columns[0].Name)
	}
	return in(schema, sql.String())
}

// writer returns the function that changes rows of the table, and of its green
// generation while there is one that is written.
func (t *table) writer(schema string) string {
	params, set := "p_gone bigint[]", ""
	args := make([]string, len(t.types))
	for i, c := range t.def.Columns {
		args[i] = fmt.Sprint("p", i+1)
		params += fmt.Sprintf(", p%d %s[]", i+1, t.types[i])
		if i > 0 {
			set += fmt.Sprintf(", %s = excluded.%[1]s", c.Name)
		}
	}
	onConflict := "nothing"
	if set != "" {
		onConflict = "update set " + set[2:]
	}
	change := func(suffix string) string {
		return fmt.Sprintf(`		delete from %[1]s%[2]s where %[3]s = any(p_gone);
		insert into %[1]s%[2]s (%[4]s) select * from unnest(%[5]s) on conflict (%[3]s) do %[6]s;
`, "{s}."+t.def.Name, suffix, t.def.Columns[0].Name, strings.Join(columnsOf(t.def), ", "), strings.Join(args, ", "), onConflict)
	}
	return in(schema, fmt.Sprintf(`
create or replace function {s}.write_%s(%s, p_green boolean) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
	perform {s}.take_lock();
	if not p_green then
%s	end if;
	if p_green or (select v.green from {s}.views v where v.name = '%[1]s') then
%[4]s	end if;
end $$;`, t.def.Name, params, change(""), change(greenSuffix)))
}

// rows are the changes of one table, of each key the last.
type rows struct {
	gone    []int64
	columns []any // a slice for each column
}

// fold brings the changes of a table into the form in which its function takes them.
func (t *table) fold(changes []eventstore.Row) rows {
	last := make(map[int64]int, len(changes))
	for i := range changes {
		last[changes[i].Values[0].Int()] = i
	}
	var kept []eventstore.Row
	r := rows{gone: []int64{}, columns: make([]any, len(t.types))}
	for i := range changes {
		switch key := changes[i].Values[0].Int(); {
		case last[key] != i:
		case changes[i].Delete:
			r.gone = append(r.gone, key)
		default:
			kept = append(kept, changes[i])
		}
	}
	for c := range t.def.Columns {
		r.columns[c] = t.column(c, kept)
	}
	return r
}

// args returns what the function of the table is called with.
func (t *table) args(changes []eventstore.Row, green bool) []any {
	r := t.fold(changes)
	return append(append([]any{r.gone}, r.columns...), green)
}

// column returns one column of rows.
func (t *table) column(c int, kept []eventstore.Row) any {
	switch t.def.Columns[c].Type {
	case eventstore.TextColumn:
		texts := make([]string, len(kept))
		for i := range kept {
			texts[i] = kept[i].Values[c].Text()
		}
		return texts
	case eventstore.TimeColumn:
		times := make([]time.Time, len(kept))
		for i := range kept {
			times[i] = kept[i].Values[c].Time()
		}
		return times
	default:
		ints := make([]int64, len(kept))
		for i := range kept {
			ints[i] = kept[i].Values[c].Int()
		}
		return ints
	}
}
