package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

func testRead(t *testing.T, d Driver) {
	fill := func(t *testing.T) *log {
		l := d.open(t, Options{})
		for i := range 10 {
			l.must(write(on(fmt.Sprint(i%2)), eventstore.Any, fmt.Sprint(i)))
		}
		return l
	}
	data := func(events []eventstore.Event) (all []string) {
		for _, e := range events {
			all = append(all, string(e.Data))
		}
		return all
	}
	t.Run("reading all begins after a position and ends at a limit", func(t *testing.T) {
		l := fill(t)
		events, err := l.driver.ReadAll(t.Context(), 3, 4)
		if diff := cmp.Diff([]string{"3", "4", "5", "6"}, data(events)); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
	t.Run("reading a stream begins after a version and ends at a limit", func(t *testing.T) {
		l := fill(t)
		for _, c := range []struct {
			after eventstore.Version
			limit int
			want  []string
		}{
			{0, 100, []string{"1", "3", "5", "7", "9"}},
			{2, 2, []string{"5", "7"}},
			{4, 9, []string{"9"}},
			{5, 9, nil},
			{9, 9, nil},
		} {
			events, err := l.driver.ReadStream(t.Context(), on("1"), c.after, c.limit)
			if diff := cmp.Diff(c.want, data(events)); diff != "" || err != nil {
				t.Errorf("after %d, limit %d: %s %v", c.after, c.limit, diff, err)
			}
		}
	})
	t.Run("a stream that nobody wrote to has no events", func(t *testing.T) {
		l := fill(t)
		if events := l.stream(on("none")); events != nil {
			t.Fatalf("got %v", events)
		}
	})
	t.Run("there is nothing after the head", func(t *testing.T) {
		l := fill(t)
		for _, after := range []eventstore.Position{10, 11, 1 << 40} {
			if events, err := l.driver.ReadAll(t.Context(), after, 10); len(events) > 0 || err != nil {
				t.Fatalf("after %d: %v, %v", after, events, err)
			}
		}
	})
	t.Run("the head is the last event, under the identity of the log", func(t *testing.T) {
		l := d.open(t, Options{})
		empty := l.head()
		if empty.Position != 0 || !empty.Time.IsZero() || len(empty.Lineage) != 1 || empty.Lineage[0].First != 1 || empty.Lineage[0].UUID == [16]byte{} {
			t.Fatalf("an empty log has head %+v", empty)
		}
		r := l.must(write(on("a"), 0, "1", "2"))
		want := eventstore.Head{Position: 2, Time: r.Time, Lineage: empty.Lineage}
		if diff := cmp.Diff(want, l.head()); diff != "" {
			t.Fatal(diff)
		}
		if other := d.open(t, Options{}).head(); other.Lineage[0].UUID == empty.Lineage[0].UUID {
			t.Fatal("two logs have one identity")
		}
	})
	t.Run("a read whose context has ended returns that", func(t *testing.T) {
		l := fill(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, errAll := l.driver.ReadAll(ctx, 0, 1)
		_, errStream := l.driver.ReadStream(ctx, on("1"), 0, 1)
		for _, err := range []error{errAll, errStream} {
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("got %v", err)
			}
		}
	})
	t.Run("a long stream is read page by page", func(t *testing.T) {
		l := d.open(t, Options{})
		many := make([]string, eventstore.MaxBatch)
		for range 6 {
			l.must(write(on("long"), eventstore.Any, many...))
		}
		events := l.stream(on("long"))
		if len(events) != 6*eventstore.MaxBatch {
			t.Fatalf("read %d events", len(events))
		}
		for i, e := range events {
			if e.Version != eventstore.Version(i+1) {
				t.Fatalf("event %d has version %d", i, e.Version)
			}
		}
	})
}
