package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// names is a view with the text of each event, under the number of its stream.
type names struct{ mute *atomic.Bool }

func (names) Tables() []eventstore.Table {
	return []eventstore.Table{{Name: "names", Columns: []eventstore.Column{
		{Name: "id", Type: eventstore.IntColumn}, {Name: "name", Type: eventstore.TextColumn},
	}}}
}

func (v names) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	var id int64
	if _, err := fmt.Sscan(e.Stream.ID, &id); err != nil {
		return nil, err
	}
	// The log itself must not hold the name in this test: it is spelt backwards.
	b := []byte(strings.Trim(string(e.Data), `"`))
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	if v.mute != nil && v.mute.Load() && id%3 == 0 { // as if the keys were destroyed
		b = nil
	}
	return []eventstore.Row{{
		Table: "names", Delete: len(b) == 0, Values: []eventstore.Value{eventstore.Int(id), eventstore.Text(string(b))},
	}}, nil
}

// say records a name.
func say(t *testing.T, l *Log, id int, name string) {
	t.Helper()
	_, err := l.Commit(t.Context(), []eventstore.Write{{
		Stream: eventstore.Stream{Category: "n", ID: fmt.Sprint(id)}, Expected: eventstore.Any,
		Events: []eventstore.NewEvent{{Type: "Named", Data: []byte(`"` + name + `"`)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// crowd records so many names in a few commits.
func crowd(t *testing.T, l *Log, n int) {
	t.Helper()
	var batch []eventstore.Write
	for id := 1; id <= n; id++ {
		batch = append(batch, eventstore.Write{
			Stream: eventstore.Stream{Category: "n", ID: fmt.Sprint(id)}, Expected: eventstore.Any,
			Events: []eventstore.NewEvent{{Type: "Named", Data: fmt.Appendf(nil, `"somebody else %d"`, id)}},
		})
		if len(batch) == 1000 || id == n {
			if _, err := l.Commit(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
}

// found lists the files in a folder that hold a text.
func found(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			files = append(files, f.Name())
		}
	}
	return files
}

// clear clears as the eraser does.
func clear(t *testing.T, l *Log) {
	t.Helper()
	for {
		err := l.Clear(t.Context())
		if err == nil {
			return
		}
		if !errors.Is(err, eventstore.ErrBusy) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestNothingOfWhatWasDeletedIsLeftInTheFiles, however its rows came and went, while
// others write and read.
func TestNothingOfWhatWasDeletedIsLeftInTheFiles(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(t.Context(), filepath.Join(dir, "n.db"), Options{Views: []eventstore.View{names{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const secret, backwards = "CANARY-IN-THE-VIEW", "WEIV-EHT-NI-YRANAC"
	crowd(t, l, 3000) // many pages
	say(t, l, 1500, backwards)
	say(t, l, 3001, backwards+"!")
	if len(found(t, dir, secret)) == 0 {
		t.Fatal("the view does not hold the name")
	}
	ctx, stop := context.WithCancel(t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			if _, err := l.Select(t.Context(), eventstore.Select{Table: "names", Limit: 5000}); err != nil {
				t.Error(err)
			}
		}
	})
	say(t, l, 1500, "")
	say(t, l, 3001, "")
	clear(t, l)
	stop()
	reading.Wait()
	if files := found(t, dir, secret); len(files) > 0 {
		t.Fatalf("%q is in %v", secret, files)
	}
	say(t, l, 1500, "there again")
	if v, err := l.Verify(t.Context(), func(_, _ eventstore.Position) {}); err != nil || v.Events != 3005 {
		t.Fatalf("%+v, %v", v, err)
	}
}

// TestARebuildLeavesNothingOfEarlierRows: rows that grow make SQLite rearrange pages,
// and pieces of rows may stay in what becomes free space there. Histories are tried
// until one has left some after clearing; a rebuild, whose names are mute, takes them
// away.
func TestARebuildLeavesNothingOfEarlierRows(t *testing.T) {
	for seed := range uint64(60) { // every second one leaves something
		if rebuildsRemnantAway(t, seed) {
			return
		}
	}
	t.Fatal("no history has left a piece of a row: this shows nothing")
}

// rebuildsRemnantAway makes a history at random, and returns false if clearing was
// enough for it.
func rebuildsRemnantAway(t *testing.T, seed uint64) bool {
	dir, mute := t.TempDir(), new(atomic.Bool)
	l, err := Open(t.Context(), filepath.Join(dir, "n.db"), Options{Views: []eventstore.View{names{mute}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	crowd(t, l, 1000)
	growAndErase(t, l, rand.New(rand.NewPCG(seed, 1)), 120*int(1+seed%4))
	clear(t, l)
	if len(found(t, dir, "CANARY")) == 0 {
		return false
	}
	mute.Store(true)
	if _, err := l.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil {
		t.Fatal(err)
	}
	clear(t, l)
	if files := found(t, dir, "CANARY"); len(files) > 0 {
		t.Fatalf("after a rebuild it is in %v", files)
	}
	return true
}

// growAndErase gives every third of a thousand names of all lengths, and then none.
func growAndErase(t *testing.T, l *Log, rnd *rand.Rand, longest int) {
	t.Helper()
	var batch []eventstore.Write
	name := func(id int, name string) {
		batch = append(batch, eventstore.Write{
			Stream: eventstore.Stream{Category: "n", ID: fmt.Sprint(id)}, Expected: eventstore.Any,
			Events: []eventstore.NewEvent{{Type: "Named", Data: []byte(`"` + name + `"`)}},
		})
		if len(batch) == 500 {
			if _, err := l.Commit(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
	for range 3000 {
		name(3*(1+rnd.IntN(333)), strings.Repeat("x", rnd.IntN(longest))+"YRANAC")
	}
	for id := 3; id <= 1500; id += 3 { // the last are not there, which makes the batch full
		name(id, "")
	}
}

// TestAReaderDelaysClearing: it sees the rows as they were until it ends.
func TestAReaderDelaysClearing(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(t.Context(), filepath.Join(dir, "n.db"), Options{Views: []eventstore.View{names{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	say(t, l, 1, "WEIV-EHT-NI-YRANAC")
	reader, err := openReader(l.path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	busy := errors.New("not looked yet")
	err = query(reader, "SELECT name FROM names", func(*sqlite.Stmt) error {
		say(t, l, 1, "")
		busy = l.Clear(t.Context())
		say(t, l, 2, "commits go on")
		return nil
	})
	if err != nil || !errors.Is(busy, eventstore.ErrBusy) {
		t.Fatalf("%v; clearing beside a reader: %v", err, busy)
	}
	clear(t, l)
	if files := found(t, dir, "CANARY-IN-THE-VIEW"); len(files) > 0 {
		t.Fatalf("it is in %v", files)
	}
}

func TestAClosedLogOrOneForReadingIsNotCleared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.db")
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Clear(ended); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, log := range map[string]*Log{"closed": l, "for reading": r} {
		if err := log.Clear(t.Context()); !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
