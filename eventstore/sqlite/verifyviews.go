package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// VerifiedViews is what VerifyViews has looked at.
type VerifiedViews struct {
	Rows   int                 // that are as the log says
	Until  eventstore.Position // the log was looked at up to here
	Unmade []string            // tables that are not there as they are defined; the next start makes them
}

// VerifyViews computes every view from the log and compares all rows with those in
// the tables, and with what each index leads to. It may run while another process writes: each page of rows is read
// together with the position it is of, and compared with what the log says there.
// It takes about 40 bytes of memory a row. progress is told how far it is.
//
// Errors: DamageError, which names the first row that differs, the context's.
func (l *Log) VerifyViews(ctx context.Context, progress Progress) (v VerifiedViews, err error) {
	if v.Unmade, err = l.unmade(ctx); err != nil || len(v.Unmade) > 0 {
		return v, err
	}
	head, err := l.readHead(ctx)
	if err != nil {
		return v, err
	}
	c := viewCheck{log: l, seed: maphash.MakeSeed(), rows: map[string]map[int64]rowSum{}}
	for name := range l.views.tables {
		c.rows[name] = map[int64]rowSum{}
	}
	if err := c.fold(ctx, head.Position, progress.On("computing the views")); err != nil {
		return v, err
	}
	for name, t := range l.views.tables {
		report := func() { progress("comparing "+name, int64(c.compared), int64(c.expected())) }
		if err := c.table(ctx, name, t, report); err != nil {
			return v, err
		}
	}
	v.Rows, v.Until = c.compared, c.position
	return v, c.verdict()
}

