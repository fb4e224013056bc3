package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

func testAppend(t *testing.T, d Driver) {
	t.Run("positions are 1, 2, 3, … in the order of the commits", func(t *testing.T) {
		l := d.open(t, Options{})
		for i := 1; i <= 5; i++ {
			if r := l.must(write(on(fmt.Sprint(i)), eventstore.NoStream, "{}")); r.Position != eventstore.Position(i) {
				t.Fatalf("append %d got position %d", i, r.Position)
			}
		}
		for i, e := range l.all() {
			if e.Position != eventstore.Position(i+1) || e.Stream != on(fmt.Sprint(i+1)) {
				t.Fatalf("event %d is %+v", i, e)
			}
		}
	})
	t.Run("versions are 1, 2, 3, … within each stream", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1", "2"))
		l.must(write(on("b"), 0, "1"))
		if r := l.must(write(on("a"), 2, "3")); r.Version != 3 {
			t.Fatalf("the third event of a got version %d", r.Version)
		}
		for i, e := range l.stream(on("a")) {
			if e.Version != eventstore.Version(i+1) {
				t.Fatalf("event %d of a has version %d", i, e.Version)
			}
		}
	})
	t.Run("a write at another version than expected is a conflict that says which", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		_, err := l.store.Append(t.Context(), write(on("a"), 0, "2"))
		conflict, ok := errors.AsType[*eventstore.ConflictError](err)
		want := eventstore.ConflictError{Stream: on("a"), Expected: 0, Actual: 1}
		if !ok || *conflict != want {
			t.Fatalf("got %v, want %v", err, &want)
		}
		if n := len(l.all()); n != 1 {
			t.Fatalf("the refused write left %d events", n)
		}
	})
	t.Run("any version is fine for a write that expects Any", func(t *testing.T) {
		l := d.open(t, Options{})
		for i := 1; i <= 3; i++ {
			if r := l.must(write(on("a"), eventstore.Any, "x")); r.Version != eventstore.Version(i) {
				t.Fatalf("got version %d", r.Version)
			}
		}
	})
	t.Run("a conflicting command fails alone, never its batch", func(t *testing.T) {
		l := d.open(t, Options{})
		results := l.commit(
			write(on("a"), 0, "1"), write(on("a"), 0, "lost"), write(on("a"), 1, "2"), write(on("b"), 0, "1"))
		if _, ok := errors.AsType[*eventstore.ConflictError](results[1].Err); !ok {
			t.Fatalf("the second write got %+v", results[1])
		}
		for _, i := range []int{0, 2, 3} {
			if results[i].Err != nil {
				t.Fatalf("write %d failed: %v", i, results[i].Err)
			}
		}
		var data []string
		for _, e := range l.all() {
			data = append(data, e.Stream.ID+string(e.Data))
		}
		if diff := cmp.Diff([]string{"a1", "a2", "b1"}, data); diff != "" {
			t.Fatal(diff)
		}
	})
	t.Run("an event comes back as it was written", func(t *testing.T) { testRoundTrip(t, d) })
	t.Run("events handed out share no memory with the log", func(t *testing.T) {
		l := d.open(t, Options{})
		data := []byte(`{"a":1}`)
		l.must(eventstore.Write{Stream: on("a"), Events: []eventstore.NewEvent{{Type: "Happened", Data: data}}})
		copy(data, "garbage")
		copy(l.all()[0].Data, "garbage")
		if got := string(l.all()[0].Data); got != `{"a":1}` {
			t.Fatalf("the log now says %s", got)
		}
	})
	t.Run("time never runs backwards and is the same for a commit", func(t *testing.T) {
		l := d.open(t, Options{})
		before := time.Now().Truncate(time.Microsecond)
		for range 20 {
			l.must(write(on("a"), eventstore.Any, "1", "2"))
		}
		last := before
		for _, e := range l.all() {
			if e.Time.Before(last) || e.Time.Location() != time.UTC || !e.Time.Equal(e.Time.Truncate(time.Microsecond)) {
				t.Fatalf("event %d has time %v after %v", e.Position, e.Time, last)
			}
			last = e.Time
		}
	})
	t.Run("of many who race for one version exactly one wins", func(t *testing.T) { testRace(t, d) })
	t.Run("a write that breaks the rules is refused", func(t *testing.T) { testInvalid(t, d) })
}

