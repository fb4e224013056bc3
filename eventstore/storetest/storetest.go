// Package storetest is the contract of an event store's driver as a suite of
// tests: each subtest is one sentence of it. A driver passes the whole suite, or
// it is not one.
//
//	func TestDriver(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, o storetest.Options) storetest.Reopen { … })
//	}
package storetest

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ensemble/eventstore"
)

// Options says what a log under test has to be opened with.
type Options struct {
	Views       []eventstore.View
	KeepKeys    int // 0: the driver's default
	KeepKeysFor time.Duration
}

// Reopen opens the same log again, after the last one was closed. A driver that
// keeps nothing returns a new log from its first call and fails no test for it if
// Durable is false.
type Reopen func() eventstore.Driver

// Driver is what is under test.
type Driver struct {
	// New returns how to open one log, empty at first.
	New func(t *testing.T, o Options) Reopen
	// Durable says whether a log is there again when it is opened anew.
	Durable bool
	// Rebuild is the driver's method Rebuild, see eventstore.Rebuild.
	Rebuild func(eventstore.Driver, context.Context, eventstore.Rebuild) (eventstore.Rebuilt, error)
}

// Run runs the suite.
func Run(t *testing.T, d Driver) {
	t.Helper()
	for _, part := range []struct {
		name string
		run  func(*testing.T, Driver)
	}{
		{"append", testAppend},
		{"numbers", testNumbers},
		{"keys", testKeys},
		{"views", testViews},
		{"generations", testGenerations},
		{"read", testRead},
		{"subscribe", testSubscribe},
		{"store", testStore},
		{"model", testModel},
		{"answers", testAnswers},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, d) })
	}
	if d.Durable {
		t.Run("reopen", func(t *testing.T) { testReopen(t, d) })
	}
}

// log is a log under test with words for what the tests do to it.
type log struct {
	t      *testing.T
	reopen Reopen
	driver eventstore.Driver
	store  *eventstore.Store
}

// open returns an empty log.
func (d Driver) open(t *testing.T, o Options) *log {
	t.Helper()
	l := &log{t: t, reopen: d.New(t, o)}
	l.start()
	t.Cleanup(l.stop)
	return l
}

func (l *log) start() {
	l.t.Helper()
	l.driver = l.reopen()
	store, err := eventstore.Open(l.t.Context(), l.driver, eventstore.Options{Log: quiet()})
	if err != nil {
		l.t.Fatalf("open the store: %v", err)
	}
	l.store = store
}

func (l *log) stop() {
	if err := l.store.Close(); err != nil {
		l.t.Errorf("close the store: %v", err)
	}
}

// restart closes the log and opens it again.
func (l *log) restart() {
	l.t.Helper()
	l.stop()
	l.start()
}

// must appends a write that has to succeed.
func (l *log) must(w eventstore.Write) eventstore.Result {
	l.t.Helper()
	r, err := l.store.Append(l.t.Context(), w)
	if err != nil {
		l.t.Fatalf("append to %s: %v", w.Stream, err)
	}
	return r
}

// commit commits a batch past the store.
func (l *log) commit(batch ...eventstore.Write) []eventstore.Result {
	l.t.Helper()
	results, err := l.driver.Commit(l.t.Context(), batch)
	if err != nil {
		l.t.Fatalf("commit: %v", err)
	}
	if len(results) != len(batch) {
		l.t.Fatalf("%d results for %d writes", len(results), len(batch))
	}
	return results
}

// all returns every event of the log.
func (l *log) all() (events []eventstore.Event) {
	l.t.Helper()
	for {
		page, err := l.store.ReadAll(l.t.Context(), eventstore.Position(len(events)), eventstore.MaxPage)
		if err != nil {
			l.t.Fatalf("read all: %v", err)
		}
		if len(page) == 0 {
			return events
		}
		events = append(events, page...)
	}
}

// stream returns every event of a stream.
func (l *log) stream(s eventstore.Stream) (events []eventstore.Event) {
	l.t.Helper()
	for e, err := range l.store.Stream(l.t.Context(), s, 0) {
		if err != nil {
			l.t.Fatalf("read %s: %v", s, err)
		}
		events = append(events, e)
	}
	return events
}

func (l *log) head() eventstore.Head {
	l.t.Helper()
	h, err := l.store.Head(l.t.Context())
	if err != nil {
		l.t.Fatalf("head: %v", err)
	}
	return h
}

// rows returns the rows of a query.
func (l *log) rows(q eventstore.Select) [][]eventstore.Value {
	l.t.Helper()
	rows, err := l.store.Select(l.t.Context(), q)
	if err != nil {
		l.t.Fatalf("select: %v", err)
	}
	return rows
}

// on returns a stream of the category thing.
func on(id string) eventstore.Stream { return eventstore.Stream{Category: "thing", ID: id} }

// event returns an event without a number.
func event(data string) eventstore.NewEvent {
	return eventstore.NewEvent{Type: "Happened", Data: []byte(data)}
}

// numbered returns an event that asks for the next number.
func numbered(data string) eventstore.NewEvent {
	return eventstore.NewEvent{Type: "Happened", Data: []byte(data), Number: eventstore.NextNumber}
}

// write returns a write of events with data to a stream.
func write(s eventstore.Stream, expected eventstore.Version, data ...string) eventstore.Write {
	w := eventstore.Write{Stream: s, Expected: expected}
	for _, d := range data {
		w.Events = append(w.Events, event(d))
	}
	return w
}

// key returns an idempotency key.
func key(hash, fingerprint byte) *eventstore.Key {
	return &eventstore.Key{Hash: [16]byte{hash, 1}, Fingerprint: [8]byte{fingerprint, 2}}
}

// with adds a key to a write.
func with(w eventstore.Write, k *eventstore.Key) eventstore.Write {
	w.Key = k
	return w
}

// background is for calls whose context is not what is tested.
func background() context.Context { return context.Background() }

// quiet is for stores that are made to fail on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
