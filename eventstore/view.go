package eventstore

import "time"

// View is a read model that is written in the same commit as the events. It is
// pure: the same events give the same rows, so a view can be dropped and rebuilt
// from the log at any time.
type View interface {
	// Tables says which tables the view fills. No two views share one.
	Tables() []Table
	// Rows says what an event changes. An error stops the log: it means that
	// the view can't read an event of its own log.
	Rows(Event) ([]Row, error)
}

// Table describes one table of a view. Its first column is the primary key, an
// Int of at least 1 that orders the rows.
type Table struct {
	Name    string
	Columns []Column
	Indexes []string // columns of type Int by which rows are selected
}

// Column is a named column. All columns are NOT NULL.
type Column struct {
	Name string
	Type ColumnType
}

// ColumnType is what a column holds.
type ColumnType int

// The types of columns.
const (
	IntColumn ColumnType = iota
	TextColumn
	TimeColumn
)

// Row changes one row of a table: it takes the place of the row with the same
// primary key (Values[0]), or deletes it.
type Row struct {
	Table  string
	Delete bool    // only Values[0] counts
	Values []Value // one a column, in the order of the table's columns
}

// Value is what one column of one row holds.
type Value struct {
	kind ColumnType
	num  int64
	text string
}

// Int returns a value for an IntColumn.
func Int(n int64) Value { return Value{kind: IntColumn, num: n} }

// Text returns a value for a TextColumn.
func Text(s string) Value { return Value{kind: TextColumn, text: s} }

// Time returns a value for a TimeColumn, cut to microseconds.
func Time(t time.Time) Value { return Value{kind: TimeColumn, num: t.UnixMicro()} }

// Micros returns a value for a TimeColumn from the microseconds since 1970.
func Micros(n int64) Value { return Value{kind: TimeColumn, num: n} }

// Type says which of the three the value is.
func (v Value) Type() ColumnType { return v.kind }

// Int returns the value of an IntColumn, and of a TimeColumn the microseconds
// since 1970.
func (v Value) Int() int64 { return v.num }

// Text returns the value of a TextColumn.
func (v Value) Text() string { return v.text }

// Time returns the value of a TimeColumn in UTC.
func (v Value) Time() time.Time { return time.UnixMicro(v.num).UTC() }

// Select asks for rows of a view's table, in ascending order of the primary key.
type Select struct {
	Table  string
	Column string // "" for all rows, else the primary key or a column of Table.Indexes
	Equals int64  // the value that Column has to have
	After  int64  // only primary keys above it
	Limit  int    // at most so many rows; at most MaxPage
}

// MaxPage is how many events or rows one read returns at most.
const MaxPage = 5000
