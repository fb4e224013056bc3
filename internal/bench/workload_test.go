package bench

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/user"
)

func TestTheWorkloadIsATenthPeopleAndTheSameInEveryRun(t *testing.T) {
	for name, command := range map[string]func(*rand.Rand, int64) (eventstore.Write, error){"raw": Raw, "domain": Domain} {
		all := func() (writes []eventstore.Write) {
			rnd := rand.New(rand.NewPCG(1, 0))
			for i := range int64(1000) {
				w, err := command(rnd, i+1)
				if err != nil {
					t.Fatal(err)
				}
				writes = append(writes, w)
			}
			return writes
		}
		people, keys, again := 0, map[any]bool{}, all()
		for i, w := range all() {
			if w.Stream.Category == user.Category {
				people++
			}
			if len(w.Events) != 1 || w.Events[0].Number != eventstore.NextNumber {
				t.Fatalf("%s: %+v", name, w)
			}
			if w.Key != nil {
				keys[w.Key.Hash] = true
			}
			if !bytes.Equal(w.Events[0].Data, again[i].Events[0].Data) || w.Stream != again[i].Stream {
				t.Fatalf("%s: command %d is another one in the second run", name, i)
			}
		}
		if people != 100 || name == "raw" && len(keys) != 1000 {
			t.Errorf("%s: %d people, %d keys", name, people, len(keys))
		}
	}
}

// TestTheDomainsReadTheWorkload: and so do the views, with the rows that they have in
// the product.
func TestTheDomainsReadTheWorkload(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	with, without := NewViews(true), NewViews(false)
	for i := range int64(40) {
		w, err := Domain(rnd, i+1)
		if err != nil {
			t.Fatal(err)
		}
		e := eventstore.Event{
			Stream: w.Stream, Position: eventstore.Position(i + 1), Version: 1, Number: i + 1,
			Type: w.Events[0].Type, Data: w.Events[0].Data, Time: time.Unix(i, 0),
		}
		if w.Stream.Category == user.Category {
			decoded, err := user.Decode(Plain{}, e)
			if created, ok := decoded.(user.Created); err != nil || !ok || created.FirstName != "Ada" || created.LastName != "Lovelace" {
				t.Fatalf("%+v, %v", decoded, err)
			}
			e.Stream.ID = "1"
		} else if decoded, err := friend.Decode(e); err != nil || decoded.(friend.Added).By == decoded.(friend.Added).To {
			t.Fatalf("%+v, %v", decoded, err)
		}
		rows, err := with.Rows(e)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%+v, %v", rows, err)
		}
	}
	indexes := func(v Views) (n int) {
		for _, table := range v.Tables() {
			n += len(table.Indexes)
		}
		return n
	}
	if indexes(with) < 2 || indexes(without) != 0 {
		t.Errorf("%d and %d indexes", indexes(with), indexes(without))
	}
}

func TestPlainKeysSealNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, id := rapid.SliceOf(rapid.Byte()).Draw(t, "text"), rapid.Int64Min(1).Draw(t, "id")
		sealed, err := Plain{}.Seal(id, text)
		if err != nil || !bytes.HasSuffix(sealed, text) {
			t.Fatalf("%q, %v", sealed, err)
		}
		if opened, err := (Plain{}).Open(id, sealed); err != nil || !bytes.Equal(opened, text) {
			t.Fatalf("%q, %v", opened, err)
		}
	})
}

func TestWhatIsLeftOpenHasADefault(t *testing.T) {
	if d := (Size{}).Defaults(); d.Events != 200_000 || d.Streams != 1_000_000 || d.Connections != 256 || d.Alone == 0 || d.Queries == 0 {
		t.Errorf("%+v", d)
	}
	if s := small(); s.Defaults() != s {
		t.Errorf("%+v, what was said is kept", s.Defaults())
	}
}

