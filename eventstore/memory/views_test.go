package memory_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/eventstore/sqlite"
)

// parcels is a view whose events are "key shelf", or "key" alone to take one away.
type parcels struct{}

func (parcels) Tables() []eventstore.Table {
	return []eventstore.Table{{
		Name:    "parcels",
		Columns: []eventstore.Column{{Name: "id"}, {Name: "shelf"}, {Name: "text", Type: eventstore.TextColumn}, {Name: "at", Type: eventstore.TimeColumn}},
		Indexes: []string{"shelf"},
	}}
}

func (parcels) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	var id, shelf int64
	if n, _ := fmt.Sscan(string(e.Data), &id, &shelf); n == 1 {
		return []eventstore.Row{{Table: "parcels", Delete: true, Values: []eventstore.Value{eventstore.Int(id)}}}, nil
	}
	return []eventstore.Row{{Table: "parcels", Values: []eventstore.Value{
		eventstore.Int(id), eventstore.Int(shelf), eventstore.Text(string(e.Data)), eventstore.Time(e.Time),
	}}}, nil
}

func put(data string) eventstore.Write {
	return eventstore.Write{
		Stream: eventstore.Stream{Category: "parcel", ID: "x"}, Expected: eventstore.Any,
		Events: []eventstore.NewEvent{{Type: "Put", Data: []byte(data)}},
	}
}

// TestMemoryAndSQLiteAnswerEveryQueryAlike after any history: what is tested on one is
// true on the other.
func TestMemoryAndSQLiteAnswerEveryQueryAlike(t *testing.T) {
	disk, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{
		Views: []eventstore.View{parcels{}}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	ram := memory.New(memory.Options{Views: []eventstore.View{parcels{}}})
	rapid.Check(t, func(t *rapid.T) {
		var batch []eventstore.Write
		for range rapid.IntRange(1, 12).Draw(t, "writes") {
			data := fmt.Sprint(rapid.IntRange(1, 20).Draw(t, "id"))
			if rapid.IntRange(0, 3).Draw(t, "take") > 0 {
				data += fmt.Sprint(" ", rapid.IntRange(-2, 4).Draw(t, "shelf"))
			}
			batch = append(batch, put(data))
		}
		for _, d := range []eventstore.Driver{disk, ram} {
			if _, err := d.Commit(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		}
		for range 6 {
			q := eventstore.Select{
				Table: "parcels", Column: rapid.SampledFrom([]string{"", "id", "shelf"}).Draw(t, "column"),
				Equals: rapid.Int64Range(-3, 21).Draw(t, "equals"), After: rapid.Int64Range(-1, 21).Draw(t, "after"),
				Limit: rapid.IntRange(1, 25).Draw(t, "limit"),
			}
			onDisk, inMemory := texts(t, disk, q), texts(t, ram, q)
			if diff := cmp.Diff(onDisk, inMemory); diff != "" {
				t.Fatalf("%+v: %s", q, diff)
			}
		}
	})
}

// texts returns the rows of a query without their times, which the drivers choose.
func texts(t *rapid.T, d eventstore.Driver, q eventstore.Select) (rows []string) {
	found, err := d.Select(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range found {
		rows = append(rows, fmt.Sprint(r[0].Int(), "/", r[1].Int(), "/", r[2].Text()))
	}
	return rows
}

// TestAQueryNeverSeesHalfACommit while a writer moves two parcels at a time.
func TestAQueryNeverSeesHalfACommit(t *testing.T) {
	log := memory.New(memory.Options{Views: []eventstore.View{parcels{}}})
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				rows, err := log.Select(context.Background(), eventstore.Select{Table: "parcels", Limit: 10})
				if err != nil || len(rows) != 0 && (len(rows) != 2 || rows[0][1] != rows[1][1]) {
					t.Errorf("half a commit is seen: %v, %v", rows, err)
					return
				}
			}
		})
	}
	for i := range 500 {
		if _, err := log.Commit(t.Context(), []eventstore.Write{put(fmt.Sprint("1 ", i)), put(fmt.Sprint("2 ", i))}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
}

// TestRowsHandedOutAreTheCallersOwn.
func TestRowsHandedOutAreTheCallersOwn(t *testing.T) {
	log := memory.New(memory.Options{Views: []eventstore.View{parcels{}}})
	if _, err := log.Commit(t.Context(), []eventstore.Write{put("1 5")}); err != nil {
		t.Fatal(err)
	}
	all := eventstore.Select{Table: "parcels", Limit: 1}
	rows, err := log.Select(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(rows[0])
	rows[0][1] = eventstore.Int(99)
	again, err := log.Select(t.Context(), all)
	if err != nil || !slices.Equal(again[0], before) {
		t.Fatalf("the table has %v now, it had %v, %v", again, before, err)
	}
}
