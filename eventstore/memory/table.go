package memory

import (
	"context"
	"fmt"
	"slices"

	"ensemble/eventstore"
)

// table holds the rows of one table of a view.
type table struct {
	def     eventstore.Table
	rows    map[int64][]eventstore.Value
	keys    []int64                   // of the rows, ascending
	indexes map[int]map[int64][]int64 // column → value → keys, ascending
}

// newTable returns an empty table.
func newTable(def eventstore.Table) *table {
	t := &table{def: def, rows: map[int64][]eventstore.Value{}, indexes: map[int]map[int64][]int64{}}
	for i, c := range def.Columns {
		if slices.Contains(def.Indexes, c.Name) {
			t.indexes[i] = map[int64][]int64{}
		}
	}
	return t
}

// newTables returns the empty tables of all views.
func newTables(views []eventstore.View) map[string]*table {
	tables := map[string]*table{}
	for _, v := range views {
		for _, def := range v.Tables() {
			tables[def.Name] = newTable(def)
		}
	}
	return tables
}

// applyTo changes rows of the tables they belong to.
func applyTo(tables map[string]*table, rows []eventstore.Row) {
	for i := range rows {
		tables[rows[i].Table].apply(rows[i])
	}
}

// apply changes one row.
func (t *table) apply(r eventstore.Row) {
	key := r.Values[0].Int()
	if old, ok := t.rows[key]; ok {
		t.remove(key, old)
	}
	if r.Delete {
		return
	}
	t.rows[key] = slices.Clone(r.Values)
	t.keys = insert(t.keys, key)
	for column, index := range t.indexes {
		v := r.Values[column].Int()
		index[v] = insert(index[v], key)
	}
}

// remove takes a row out of the table and its indexes.
func (t *table) remove(key int64, row []eventstore.Value) {
	delete(t.rows, key)
	t.keys = remove(t.keys, key)
	for column, index := range t.indexes {
		v := row[column].Int()
		index[v] = remove(index[v], key)
	}
}

// insert adds a key to a sorted list.
func insert(sorted []int64, key int64) []int64 {
	i, _ := slices.BinarySearch(sorted, key)
	return slices.Insert(sorted, i, key)
}

// remove takes a key out of a sorted list.
func remove(sorted []int64, key int64) []int64 {
	if i, found := slices.BinarySearch(sorted, key); found {
		return slices.Delete(sorted, i, i+1)
	}
	return sorted
}

// Select implements [eventstore.Driver].
func (l *Log) Select(ctx context.Context, q eventstore.Select) ([][]eventstore.Value, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	t := l.tables[q.Table]
	if t == nil {
		return nil, fmt.Errorf("select from %s: no view has this table", q.Table)
	}
	keys, err := t.candidates(q)
	if err != nil {
		return nil, err
	}
	i, found := slices.BinarySearch(keys, q.After)
	if found {
		i++
	}
	keys = keys[i:]
	var rows [][]eventstore.Value
	for _, key := range keys[:min(q.Limit, eventstore.MaxPage, len(keys))] {
		rows = append(rows, slices.Clone(t.rows[key]))
	}
	return rows, nil
}

// candidates returns the keys of the rows that have the value asked for.
func (t *table) candidates(q eventstore.Select) ([]int64, error) {
	switch q.Column {
	case "":
		return t.keys, nil
	case t.def.Columns[0].Name:
		if t.rows[q.Equals] == nil {
			return nil, nil
		}
		return []int64{q.Equals}, nil
	}
	for column, index := range t.indexes {
		if t.def.Columns[column].Name == q.Column {
			return index[q.Equals], nil
		}
	}
	return nil, fmt.Errorf("select from %s: no index on column %s", q.Table, q.Column)
}