func testRoundTrip(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	for i, data := range []string{"", "{}", "[]", `{"name":"Žofie 李 🙂"}`, strings.Repeat("x", eventstore.MaxData), "\x00\x01\xff"} {
		want := eventstore.NewEvent{Type: "Happened", Data: []byte(data)}
		if i%2 == 1 {
			want.Meta = eventstore.Metadata{"traceparent": "00-ab-cd-01", "Ω": "\n"}
		}
		stream := on(fmt.Sprint("s", i))
		r := l.must(eventstore.Write{Stream: stream, Events: []eventstore.NewEvent{want}})
		for how, events := range map[string][]eventstore.Event{"stream": l.stream(stream), "all": l.all()[r.Position-1:]} {
			got := events[0]
			wantEvent := eventstore.Event{
				Stream: stream, Version: 1, Position: r.Position, Type: "Happened", Time: r.Time,
				Data: []byte(data), Meta: want.Meta,
			}
			if len(got.Data) == 0 {
				got.Data = []byte{}
			}
			if diff := cmp.Diff(wantEvent, got); diff != "" {
				t.Fatalf("%s: %s", how, diff)
			}
		}
	}
}

func testRace(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	const racers, rounds = 50, 5
	for round := range rounds {
		var wins, conflicts int
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range racers {
			group.Go(func() {
				_, err := l.store.Append(background(), write(on("a"), eventstore.Version(round), fmt.Sprint(i)))
				mu.Lock()
				defer mu.Unlock()
				if _, ok := errors.AsType[*eventstore.ConflictError](err); ok {
					conflicts++
				} else if err == nil {
					wins++
				} else {
					t.Errorf("racer %d: %v", i, err)
				}
			})
		}
		group.Wait()
		if wins != 1 || conflicts != racers-1 {
			t.Fatalf("round %d: %d won, %d conflicts", round, wins, conflicts)
		}
	}
	if n := len(l.stream(on("a"))); n != rounds {
		t.Fatalf("%d rounds left %d events", rounds, n)
	}
}

func testInvalid(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	long := strings.Repeat("x", eventstore.MaxName+1)
	many := make([]string, eventstore.MaxBatch+1)
	for name, w := range map[string]eventstore.Write{
		"neither events nor a key":       {Stream: on("a")},
		"no category":                    write(eventstore.Stream{ID: "a"}, 0, "1"),
		"a category with a dash":         write(eventstore.Stream{Category: "a-b", ID: "a"}, 0, "1"),
		"a long category":                write(eventstore.Stream{Category: long, ID: "a"}, 0, "1"),
		"an ID with a space":             write(on("a b"), 0, "1"),
		"an ID that is no Unicode":       write(on("a\xff"), 0, "1"),
		"a long ID":                      write(on(long), 0, "1"),
		"no ID and no number":            write(on(""), 0, "1"),
		"a version that can't be":        write(on("a"), -2, "1"),
		"no type":                        {Stream: on("a"), Events: []eventstore.NewEvent{{Data: []byte("1")}}},
		"a type with a space":            {Stream: on("a"), Events: []eventstore.NewEvent{{Type: "a b"}}},
		"too much data":                  write(on("a"), 0, strings.Repeat("x", eventstore.MaxData+1)),
		"too many events":                write(on("a"), 0, many...),
		"a number that can't be":         {Stream: on("a"), Events: []eventstore.NewEvent{{Type: "A", Number: -2}}},
		"too long an outcome":            {Key: &eventstore.Key{Outcome: make([]byte, eventstore.MaxOutcome+1)}},
		"a new stream that expects more": {Stream: on(""), Expected: 1, Events: []eventstore.NewEvent{numbered("1")}},
		"too much metadata": {Stream: on("a"), Events: []eventstore.NewEvent{
			{Type: "A", Meta: eventstore.Metadata{"a": strings.Repeat("x", eventstore.MaxMeta)}},
		}},
	} {
		if _, err := l.store.Append(t.Context(), w); !errors.Is(err, eventstore.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(l.all()); n != 0 {
		t.Fatalf("refused writes left %d events", n)
	}
}
