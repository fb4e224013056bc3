package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// TestAComparisonFindsWhatBruteForceFinds compares random tables in pages of a few
// rows.
func TestAComparisonFindsWhatBruteForceFinds(t *testing.T) {
	def := wide{}.Tables()[0]
	rapid.Check(t, func(rt *rapid.T) {
		conn, err := sqlite.OpenConn(":memory:")
		if err != nil {
			rt.Fatal(err)
		}
		defer conn.Close()
		tab, size := newTable(0, def), rapid.IntRange(1, 4).Draw(rt, "page")
		c := eventstore.NewComparison(size)
		rows := rapid.MapOfN(rapid.Int64Range(-3, 12), rapid.Int64Range(0, 1), 0, 12)
		blue, green := rows.Draw(rt, "blue"), rows.Draw(rt, "green")
		fillTable(rt, conn, tab, def.Name, blue)
		fillTable(rt, conn, tab, def.Name+greenSuffix, green)
		for after := int64(math.MinInt64); after < math.MaxInt64; {
			next, err := comparePage(conn, tab, c, after, size)
			if err != nil || next <= after {
				rt.Fatalf("after %d comes %d, %v", after, next, err)
			}
			after = next
		}
		differ, content := int64(0), eventstore.NewContent()
		for id := int64(-3); id <= 12; id++ {
			b, inBlue := blue[id]
			g, inGreen := green[id]
			if inBlue != inGreen || b != g {
				differ++
			}
			if inGreen {
				content.Add([]eventstore.Value{eventstore.Int(id), eventstore.Int(g)})
			}
		}
		if got := c.Result("a"); got != (eventstore.RebuiltTable{Name: "a", Rows: content.Rows(), Differ: differ, Hash: content.Sum()}) {
			rt.Fatalf("found %+v, there are %d different of %v and %v", got, differ, blue, green)
		}
	})
}

// fillTable makes a table and fills it.
func fillTable(t *rapid.T, conn *sqlite.Conn, tab *table, name string, rows map[int64]int64) {
	if err := sqlitex.ExecuteScript(conn, tab.createAs(name, ""), nil); err != nil {
		t.Fatal(err)
	}
	to := tab.writesTo(name)
	for id, at := range rows {
		row := eventstore.Row{Values: []eventstore.Value{eventstore.Int(id), eventstore.Int(at)}}
		if err := to.apply(conn, &row); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnotherProcessReadsThroughRebuilds keeps one connection, with its prepared
// statements, over several flips.
func TestAnotherProcessReadsThroughRebuilds(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(60)
	opts := w.opts
	opts.ReadOnly, opts.Readers = true, 1
	reader, err := Open(t.Context(), w.path, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	look := func() {
		rows, err := reader.Select(t.Context(), eventstore.Select{Table: "tally", Limit: 100})
		if err != nil || fmt.Sprint(rows) != w.tallied() {
			t.Fatalf("it reads %v, %v instead of %s", rows, err, w.tallied())
		}
	}
	for range 3 {
		how := eventstore.Rebuild{Between: func(_ context.Context, fn func() error) error {
			err := fn()
			look()
			return err
		}}
		if _, err := w.log.Rebuild(t.Context(), how); err != nil {
			t.Fatal(err)
		}
		w.commit(1)
		look()
	}
	if _, err := reader.Rebuild(t.Context(), eventstore.Rebuild{}); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("a reader that rebuilds got %v", err)
	}
}

// TestAReaderInTheMiddleOfAPageKeepsItsGeneration flips under a snapshot.
func TestAReaderInTheMiddleOfAPageKeepsItsGeneration(t *testing.T) {
	step := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&step}}})
	w.commit(60)
	conn, err := openReader(w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var before, after []int64
	end := sqlitex.Transaction(conn)
	read := func(to *[]int64) {
		err := query(conn, "SELECT count FROM tally ORDER BY id", func(s *sqlite.Stmt) error {
			*to = append(*to, s.ColumnInt64(0))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	read(&before)
	step = 10
	if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	read(&after)
	if fmt.Sprint(before) != fmt.Sprint(after) || len(before) != 50 {
		t.Fatalf("in one snapshot there were %v, then %v", before, after)
	}
	err = nil
	end(&err)
	after = nil
	read(&after)
	for i := range before {
		if after[i] != 10*before[i] {
			t.Fatalf("before %v, afterwards %v", before, after)
		}
	}
}

func TestLeftoversAreDroppedWhenTheLogIsOpened(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(60)
	before := w.tallied()
	errEnough := errors.New("enough")
	steps := 0
	_, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, fn func() error) error {
		if steps++; steps > 2 {
			return errEnough
		}
		return fn()
	}})
	if !errors.Is(err, errEnough) || len(w.tables()) != 4 {
		t.Fatalf("got %v and %v", err, w.tables())
	}
	w.close()
	w.open()
	if got := w.tables(); len(got) != 2 {
		t.Fatalf("after opening there are %v", got)
	}
	if after := w.tallied(); after != before {
		t.Fatalf("before %s, after %s", before, after)
	}
}

// TestClearingWaitsForARebuild: its tables may hold rows that were deleted since.
func TestClearingWaitsForARebuild(t *testing.T) {
	one := int64(1)
	w := newWorld(t, Options{Views: []eventstore.View{tally{&one}}})
	w.commit(60)
	errEnough := errors.New("enough")
	for _, fails := range []bool{false, true} {
		steps := 0
		_, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, fn func() error) error {
			if err := w.log.Clear(t.Context()); !errors.Is(err, eventstore.ErrBusy) {
				t.Errorf("while views are rebuilt, clearing got %v", err)
			}
			if steps++; fails && steps > 2 {
				return errEnough
			}
			return fn()
		}})
		if fails != errors.Is(err, errEnough) {
			t.Fatalf("the rebuild got %v", err)
		}
	}
	if err := w.log.Clear(t.Context()); !errors.Is(err, eventstore.ErrBusy) {
		t.Fatalf("with tables left over, clearing got %v", err)
	}
	if _, err := w.log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	if err := w.log.Clear(t.Context()); err != nil {
		t.Fatalf("after a rebuild, clearing got %v", err)
	}
}
