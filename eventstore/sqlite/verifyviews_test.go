package sqlite

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"ensemble/eventstore"
)

// colours is a view with a row for each thing, which ends when it is sold.
type colours struct{ colour string }

// Tables implements eventstore.View.
func (*colours) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "colours", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn},
		{Name: "colour", Type: eventstore.TextColumn},
		{Name: "made_at", Type: eventstore.TimeColumn},
	}}}
}

// Rows implements eventstore.View.
func (c *colours) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	if e.Type == "ThingSold" {
		id, err := strconv.ParseInt(e.Stream.ID, 10, 64)
		return []eventstore.Row{{Table: "colours", Delete: true, Values: []eventstore.Value{eventstore.Int(id)}}}, err
	}
	return []eventstore.Row{{Table: "colours", Values: []eventstore.Value{
		eventstore.Int(e.Number), eventstore.Text(c.colour), eventstore.Time(e.Time),
	}}}, nil
}

func TestVerifyViewsFindsEveryRowThatIsNotWhatTheLogSays(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"a changed text":   {"UPDATE colours SET colour = 'blue' WHERE id = 3", "row 3 of table colours is not what the log says"},
		"a changed number": {"UPDATE colours SET made_at = made_at + 1 WHERE id = 7000", "row 7000 of table colours is not what the log says"},
		"a missing row":    {"DELETE FROM colours WHERE id = 5999", "row 5999 of table colours is missing"},
		"an invented row":  {"INSERT INTO colours VALUES (9000, 'red', 1)", "row 9000 of table colours is there, but not by the log"},
		"an empty table":   {"DELETE FROM colours", "1000 rows or more differ"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, Options{Views: []eventstore.View{&colours{"red"}}})
			w.many(7000)
			if v, err := w.log.VerifyViews(t.Context(), quiet); err != nil || v.Rows != 7000 || v.Until != 7000 {
				t.Fatalf("a view that is well: %+v, %v", v, err)
			}
			w.sql(c.script)
			_, err := w.log.VerifyViews(t.Context(), quiet)
			damage, ok := errors.AsType[*eventstore.DamageError](err)
			if !ok || !strings.Contains(damage.Error(), c.says) || !strings.Contains(damage.Error(), "ensemble rebuild") {
				t.Fatalf("it says %v", err)
			}
		})
	}
}

// many appends n events in batches.
func (w *world) many(n int) {
	w.t.Helper()
	for n > 0 {
		batch := make([]eventstore.Write, min(n, 1000))
		for i := range batch {
			batch[i] = thing()
		}
		if _, err := w.log.Commit(w.t.Context(), batch); err != nil {
			w.t.Fatal(err)
		}
		n -= len(batch)
	}
}

func TestVerifyViewsSaysWhichTablesAreNotMadeYet(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(1)
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true, Views: []eventstore.View{&colours{"red"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	v, err := reader.VerifyViews(t.Context(), quiet)
	if err != nil || len(v.Unmade) != 1 || v.Unmade[0] != "colours" {
		t.Fatalf("%+v, %v", v, err)
	}
}

// TestEverythingCanBeCheckedWhileTheLogIsWritten opens, verifies and searches a log
// in motion: rows come, change and go behind and before the walk.
func TestEverythingCanBeCheckedWhileTheLogIsWritten(t *testing.T) {
	view := []eventstore.View{&colours{"red"}}
	w := newWorld(t, Options{Views: view})
	w.many(12_000)
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for id := 1; ctx.Err() == nil; id++ {
			sell := eventstore.Write{Stream: stream(id), Expected: eventstore.Any, Events: []eventstore.NewEvent{{Type: "ThingSold"}}}
			if _, err := w.log.Commit(t.Context(), []eventstore.Write{thing(), sell, thing()}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 3 {
		reader, err := Open(t.Context(), w.path, Options{ReadOnly: true, Views: view})
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		if _, err := reader.Verify(t.Context(), noProgress); err != nil {
			t.Fatalf("verify: %v", err)
		}
		if _, err := reader.VerifyViews(t.Context(), quiet); err != nil {
			t.Fatalf("verify the views: %v", err)
		}
		events, err := reader.FindStream(t.Context(), stream(11_999), noProgress)
		if err != nil || len(events) == 0 || events[0].Number != 11_999 {
			t.Fatalf("find: %v, %v", events, err)
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	writer.Wait()
}

func TestFindStreamNeedsNoHeads(t *testing.T) {
	w := newWorld(t, Options{})
	w.commit(30)
	w.sell(7)
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for i, want := range map[int]int{7: 2, 8: 1, 31: 0} {
		events, err := reader.FindStream(t.Context(), stream(i), noProgress)
		if err != nil || len(events) != want {
			t.Errorf("stream %d: %v, %v", i, events, err)
		}
	}
	w.sql("UPDATE events SET previous = 3 WHERE position = 31")
	if _, err := reader.FindStream(t.Context(), stream(7), noProgress); err == nil {
		t.Error("damage in the stream went unnoticed")
	}
}

func TestVerifyWalksAllPages(t *testing.T) {
	w := newWorld(t, Options{})
	w.many(2*verifyPage + 500)
	v, err := w.log.Verify(t.Context(), noProgress)
	if err != nil || v.Events != 2*verifyPage+500 || v.Commits != 41 {
		t.Fatalf("%+v, %v", v, err)
	}
	for script, at := range map[string]eventstore.Position{
		"DELETE FROM commits WHERE first = 20001":                   19_001,
		"UPDATE commits SET hash = zeroblob(32) WHERE first = 1001": 1001,
		"DELETE FROM events WHERE position = 30000":                 30_000,
		"INSERT INTO commits VALUES (50000, zeroblob(32))":          40_501,
	} {
		t.Run(script, func(t *testing.T) {
			broken := openCopy(t, w)
			broken.sql(script)
			_, err := broken.log.Verify(t.Context(), noProgress)
			if damage, ok := errors.AsType[*eventstore.DamageError](err); !ok || damage.Position != at {
				t.Fatalf("the damage is at %d, it says %v", at, err)
			}
		})
	}
	w.sql("INSERT INTO lineage VALUES (99999, zeroblob(16))")
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := reader.Verify(t.Context(), noProgress); err == nil || !strings.Contains(err.Error(), "lineage") {
		t.Fatalf("a lineage beyond the end: %v", err)
	}
}

// openCopy opens a copy of a log that is open.
func openCopy(t *testing.T, w *world) *world {
	t.Helper()
	return restored(t, w.backup(), Options{})
}
