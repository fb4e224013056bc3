package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// tally is a view with a row for each stream of things: how many events it has,
// and in which position the last of them is. step makes another view of it.
type tally struct{ step *int64 }

// Tables implements eventstore.View.
func (tally) Tables() []eventstore.Table {
	return []eventstore.Table{{
		Name: "tally",
		Columns: []eventstore.Column{
			{Name: "id", Type: eventstore.IntColumn},
			{Name: "count", Type: eventstore.IntColumn},
			{Name: "note", Type: eventstore.TextColumn},
		},
		Indexes: []string{"count"},
	}}
}

// Rows implements eventstore.View.
func (v tally) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	return []eventstore.Row{{Table: "tally", Values: []eventstore.Value{
		eventstore.Int(1 + int64(e.Position)%50),
		eventstore.Int(int64(e.Position) * *v.step),
		eventstore.Text(strings.Repeat("note ", int(e.Position)%40)),
	}}}, nil
}

// tallied returns all rows as text, and checks that the index finds each of them.
func (w *world) tallied() string {
	w.t.Helper()
	rows, err := w.log.Select(w.t.Context(), eventstore.Select{Table: "tally", Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, row := range rows {
		q := eventstore.Select{Table: "tally", Column: "count", Equals: row[1].Int(), Limit: 10}
		if found, err := w.log.Select(w.t.Context(), q); err != nil || len(found) != 1 || found[0][0] != row[0] {
			w.t.Fatalf("the index finds %v for %v, %v", found, row, err)
		}
	}
	return fmt.Sprint(rows)
}

// tables returns the names of all tables and indexes of the view.
func (w *world) tables() (names []string) {
	w.t.Helper()
	err := query(w.log.writer, "SELECT name FROM sqlite_schema WHERE name LIKE 'tally%' ORDER BY name", func(s *sqlite.Stmt) error {
		names = append(names, s.ColumnText(0))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// commitAtOnce is commit with as few transactions as there may be.
func (w *world) commitAtOnce(n int) {
	w.t.Helper()
	for n > 0 {
		batch := make([]eventstore.Write, min(n, eventstore.MaxBatch))
		for i := range batch {
			batch[i] = thing()
		}
		if _, err := w.log.Commit(w.t.Context(), batch); err != nil {
			w.t.Fatal(err)
		}
		n -= len(batch)
	}
}

func TestGenerationsTakeTurnsWithTheNamesOfTheirIndexes(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(3)
	for _, want := range []string{"[tally tally_count_b]", "[tally tally_count]", "[tally tally_count_b]"} {
		if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(w.tables()); got != want {
			t.Fatalf("the file has %s, not %s", got, want)
		}
		w.close()
		w.open() // and it is not taken for another view
		w.commit(1)
		w.tallied()
	}
}

func TestATableThatIsGoneIsMadeAgainWhenTheLogIsOpened(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(60)
	before := w.tallied()
	w.close()
	w.sql("DROP TABLE tally")
	w.open()
	if after := w.tallied(); after != before {
		t.Fatalf("before %s, after %s", before, after)
	}
}

func TestAChangedRowIsFoundByARebuild(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(60)
	before := w.tallied()
	w.close()
	w.sql("UPDATE tally SET note = 'forged' WHERE id IN (3, 4); DELETE FROM tally WHERE id = 5; INSERT INTO tally VALUES (-7, 1, ''), (777, 2, '')")
	w.open()
	found, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{})
	if err != nil || found.Tables[0].Differ != 5 || found.Tables[0].Rows != 50 {
		t.Fatalf("found %+v, %v", found, err)
	}
	if after := w.tallied(); after != before {
		t.Fatalf("before %s, after %s", before, after)
	}
}

// TestACrashAtAnyWriteOfARebuild copies the files after every step of a rebuild,
// with commits between the steps, cuts the copy of the write-ahead log where a
// crash could have, and opens it: the rows are the old ones or the new ones of the
// events that are in the log, never some of both, and nothing half-made is left.
func TestACrashAtAnyWriteOfARebuild(t *testing.T) {
	for _, checkpointed := range []bool{false, true} {
		t.Run(fmt.Sprint("checkpointed ", checkpointed), func(t *testing.T) {
			c := newCrashes(t)
			how := eventstore.Rebuild{Between: func(_ context.Context, fn func() error) error {
				err := fn()
				c.cutAndOpen()
				c.w.commit(1)
				if checkpointed {
					if err := c.w.log.truncateWAL(); err != nil {
						t.Fatal(err)
					}
				}
				return err
			}}
			if _, err := c.w.log.Rebuild(t.Context(), how); err != nil {
				t.Fatal(err)
			}
			c.cutAndOpen()
			if c.old == 0 || c.new == 0 {
				t.Fatalf("%d crashes left the old rows, %d the new ones", c.old, c.new)
			}
			t.Logf("%d crashes left the old rows, %d the new ones", c.old, c.new)
		})
	}
}

// crashes cuts copies of a log that is being rebuilt from rows that count in ones
// to rows that count in tens.
type crashes struct {
	t        *testing.T
	w        *world
	step     *int64
	done     int64 // bytes of the write-ahead log whose cuts were tried
	old, new int
}

func newCrashes(t *testing.T) *crashes {
	t.Helper()
	c := &crashes{t: t, step: new(int64)}
	*c.step = 1
	c.w = newWorld(t, Options{Views: []eventstore.View{tally{c.step}}})
	c.w.commit(60)
	c.w.close() // so that all that is cut belongs to the rebuild
	*c.step = 10
	c.w.open()
	return c
}

// cutAndOpen opens copies whose write-ahead log ends anywhere in what was written
// since the last call: at each frame, before and after it, and within.
func (c *crashes) cutAndOpen() {
	c.t.Helper()
	c.w.log.checkpoint.stop() // nothing else writes while the files are copied
	db, wal := c.w.read(c.w.path), c.w.read(c.w.path+"-wal")
	c.w.log.checkpoint = startCheckpointer(c.w.log)
	if int64(len(wal)) < c.done {
		c.done = 0
	}
	const frame = frameHeaderLen + 4096
	for at := c.done; at <= int64(len(wal)); at++ {
		switch (at - walHeaderLen) % frame {
		case -1, 0, 1, frame / 2, frame - 1:
			c.open(db, wal[:at])
		}
	}
	c.done = int64(len(wal))
}

// open opens one copy and looks at it.
func (c *crashes) open(db, wal []byte) {
	c.t.Helper()
	step := *c.step
	copied := &world{t: c.t, path: filepath.Join(c.t.TempDir(), "copy.db"), opts: c.w.opts}
	copied.opts.Views = []eventstore.View{tally{&step}}
	copied.write(copied.path, db)
	copied.write(copied.path+"-wal", wal)
	copied.open()
	defer copied.close()
	if _, err := copied.log.Verify(c.t.Context(), noProgress); err != nil {
		c.t.Fatalf("cut at %d: %v", len(wal), err)
	}
	if got := copied.tables(); len(got) != 2 || got[0] != "tally" {
		c.t.Fatalf("cut at %d: the file has %v", len(wal), got)
	}
	switch got := copied.tallied(); got {
	case c.brute(1, copied.log.head.position):
		c.old++
	case c.brute(10, copied.log.head.position):
		c.new++
	default:
		c.t.Fatalf("cut at %d: the rows are neither the old nor the new ones: %s", len(wal), got)
	}
	copied.commit(1)
}

// brute returns the rows after so many events. Before the rebuild is done, those
// that came after the first 60 have counted in tens already.
func (c *crashes) brute(step int64, head eventstore.Position) string {
	rows := make([][]eventstore.Value, 0, 50)
	for id := int64(1); id <= 50; id++ {
		for p := head; p > 0; p-- {
			if 1+int64(p)%50 != id {
				continue
			}
			by := step
			if p > 60 {
				by = 10
			}
			r, _ := tally{&by}.Rows(eventstore.Event{Position: p})
			rows = append(rows, r[0].Values)
			break
		}
	}
	return fmt.Sprint(rows)
}

func TestAFullDiskEndsARebuildAndLeavesTheOldViews(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(200)
	before := w.tallied()
	pages, err := queryInt(w.log.writer, "PRAGMA page_count")
	if err != nil {
		t.Fatal(err)
	}
	failed := false
	for room := 0; ; room++ {
		w.log.limitPages(int(pages) + room)
		_, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{})
		w.log.limitPages(0)
		if after := w.tallied(); after != before {
			t.Fatalf("with %d pages of room: before %s, after %s", room, before, after)
		}
		if err == nil {
			break
		}
		failed = true
		if !errors.Is(err, eventstore.ErrFull) {
			t.Fatalf("with %d pages of room: %v", room, err)
		}
		if got := w.tables(); len(got) != 2 {
			t.Fatalf("with %d pages of room the file has %v", room, got)
		}
	}
	if !failed {
		t.Fatal("there was always room")
	}
	w.commit(1)
	w.close()
	w.open()
	if _, err := w.log.Verify(t.Context(), noProgress); err != nil {
		t.Fatal(err)
	}
}

func TestDamageEndsARebuildAndLeavesTheOldViews(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commitAtOnce(2 * eventstore.MaxBatch)
	before := w.tallied()
	w.close()
	w.sql("UPDATE events SET data = '{}' WHERE position = 7")
	w.open()
	var damage *eventstore.DamageError
	if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); !errors.As(err, &damage) || damage.Position != 7 {
		t.Fatalf("got %v", err)
	}
	if after := w.tallied(); after != before {
		t.Fatalf("before %s, after %s", before, after)
	}
	w.commit(1) // the log goes on
}

func TestALargeTableIsComparedPageByPage(t *testing.T) {
	view := wide{}
	w := newWorld(t, Options{Views: []eventstore.View{view}})
	w.commitAtOnce(3*compareRows + 7)
	w.close()
	w.sql("DELETE FROM wide WHERE id % 1000 = 0; UPDATE wide SET at = 0 WHERE id = 1500")
	w.open()
	found, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{})
	if err != nil {
		t.Fatal(err)
	}
	want := eventstore.NewContent()
	for id := range int64(3*compareRows + 7) {
		want.Add([]eventstore.Value{eventstore.Int(id + 1), eventstore.Int(id + 1)})
	}
	if got := found.Tables[0]; got.Differ != 4 || got.Rows != want.Rows() || got.Hash != want.Sum() {
		t.Fatalf("found %+v, want %d rows, 4 of them different", got, want.Rows())
	}
}

// wide is a view with a row for each event.
type wide struct{}

// Tables implements eventstore.View.
func (wide) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "wide", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn}, {Name: "at", Type: eventstore.IntColumn},
	}}}
}

// Rows implements eventstore.View.
func (wide) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	at := eventstore.Int(int64(e.Position))
	return []eventstore.Row{{Table: "wide", Values: []eventstore.Value{at, at}}}, nil
}

func TestViewsMayNotTakeTheNamesOfGenerations(t *testing.T) {
	for _, name := range []string{"x_green", "x_old"} {
		path := filepath.Join(t.TempDir(), "log.db")
		_, err := Open(t.Context(), path, Options{Views: []eventstore.View{named{name}}})
		if err == nil || !strings.Contains(err.Error(), "choose another") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// named is an empty view with a table of that name.
type named struct{ name string }

// Tables implements eventstore.View.
func (n named) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: n.name, Columns: []eventstore.Column{{Name: "id", Type: eventstore.IntColumn}}}}
}

// Rows implements eventstore.View.
func (named) Rows(eventstore.Event) ([]eventstore.Row, error) { return nil, nil }
