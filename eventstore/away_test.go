package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

// absent is a driver whose database is away now and then.
type absent struct {
	eventstore.Driver
	away    atomic.Bool
	unknown bool         // commits happen all the same
	asked   atomic.Int64 // reads that found it away
}

// Commit implements eventstore.Driver.
func (a *absent) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	if !a.away.Load() {
		return a.Driver.Commit(ctx, batch)
	}
	if !a.unknown {
		return nil, fmt.Errorf("%w: for now", eventstore.ErrAway)
	}
	_, err := a.Driver.Commit(ctx, batch)
	return nil, errors.Join(eventstore.ErrUnknown, eventstore.ErrAway, err)
}

// ReadAll implements eventstore.Driver.
func (a *absent) ReadAll(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	if a.away.Load() {
		a.asked.Add(1)
		return nil, eventstore.ErrAway
	}
	return a.Driver.ReadAll(ctx, after, limit)
}

// Head implements eventstore.Driver.
func (a *absent) Head(ctx context.Context) (eventstore.Head, error) {
	if a.away.Load() {
		a.asked.Add(1)
		return eventstore.Head{}, eventstore.ErrAway
	}
	return a.Driver.Head(ctx)
}

// openAbsent opens a store whose database is there at first.
func openAbsent(t *testing.T) (*absent, *eventstore.Store) {
	t.Helper()
	a := &absent{Driver: memory.New(memory.Options{})}
	store, err := eventstore.Open(t.Context(), a, eventstore.Options{Poll: time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return a, store
}

// happened is a write of one event, to whatever version its stream has.
func happened() eventstore.Write {
	return eventstore.Write{
		Stream: eventstore.Stream{Category: "a", ID: "1"}, Expected: eventstore.Any,
		Events: []eventstore.NewEvent{{Type: "Happened", Data: []byte("{}")}},
	}
}

func TestADatabaseThatIsAwayRefusesCommandsAndStopsNothing(t *testing.T) {
	a, store := openAbsent(t)
	for _, unknown := range []bool{false, true} {
		a.unknown = unknown
		a.away.Store(true)
		for range 2 {
			_, err := store.Append(t.Context(), happened())
			if !errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) != unknown {
				t.Fatalf("unknown %v: got %v", unknown, err)
			}
		}
		if err := store.Between(t.Context(), func() error { return errors.Join(eventstore.ErrUnknown, eventstore.ErrAway) }); !errors.Is(err, eventstore.ErrAway) {
			t.Fatalf("a task got %v", err)
		}
		a.away.Store(false)
		if _, err := store.Append(t.Context(), happened()); err != nil {
			t.Fatalf("back again: %v", err)
		}
	}
	if h, err := store.Head(t.Context()); err != nil || h.Position != 4 { // one, two that nobody knew of, one
		t.Fatalf("the log ends at %d, %v", h.Position, err)
	}
}

func TestASubscriptionWaitsForADatabaseThatIsAway(t *testing.T) {
	a, store := openAbsent(t)
	a.away.Store(true)
	seen := make(chan eventstore.Position)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for e, err := range store.Subscribe(ctx, 0) {
			if err != nil {
				ended <- err
				return
			}
			seen <- e.Position
		}
	}()
	for want := eventstore.Position(1); want <= 3; want++ { // away at its beginning, then between events
		for before := a.asked.Load(); a.asked.Load() == before; {
			time.Sleep(time.Millisecond)
		}
		a.away.Store(false)
		if _, err := store.Append(t.Context(), happened()); err != nil {
			t.Fatal(err)
		}
		if got := <-seen; got != want {
			t.Fatalf("got position %d, want %d", got, want)
		}
		a.away.Store(true)
	}
	for before := a.asked.Load(); a.asked.Load() == before; {
		time.Sleep(time.Millisecond)
	}
	cancel() // who waits for a database ends all the same
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("ended with %v", err)
	}
}
