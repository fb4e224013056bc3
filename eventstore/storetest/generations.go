package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"ensemble/eventstore"
)

// rebuild makes the views anew while the store commits. After each step, before
// the next one, between is called with its number.
func (l *log) rebuild(d Driver, between func(step int)) (eventstore.Rebuilt, error) {
	steps := 0
	return d.Rebuild(l.driver, l.t.Context(), eventstore.Rebuild{Between: func(ctx context.Context, fn func() error) error {
		err := l.store.Between(ctx, fn)
		if err == nil {
			steps++
			between(steps)
		}
		return err
	}})
}

// mustRebuild is rebuild without anything in between, and it has to succeed.
func (l *log) mustRebuild(d Driver) eventstore.Rebuilt {
	l.t.Helper()
	found, err := l.rebuild(d, func(int) {})
	if err != nil {
		l.t.Fatalf("rebuild: %v", err)
	}
	return found
}

// contentOf returns the hash of the boxes as brute force makes them: a map over
// all events.
func (l *log) contentOf() *eventstore.Content {
	l.t.Helper()
	rows := map[int64][]eventstore.Value{}
	for _, e := range l.all() {
		changes, err := boxes{}.Rows(e)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, r := range changes {
			delete(rows, r.Values[0].Int())
			if !r.Delete {
				rows[r.Values[0].Int()] = r.Values
			}
		}
	}
	content := eventstore.NewContent()
	for _, id := range slices.Sorted(maps.Keys(rows)) {
		content.Add(rows[id])
	}
	return content
}

// agrees fails unless a rebuild has found what brute force finds.
func (l *log) agrees(found eventstore.Rebuilt, differ int64) {
	l.t.Helper()
	want := l.contentOf()
	if len(found.Tables) != 1 || found.Tables[0] != (eventstore.RebuiltTable{Name: "boxes", Rows: want.Rows(), Differ: differ, Hash: want.Sum()}) {
		l.t.Fatalf("found %+v, want %d rows with the hash %x and %d different", found.Tables, want.Rows(), want.Sum(), differ)
	}
	if got := l.show(eventstore.Select{}); got != l.replayed() {
		l.t.Fatalf("the rows are %s, the events say %s", got, l.replayed())
	}
}

// fickle is a view whose rows depend on a switch: what a fault in an earlier
// version would have left behind.
type fickle struct {
	boxes
	wrong *atomic.Bool
}

// Rows implements eventstore.View.
func (f fickle) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	rows, err := f.boxes.Rows(e)
	if f.wrong.Load() && len(rows) == 1 && !rows[0].Delete {
		rows[0].Values[1] = eventstore.Text("wrong")
	}
	return rows, err
}

// picky is a view that may refuse to read.
type picky struct {
	boxes
	refuse *atomic.Bool
}

// Rows implements eventstore.View.
func (p picky) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	if p.refuse.Load() {
		return nil, errUnreadable
	}
	return p.boxes.Rows(e)
}

func testGenerations(t *testing.T, d Driver) {
	t.Run("an empty log is rebuilt into nothing", func(t *testing.T) {
		l := d.withBoxes(t)
		l.agrees(l.mustRebuild(d), 0)
	})
	t.Run("a rebuild gives the rows and the hash that the events give", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5", "2 b 6", "1 c 7", "3 d 5", "2")
		found := l.mustRebuild(d)
		l.agrees(found, 0)
		if found.Position != 5 {
			t.Fatalf("it took over at position %d", found.Position)
		}
	})
	t.Run("views can be rebuilt again and again, and written after each time", func(t *testing.T) {
		l := d.withBoxes(t)
		for i := range 4 {
			l.put(fmt.Sprint(i+1, " a ", i), fmt.Sprint(1, " b ", i))
			l.agrees(l.mustRebuild(d), 0)
		}
		if got := l.show(eventstore.Select{Column: "size", Equals: 3}); got != "1 b 3, 4 a 3" {
			t.Fatalf("the index says %s", got)
		}
	})
	t.Run("a command between any two steps is in both generations", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5", "2 b 6", "3 c 7")
		steps := 0
		found, err := l.rebuild(d, func(step int) {
			steps = step
			l.put(fmt.Sprint(step%5+1, " s", step, " 9"), fmt.Sprint((step+2)%5+1))
			if got := l.show(eventstore.Select{}); got != l.replayed() {
				t.Errorf("after step %d the rows are %s, the events say %s", step, got, l.replayed())
			}
		})
		if err != nil || steps < 2 {
			t.Fatalf("%d steps, %v", steps, err)
		}
		if found.Tables[0].Differ != 0 {
			t.Fatalf("%d rows differ", found.Tables[0].Differ)
		}
		if got := l.show(eventstore.Select{}); got != l.replayed() {
			t.Fatalf("the rows are %s, the events say %s", got, l.replayed())
		}
	})
	t.Run("rows that were wrong are counted, and the new ones win", func(t *testing.T) { testWrongRows(t, d) })
	t.Run("one rebuild at a time", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5")
		_, err := l.rebuild(d, func(int) {
			if _, err := l.rebuild(d, func(int) {}); !errors.Is(err, eventstore.ErrRebuilding) {
				t.Errorf("the second got %v", err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a rebuild that is given up at any step leaves the old rows and can be begun again", func(t *testing.T) {
		testGivenUp(t, d)
	})
	t.Run("an event that the new view can't read ends the rebuild, not the log", func(t *testing.T) {
		view := picky{refuse: new(atomic.Bool)}
		l := d.open(t, Options{Views: []eventstore.View{view}})
		l.put("1 a 5")
		view.refuse.Store(true)
		if _, err := l.rebuild(d, func(int) {}); !errors.Is(err, errUnreadable) {
			t.Fatalf("got %v", err)
		}
		view.refuse.Store(false)
		l.put("2 b 6")
		l.agrees(l.mustRebuild(d), 0)
	})
	t.Run("what runs between two commits sees none begin", func(t *testing.T) { testBetween(t, d) })
	t.Run("tasks and commands take turns", func(t *testing.T) { testTurns(t, d) })
	t.Run("random commands during random rebuilds end as brute force says", func(t *testing.T) { testRebuildModel(t, d) })
	t.Run("commands and queries run during rebuilds", func(t *testing.T) { testRebuildRace(t, d) })
}
