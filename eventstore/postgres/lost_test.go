package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestAnAnswerThatIsLostIsAskedFor cuts the line while a commit is under way in the
// database, which goes on with it or does not. The caller gets the true result either
// way, and what was asked for is there once.
func TestAnAnswerThatIsLostIsAskedFor(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	log := open(t, through, Options{})
	g := newGate(t, url)
	want := []string(nil)
	for name, w := range map[string]eventstore.Write{
		"events":          one(on("a"), eventstore.Any, "events"),
		"events and keys": keyed(one(on("b"), eventstore.Any, "events and keys"), 1),
	} {
		for _, goesOn := range []bool{true, false} {
			w.Events[0].Data = []byte(name)
			if w.Key != nil {
				w.Key = &eventstore.Key{Hash: [16]byte{byte(len(want))}}
			}
			openGate := g.close()
			defer openGate()
			type answer struct {
				results []eventstore.Result
				err     error
			}
			answered := make(chan answer, 1)
			go func() {
				results, err := log.Commit(t.Context(), []eventstore.Write{w})
				answered <- answer{results, err}
			}()
			pid := g.waiting()
			p.cut()
			if !goesOn {
				terminate(t, url, pid)
			}
			openGate()
			a := <-answered
			if a.err != nil || a.results[0].Err != nil || a.results[0].Previous != nil {
				t.Fatalf("%s, it goes on: %v: got %+v, %v", name, goesOn, a.results, a.err)
			}
			want = append(want, name)
			if got := all(t, log); !slices.Equal(got, want) || int(a.results[0].Position) != len(want) {
				t.Fatalf("the log has %q, should have %q; the result says %+v", got, want, a.results)
			}
		}
	}
	verified(t, log)
}

// TestAnAnswerAboutNoEventThatIsLostIsAskedFor: what a command was answered that led to no
// event is remembered once as well.
func TestAnAnswerAboutNoEventThatIsLostIsAskedFor(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	log := open(t, through, Options{})
	execute(t, url,
		`create function wait_at_gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$`,
		`create trigger gate after insert on outcomes execute function wait_at_gate()`)
	g := &gate{t: t, url: url}
	for i, goesOn := range []bool{true, false} {
		key := &eventstore.Key{Hash: [16]byte{byte(i)}, Outcome: []byte("refused")}
		openGate := g.close()
		defer openGate()
		answered := make(chan error, 1)
		go func() {
			results, err := log.Commit(t.Context(), []eventstore.Write{{Stream: on("nobody"), Key: key}})
			if err == nil && (results[0].Previous != nil || results[0].Err != nil) {
				err = fmt.Errorf("got %+v", results[0])
			}
			answered <- err
		}()
		pid := g.waiting()
		p.cut()
		if !goesOn {
			terminate(t, url, pid)
		}
		openGate()
		if err := <-answered; err != nil {
			t.Fatalf("it goes on %v: %v", goesOn, err)
		}
		if o, found, err := log.Outcome(t.Context(), key.Hash); err != nil || !found || string(o.Data) != "refused" {
			t.Fatalf("it goes on %v: remembered is %+v, %v, %v", goesOn, o, found, err)
		}
	}
}

// TestAnAnswerThatNeverComesIsUnknown keeps the line silent for longer than the log has
// patience. Nobody knows, and nobody claims to; the log goes on as soon as it can.
func TestAnAnswerThatNeverComesIsUnknown(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	log := open(t, through, Options{Patience: 300 * time.Millisecond})
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	g := newGate(t, url)
	openGate := g.close()
	defer openGate()
	answered := make(chan error, 1)
	w := keyed(one(on("a"), 0, "1"), 1)
	go func() {
		_, err := store.Append(t.Context(), w)
		answered <- err
	}()
	g.waiting()
	p.frozen.Store(true)
	if err := <-answered; !errors.Is(err, eventstore.ErrUnknown) || !errors.Is(err, eventstore.ErrAway) {
		t.Fatalf("a commit in the dark got %v", err)
	}
	_, err = store.Append(t.Context(), one(on("b"), 0, "2"))
	if !errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) {
		t.Fatalf("a commit that never reached the database got %v", err)
	}
	openGate()
	p.frozen.Store(false)
	for { // the same key resolves it
		r, err := store.Append(t.Context(), w)
		if errors.Is(err, eventstore.ErrAway) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := all(t, log); !slices.Equal(got, []string{"1"}) || r.Previous == nil {
			t.Fatalf("the log has %q, the result is %+v", got, r)
		}
		return
	}
}