// filledLog opens a log that Fill or FillStreams has made.
func filledLog(t *testing.T, path string, views ...eventstore.View) *eventstore.Store {
	t.Helper()
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{Views: views})
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// TestTheBaselineHasACommitForEachCommand: the baseline has a commit for each command, which is what it is a
// baseline of; together there are fewer.
func TestTheBaselineHasACommitForEachCommand(t *testing.T) {
	const n = 400
	views := []eventstore.View{NewViews(true)}
	for _, alone := range []bool{true, false} {
		path := filepath.Join(t.TempDir(), "log.db")
		f := Fill{Clients: 32, N: n, Alone: alone, Command: Domain, Views: views}
		filled, err := f.Into(t.Context(), path)
		if err != nil || filled.Bytes == 0 || filled.Took <= 0 {
			t.Fatalf("%+v, %v", filled, err)
		}
		if alone && filled.Commits != n || !alone && (filled.Commits >= n || filled.Commits < 1) {
			t.Errorf("alone: %v, %d commits of %d commands", alone, filled.Commits, n)
		}
		if head, err := filledLog(t, path, views...).Head(t.Context()); err != nil || head.Position != n {
			t.Errorf("alone: %v, %d events, %v", alone, head.Position, err)
		}
	}
}

func TestReplayReadsSoManyFromTheBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	if _, err := (Fill{Clients: 8, N: 100, Command: Raw}).Into(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	store := filledLog(t, path)
	for _, n := range []int{1, 50, 100} {
		if took, err := Replay(t.Context(), store, n); err != nil || took <= 0 {
			t.Errorf("%d: %v, %v", n, took, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Replay(ctx, store, 101); !errors.Is(err, context.Canceled) {
		t.Errorf("one more than there are: %v", err)
	}
}

func TestALogOfManyStreamsIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "user.db")
	if err := FillStreams(t.Context(), path, 3000); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []bool{false, true, true, false} {
		if took, err := Reopen(t.Context(), path, lost); err != nil || took <= 0 {
			t.Fatalf("lost: %v, %v, %v", lost, took, err)
		}
	}
	store := filledLog(t, path)
	events, err := store.ReadAll(t.Context(), 2999, 10)
	if err != nil || len(events) != 1 || events[0].Stream.ID != "3000" {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestByTurnsMeetsEachCommandTwice(t *testing.T) {
	dir := t.TempDir()
	ours, theirs, err := ByTurns(t.Context(), dir, 30)
	if err != nil || len(ours) != 30 || len(theirs) != 30 || slices.Min(append(ours, theirs...)) <= 0 {
		t.Fatalf("%v, %v, %v", ours, theirs, err)
	}
	for _, name := range []string{"committer.db", "driver.db"} {
		events, err := filledLog(t, filepath.Join(dir, name)).ReadAll(t.Context(), 0, 100)
		if err != nil || len(events) != 30 {
			t.Errorf("%s: %d events, %v", name, len(events), err)
		}
	}
}

func TestAMeasureEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Log(ctx, t.TempDir(), small()); !errors.Is(err, context.Canceled) {
		t.Errorf("the log: %v", err)
	}
	if _, err := Graph(ctx, t.TempDir(), small()); !errors.Is(err, context.Canceled) {
		t.Errorf("the graph: %v", err)
	}
	if _, err := HTTP(ctx, Served{Gateway: gateway(t), Network: network()}, small()); !errors.Is(err, context.Canceled) {
		t.Errorf("HTTP: %v", err)
	}
}

// TestWorkThatFailsEndsTheFilling: with the reason, and the log closed.
func TestWorkThatFailsEndsTheFilling(t *testing.T) {
	broken := errors.New("broken")
	path := filepath.Join(t.TempDir(), "log.db")
	_, err := Fill{Clients: 4, N: 100, Command: func(rnd *rand.Rand, i int64) (eventstore.Write, error) {
		if i == 50 {
			return eventstore.Write{}, broken
		}
		return Raw(rnd, i)
	}}.Into(t.Context(), path)
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if took, err := Reopen(t.Context(), path, false); err != nil || took <= 0 {
		t.Errorf("it was left open: %v", err)
	}
}

// TestWorkersHaveSomethingOfTheirOwn: each makes it once, uses it alone, and together
// they do every piece once.
func TestWorkersHaveSomethingOfTheirOwn(t *testing.T) {
	const n = 3_000
	for _, clients := range []int{1, 2, 16} {
		done := make([][]int64, clients) // by worker, without a lock
		if _, err := workers(t.Context(), clients, n, func(client int) func(int64) error {
			return func(i int64) error {
				done[client] = append(done[client], i)
				return nil
			}
		}); err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(done...)
		slices.Sort(all)
		if len(all) != n || all[0] != 1 || all[n-1] != n || len(slices.Compact(all)) != n {
			t.Errorf("%d workers did %d pieces", clients, len(all))
		}
	}
}
