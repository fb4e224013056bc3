package storetest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

func testKeys(t *testing.T, d Driver) {
	t.Run("a second write with a key is not appended and answers with the first", func(t *testing.T) {
		l := d.open(t, Options{})
		first := l.must(with(write(on("a"), 0, "1", "2"), key(1, 7)))
		second := l.must(with(write(on("b"), 0, "3"), key(1, 8)))
		want := &eventstore.Outcome{
			Fingerprint: key(1, 7).Fingerprint, Stream: on("a"), Version: 2, Position: first.Position, Events: 2,
		}
		if diff := cmp.Diff(want, second.Previous, nothing()); diff != "" {
			t.Fatal(diff)
		}
		if n := len(l.all()); n != 2 {
			t.Fatalf("the log has %d events", n)
		}
	})
	t.Run("that holds within one batch too", func(t *testing.T) {
		l := d.open(t, Options{})
		results := l.commit(with(write(on("a"), 0, "1"), key(1, 7)), with(write(on("b"), 0, "2"), key(1, 7)))
		if results[0].Previous != nil || results[1].Previous == nil || len(l.all()) != 1 {
			t.Fatalf("got %+v", results)
		}
	})
	t.Run("a write that was refused leaves its key free", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		if _, err := l.store.Append(t.Context(), with(write(on("a"), 0, "2"), key(1, 7))); err == nil {
			t.Fatal("there was no conflict")
		}
		if r := l.must(with(write(on("a"), 1, "2"), key(1, 7))); r.Previous != nil {
			t.Fatalf("the key was taken: %+v", r)
		}
	})
	t.Run("a write without events keeps what was answered", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		k := key(1, 7)
		k.Outcome = []byte("refused")
		l.must(eventstore.Write{Stream: on("a"), Expected: 1, Key: k})
		free := key(2, 7)
		free.Outcome = []byte("invalid")
		l.must(eventstore.Write{Expected: eventstore.Any, Key: free})
		l.must(write(on("a"), 1, "2"))
		for hash, want := range map[byte]eventstore.Outcome{
			1: {Fingerprint: k.Fingerprint, Stream: on("a"), Version: 1, Position: 1, Data: []byte("refused")},
			2: {Fingerprint: k.Fingerprint, Position: 1, Data: []byte("invalid")},
		} {
			got, found, err := l.store.Outcome(t.Context(), key(hash, 0).Hash)
			if err != nil || !found {
				t.Fatalf("key %d: %v, %v", hash, found, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("key %d: %s", hash, diff)
			}
		}
	})
	t.Run("what was answered at a version is a conflict at another", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		if _, err := l.store.Append(t.Context(), eventstore.Write{Stream: on("a"), Expected: 0, Key: key(1, 7)}); err == nil {
			t.Fatal("an answer decided on an old state was kept")
		}
	})
	t.Run("an unknown key has no outcome", func(t *testing.T) {
		l := d.open(t, Options{})
		if _, found, err := l.store.Outcome(t.Context(), key(9, 9).Hash); found || err != nil {
			t.Fatalf("got %v, %v", found, err)
		}
	})
	t.Run("of a hundred with one key one is appended", func(t *testing.T) { testKeyRace(t, d) })
	t.Run("only the latest keys are remembered", func(t *testing.T) {
		l := d.open(t, Options{KeepKeys: 3})
		for i := byte(1); i <= 5; i++ {
			if i%2 == 0 {
				l.must(eventstore.Write{Expected: eventstore.Any, Key: key(i, i)})
			} else {
				l.must(with(write(on(fmt.Sprint(i)), 0, "1"), key(i, i)))
			}
		}
		l.remembers(map[byte]bool{1: false, 2: false, 3: true, 4: true, 5: true})
	})
}

func testKeyRace(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	var mu sync.Mutex
	appended := 0
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			r, err := l.store.Append(background(), with(write(on(fmt.Sprint(i)), 0, "1"), key(1, 7)))
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Previous == nil {
				appended++
			}
		})
	}
	group.Wait()
	if n := len(l.all()); appended != 1 || n != 1 {
		t.Fatalf("%d were told they were first, the log has %d events", appended, n)
	}
}

// remembers checks which keys the log knows.
func (l *log) remembers(want map[byte]bool) {
	l.t.Helper()
	for hash, known := range want {
		_, found, err := l.store.Outcome(l.t.Context(), key(hash, 0).Hash)
		if err != nil || found != known {
			l.t.Fatalf("key %d: found %v, want %v, %v", hash, found, known, err)
		}
	}
}

// RunClock tests what depends on the passing of time, for drivers that can run
// inside a bubble of testing/synctest: those without I/O.
func RunClock(t *testing.T, d Driver) {
	t.Run("keys are remembered for so long and no longer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := d.open(t, Options{KeepKeysFor: time.Hour})
			l.must(with(write(on("a"), 0, "1"), key(1, 7)))
			time.Sleep(59 * time.Minute)
			l.must(with(write(on("b"), 0, "1"), key(2, 7)))
			l.remembers(map[byte]bool{1: true, 2: true})
			time.Sleep(2 * time.Minute)
			l.must(write(on("c"), 0, "1"))
			l.remembers(map[byte]bool{1: false, 2: true})
		})
	})
}

// nothing makes no difference between empty and absent data.
func nothing() cmp.Option {
	return cmp.Transformer("bytes", func(b []byte) string { return string(b) })
}
