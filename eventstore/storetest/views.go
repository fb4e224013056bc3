package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// boxes is a view for the suite: an event "id colour size" puts a box there, "id"
// alone takes it away.
type boxes struct{}

// Tables implements eventstore.View.
func (boxes) Tables() []eventstore.Table {
	return []eventstore.Table{{
		Name: "boxes",
		Columns: []eventstore.Column{
			{Name: "id", Type: eventstore.IntColumn},
			{Name: "colour", Type: eventstore.TextColumn},
			{Name: "size", Type: eventstore.IntColumn},
			{Name: "put_at", Type: eventstore.TimeColumn},
		},
		Indexes: []string{"size"},
	}}
}

// errUnreadable is what boxes says of an event it can't read.
var errUnreadable = errors.New("unreadable")

// Rows implements eventstore.View.
func (boxes) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	var id, size int64
	var colour string
	switch n, _ := fmt.Sscan(string(e.Data), &id, &colour, &size); n {
	case 1:
		return []eventstore.Row{{Table: "boxes", Delete: true, Values: []eventstore.Value{eventstore.Int(id)}}}, nil
	case 3:
		return []eventstore.Row{{Table: "boxes", Values: []eventstore.Value{
			eventstore.Int(id), eventstore.Text(colour), eventstore.Int(size), eventstore.Time(e.Time),
		}}}, nil
	}
	return nil, errUnreadable
}

// withBoxes opens a log with the view.
func (d Driver) withBoxes(t *testing.T) *log {
	t.Helper()
	return d.open(t, Options{Views: []eventstore.View{boxes{}}})
}

// put commits events of boxes to a stream of their own.
func (l *log) put(data ...string) {
	l.t.Helper()
	for _, one := range data {
		l.must(write(on("boxes"), eventstore.Any, one))
	}
}

// show returns the rows of a query as "id colour size", and checks their times.
func (l *log) show(q eventstore.Select) string {
	l.t.Helper()
	q.Table = "boxes"
	if q.Limit == 0 {
		q.Limit = 100
	}
	var lines []string
	for _, row := range l.rows(q) {
		if row[3].Type() != eventstore.TimeColumn || row[3].Time().IsZero() {
			l.t.Fatalf("a row without its time: %v", row)
		}
		lines = append(lines, fmt.Sprintf("%d %s %d", row[0].Int(), row[1].Text(), row[2].Int()))
	}
	return strings.Join(lines, ", ")
}

func testViews(t *testing.T, d Driver) {
	t.Run("rows are written with the events", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("2 red 5", "1 blue 7")
		if got := l.show(eventstore.Select{}); got != "1 blue 7, 2 red 5" {
			t.Fatalf("got %s", got)
		}
	})
	t.Run("a row takes the place of the one with its key, or takes it away", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 blue 7", "2 red 5", "1 green 8", "2")
		if got := l.show(eventstore.Select{}); got != "1 green 8" {
			t.Fatalf("got %s", got)
		}
		l.put("2", "3") // what is not there can be taken away
	})
	t.Run("rows are selected by key, by index, after a key and up to a limit", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5", "2 b 6", "3 c 5", "4 d 6", "5 e 5")
		for want, q := range map[string]eventstore.Select{
			"3 c 5":               {Column: "id", Equals: 3},
			"":                    {Column: "id", Equals: 9},
			"1 a 5, 3 c 5, 5 e 5": {Column: "size", Equals: 5},
			"3 c 5, 5 e 5":        {Column: "size", Equals: 5, After: 1},
			"2 b 6":               {Column: "size", Equals: 6, Limit: 1},
			"3 c 5, 4 d 6":        {After: 2, Limit: 2},
		} {
			if got := l.show(q); got != want {
				t.Errorf("%+v: got %q, want %q", q, got, want)
			}
		}
	})
	t.Run("an index follows its column", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5", "1 a 6", "2 b 5", "2")
		if five, six := l.show(eventstore.Select{Column: "size", Equals: 5}), l.show(eventstore.Select{Column: "size", Equals: 6}); five != "" || six != "1 a 6" {
			t.Fatalf("got %q and %q", five, six)
		}
	})
	t.Run("a refused write leaves no rows", func(t *testing.T) {
		l := d.withBoxes(t)
		l.commit(write(on("x"), 7, "1 a 5"), write(on("x"), 0, "2 b 5"))
		if got := l.show(eventstore.Select{}); got != "2 b 5" {
			t.Fatalf("got %s", got)
		}
	})
	t.Run("no other tables and columns can be selected", func(t *testing.T) {
		l := d.withBoxes(t)
		for _, q := range []eventstore.Select{{Table: "events", Limit: 1}, {Table: "boxes", Column: "colour", Limit: 1}} {
			if _, err := l.store.Select(t.Context(), q); err == nil {
				t.Errorf("%+v was answered", q)
			}
		}
	})
	t.Run("an event that a view can't read stops the log, and nothing of it stays", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 a 5")
		if _, err := l.store.Append(t.Context(), write(on("x"), 0, "one two three four")); !errors.Is(err, errUnreadable) {
			t.Fatalf("got %v", err)
		}
		<-l.store.Done()
		if n := len(l.all()); n != 1 {
			t.Fatalf("the log has %d events", n)
		}
		l.store = mustOpen(t, l.reopenAfterFailure())
	})
	t.Run("replaying the events gives the same rows", func(t *testing.T) {
		l := d.withBoxes(t)
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			if rnd.IntN(4) == 0 {
				l.put(fmt.Sprint(1 + rnd.IntN(30)))
			} else {
				l.put(fmt.Sprint(1+rnd.IntN(30), " c", rnd.IntN(9), " ", rnd.IntN(5)))
			}
		}
		if diff := cmp.Diff(l.replayed(), l.show(eventstore.Select{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

// replayed returns what show shows, from the events alone.
func (l *log) replayed() string {
	l.t.Helper()
	rows := map[int64]string{}
	for _, e := range l.all() {
		changes, err := boxes{}.Rows(e)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, r := range changes {
			delete(rows, r.Values[0].Int())
			if !r.Delete {
				rows[r.Values[0].Int()] = fmt.Sprintf("%d %s %d", r.Values[0].Int(), r.Values[1].Text(), r.Values[2].Int())
			}
		}
	}
	var lines []string
	for id := range int64(100) {
		if line, ok := rows[id]; ok {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ", ")
}

// reopenAfterFailure closes the failed store, whose error was looked at, and
// opens the log again.
func (l *log) reopenAfterFailure() eventstore.Driver {
	_ = l.store.Close()
	return l.reopen()
}

func mustOpen(t *testing.T, d eventstore.Driver) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(t.Context(), d, eventstore.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return store
}
