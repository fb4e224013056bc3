package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"ensemble/eventstore"
)

func testNumbers(t *testing.T, d Driver) {
	create := func() eventstore.Write {
		return eventstore.Write{Stream: on(""), Events: []eventstore.NewEvent{numbered("{}")}}
	}
	t.Run("numbers are 1, 2, 3, … and each category has its own", func(t *testing.T) {
		l := d.open(t, Options{})
		other := create()
		other.Stream.Category = "other"
		for i := 1; i <= 3; i++ {
			for _, w := range []eventstore.Write{create(), other} {
				if r := l.must(w); r.Number != int64(i) {
					t.Fatalf("%s: number %d, want %d", w.Stream.Category, r.Number, i)
				}
			}
		}
	})
	t.Run("a stream without an ID is named by the number", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(create())
		r := l.must(create())
		if r.Stream != on("2") || r.Version != 1 {
			t.Fatalf("got %+v", r)
		}
		if e := l.stream(on("2"))[0]; e.Number != 2 || e.Stream != on("2") {
			t.Fatalf("stored as %+v", e)
		}
	})
	t.Run("a refused write burns no number", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		results := l.commit(
			eventstore.Write{Stream: on("a"), Expected: 5, Events: []eventstore.NewEvent{numbered("lost")}}, create())
		if results[0].Err == nil || results[1].Number != 1 {
			t.Fatalf("got %+v", results)
		}
	})
	t.Run("events of one write are numbered one after the other", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(eventstore.Write{Stream: on("a"), Events: []eventstore.NewEvent{numbered("1"), event("none"), numbered("2")}})
		var got []int64
		for _, e := range l.all() {
			got = append(got, e.Number)
		}
		if fmt.Sprint(got) != "[1 0 2]" {
			t.Fatalf("got %v", got)
		}
	})
	t.Run("an import may bring numbers above the highest, and the next one follows", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(eventstore.Write{Stream: on(""), Events: []eventstore.NewEvent{{Type: "A", Number: 41}}})
		if r := l.must(create()); r.Number != 42 {
			t.Fatalf("got %d", r.Number)
		}
		for _, n := range []int64{1, 41, 42} {
			_, err := l.store.Append(t.Context(),
				eventstore.Write{Stream: on(fmt.Sprint("x", n)), Events: []eventstore.NewEvent{{Type: "A", Number: n}}})
			if !errors.Is(err, eventstore.ErrInvalid) {
				t.Fatalf("number %d was taken again: %v", n, err)
			}
		}
	})
	t.Run("many at once get dense numbers", func(t *testing.T) {
		l := d.open(t, Options{})
		const n = 200
		seen := make([]bool, n+1)
		var mu sync.Mutex
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				r, err := l.store.Append(background(), create())
				mu.Lock()
				defer mu.Unlock()
				if err != nil || r.Number < 1 || r.Number > n || seen[r.Number] {
					t.Errorf("got %+v, %v", r, err)
					return
				}
				seen[r.Number] = true
			})
		}
		group.Wait()
	})
}
