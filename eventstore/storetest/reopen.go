package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

func testReopen(t *testing.T, d Driver) {
	t.Run("a log opened again is the same", func(t *testing.T) {
		l := d.withBoxes(t)
		l.put("1 red 5", "2 blue 6", "1")
		l.must(with(write(on("x"), 0, "3 green 7"), key(1, 7)))
		refused := key(2, 7)
		refused.Outcome = []byte("no")
		l.must(eventstore.Write{Stream: on("x"), Expected: 1, Key: refused})
		l.must(eventstore.Write{Stream: on(""), Events: []eventstore.NewEvent{
			{Type: "Happened", Data: []byte("4 grey 8"), Number: eventstore.NextNumber, Meta: eventstore.Metadata{"a": "b"}},
		}})
		events, rows, head := l.all(), l.show(eventstore.Select{}), l.head()
		for range 2 {
			l.restart()
			if diff := cmp.Diff(events, l.all()); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(head, l.head()); diff != "" {
				t.Fatal(diff)
			}
			if got := l.show(eventstore.Select{}); got != rows {
				t.Fatalf("rows %s, were %s", got, rows)
			}
			l.remembers(map[byte]bool{1: true, 2: true, 3: false})
		}
	})
	t.Run("numbers, versions and positions go on", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(eventstore.Write{Stream: on(""), Events: []eventstore.NewEvent{numbered("1"), event("2")}})
		l.restart()
		if r := l.must(eventstore.Write{Stream: on("1"), Expected: 2, Events: []eventstore.NewEvent{numbered("3")}}); r.Position != 3 || r.Version != 3 || r.Number != 2 {
			t.Fatalf("got %+v", r)
		}
	})
	t.Run("a key used before is still used", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(with(write(on("a"), 0, "1"), key(1, 7)))
		l.restart()
		if r := l.must(with(write(on("b"), 0, "1"), key(1, 7))); r.Previous == nil || r.Previous.Stream != on("a") {
			t.Fatalf("got %+v", r)
		}
	})
}