// unmade returns the tables that are not in the file as the views define them.
func (l *Log) unmade(ctx context.Context) (names []string, err error) {
	found := map[string]string{}
	err = l.readers.read(ctx, func(conn *sqlite.Conn) error {
		return query(conn, "SELECT name, definition FROM views", func(s *sqlite.Stmt) error {
			found[s.ColumnText(0)] = s.ColumnText(1)
			return nil
		})
	})
	for name, t := range l.views.tables {
		if found[name] != t.create {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, l.classify(err)
}

// rowSum is a hash of a row; its lowest bit says that the row was found in the table.
type rowSum uint64

const rowFound rowSum = 1

// enoughWrong is how many rows may differ before it makes no sense to count on.
const enoughWrong = 1000

// rebuildHint is the way out when a view is not what the log says.
const rebuildHint = "The events are not affected: stop the system and run 'ensemble rebuild'"

// viewCheck holds what the log says about the rows, up to a position, and compares
// tables with it.
//
//	fold the log to its head ─► for each page of a table:
//	                              read the page and the head in one snapshot
//	                              fold the log on to that head
//	                              compare
//	                          ─► look for each row that no page held
//	                          ─► the same through each index
//
// Only a hash of each row is kept. The hash is seeded anew each time, so that no row
// can be made to look like another.
type viewCheck struct {
	log      *Log
	seed     maphash.Seed
	position eventstore.Position
	rows     map[string]map[int64]rowSum // by table and primary key
	index    string                      // the column whose index is looked through; "": the table itself
	compared int                         // rows of tables that are as they should be
	wrong    int
	first    string // which row is wrong, and how
}

// fold takes in the log up to a position.
func (c *viewCheck) fold(
	ctx context.Context, to eventstore.Position, progress func(done, total eventstore.Position),
) error {
	for c.position < to {
		page, err := c.log.ReadAll(ctx, c.position, int(min(eventstore.MaxPage, to-c.position)))
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return c.log.damage(c.position+1, "the event is missing")
		}
		for _, e := range page {
			if err := c.event(e); err != nil {
				return err
			}
		}
		progress(c.position, to)
	}
	return nil
}

// event takes in what an event does to the rows.
func (c *viewCheck) event(e eventstore.Event) error {
	for _, view := range c.log.views.list {
		rows, err := view.Rows(e)
		if err != nil {
			return fmt.Errorf("view of event %d: %w", e.Position, err)
		}
		for _, row := range rows {
			table, key := c.rows[row.Table], row.Values[0].Int()
			if row.Delete {
				delete(table, key)
				continue
			}
			table[key] = c.sum(row.Values) | table[key]&rowFound
		}
	}
	c.position = e.Position
	return nil
}

// sum hashes a row.
func (c *viewCheck) sum(values []eventstore.Value) rowSum {
	var h maphash.Hash
	h.SetSeed(c.seed)
	var b [8]byte
	for _, v := range values {
		n := v.Int()
		if v.Type() == eventstore.TextColumn {
			n = int64(len(v.Text()))
		}
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		_, _ = h.Write(b[:]) // never fails
		_, _ = h.WriteString(v.Text())
	}
	return rowSum(h.Sum64()) &^ rowFound
}

// foundRow is a row of a table as it was found.
type foundRow struct {
	key    int64
	sum    rowSum
	values []eventstore.Value
}

// table holds a table and its indexes against the log.
func (c *viewCheck) table(ctx context.Context, name string, t *table, report func()) error {
	if err := c.compare(ctx, name, t, report); err != nil {
		return err
	}
	if err := c.missing(ctx, name, t); err != nil || c.wrong > 0 {
		return err // the indexes of wrong rows would be wrong too
	}
	return c.compareIndexes(ctx, name, t, report)
}

// compare holds all rows of a table against the log.
func (c *viewCheck) compare(ctx context.Context, name string, t *table, report func()) error {
	for after, n := int64(0), eventstore.MaxPage; n == eventstore.MaxPage; report() {
		page, err := c.read(ctx, t, fixed(t.selec[""]), after, eventstore.MaxPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			c.one(name, row)
			after = row.key
		}
		n = len(page)
	}
	return nil
}

// read reads rows, and takes in the log up to the moment they are of. The statement
// is asked for at that moment.
func (c *viewCheck) read(
	ctx context.Context, t *table, statement func(*sqlite.Conn) (string, error), args ...int64,
) (page []foundRow, err error) {
	var at eventstore.Position
	err = c.log.readers.read(ctx, func(conn *sqlite.Conn) error {
		return snapshot(conn, func() error {
			head, err := queryInt(conn, "SELECT coalesce(max(position), 0) FROM events")
			if err != nil {
				return err
			}
			at = eventstore.Position(head)
			sql, err := statement(conn)
			if err != nil {
				return err
			}
			return query(conn, sql, func(s *sqlite.Stmt) error {
				row := t.row(s)
				page = append(page, foundRow{row[0].Int(), c.sum(row), row})
				return nil
			}, args...)
		})
	})
	if c.index != "" && sqlite.ErrCode(err).ToPrimary() == sqlite.ResultCorrupt {
		return nil, c.indexDamage(t, "leads to rows that are not there")
	}
	if err != nil {
		return nil, c.log.classify(err)
	}
	return page, c.fold(ctx, at, func(_, _ eventstore.Position) {})
}

// one holds a row against what the log says at the same moment.
func (c *viewCheck) one(table string, row foundRow) {
	should, there := c.rows[table][row.key]
	switch {
	case !there:
		c.note(table, row.key, "is there, but not by the log")
	case should&^rowFound != row.sum:
		c.note(table, row.key, "is not what the log says")
	case c.index == "":
		c.compared++
	}
	if there {
		c.rows[table][row.key] = should | rowFound
	}
}

// missing looks for the rows of a table that were not met. Rows may have come in
// behind the walk: each is looked for again.
func (c *viewCheck) missing(ctx context.Context, name string, t *table) error {
	rows := c.rows[name]
	var keys []int64
	for key, sum := range rows {
		if sum&rowFound == 0 {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if c.wrong >= enoughWrong {
			return nil
		}
		page, err := c.read(ctx, t, c.lookUp(t), key, key-1, 1)
		if err != nil {
			return err
		}
		if len(page) > 0 {
			c.one(name, page[0])
		} else if _, there := rows[key]; there {
			c.note(name, key, "is missing")
		}
	}
	return nil
}

// note counts a row that is wrong.
func (c *viewCheck) note(table string, key int64, how string) {
	if c.wrong++; c.wrong == 1 {
		c.first = fmt.Sprintf("row %d of table %s %s", key, table, how)
		if c.index != "" {
			c.first += ", in the index on column " + c.index
		}
	}
}

// expected returns how many rows there should be.
func (c *viewCheck) expected() (n int) {
	for _, rows := range c.rows {
		n += len(rows)
	}
	return n
}

// verdict returns what was wrong.
func (c *viewCheck) verdict() error {
	if c.wrong == 0 {
		return nil
	}
	return &eventstore.DamageError{
		Log: c.log.path, Reason: fmt.Sprintf("%s; %d rows or more differ", c.first, c.wrong),
		Hint: rebuildHint,
	}
}
