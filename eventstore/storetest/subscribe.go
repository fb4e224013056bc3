package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"ensemble/eventstore"
)

func testSubscribe(t *testing.T, d Driver) {
	t.Run("a subscription catches up, then follows, without gaps or repeats", func(t *testing.T) {
		l := d.open(t, Options{})
		const before, writers, each = 50, 4, 100
		for i := range before {
			l.must(write(on(fmt.Sprint("before", i)), 0, "{}"))
		}
		var group sync.WaitGroup
		for w := range writers {
			group.Go(func() {
				for i := range each {
					if _, err := l.store.Append(background(), write(on(fmt.Sprint(w, "-", i)), 0, "{}")); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for range 3 {
			group.Go(func() { follow(t, l.store, 0, before+writers*each) })
		}
		group.Go(func() { follow(t, l.store, before/2, before+writers*each) })
		group.Wait()
	})
	t.Run("a subscription from beyond the head is refused", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		if err := failure(l.store, t.Context(), 2); !errors.Is(err, eventstore.ErrAhead) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a subscription ends with its context", func(t *testing.T) {
		l := d.open(t, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- failure(l.store, ctx, 0) }()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a subscription ends when the log is closed", func(t *testing.T) {
		l := d.open(t, Options{})
		ended, store := make(chan error, 1), l.store
		go func() { ended <- failure(store, background(), 0) }()
		l.restart()
		if err := <-ended; err == nil {
			t.Fatal("it ended without a reason")
		}
	})
	t.Run("a reader can wait for a position, until it is there or its context ends", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1"))
		if err := l.store.Wait(t.Context(), 1); err != nil {
			t.Fatalf("position 1 is there, and waiting for it says %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		reached, never := make(chan error, 1), make(chan error, 1)
		go func() { reached <- l.store.Wait(t.Context(), 3) }()
		go func() { never <- l.store.Wait(ctx, 4) }()
		l.must(write(on("b"), 0, "1"))
		l.must(write(on("c"), 0, "1"))
		if err := <-reached; err != nil {
			t.Fatalf("position 3 is there, and waiting for it says %v", err)
		}
		cancel()
		if err := <-never; !errors.Is(err, context.Canceled) {
			t.Fatalf("waiting for what never comes ended with %v", err)
		}
	})
	t.Run("waiting ends when the log is closed", func(t *testing.T) {
		l := d.open(t, Options{})
		ended, store := make(chan error, 1), l.store
		go func() { ended <- store.Wait(background(), 1) }()
		l.restart()
		if err := <-ended; !errors.Is(err, eventstore.ErrClosed) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("a subscriber may stop at any event", func(t *testing.T) {
		l := d.open(t, Options{})
		l.must(write(on("a"), 0, "1", "2", "3"))
		follow(t, l.store, 0, 2)
	})
}

// follow reads up to a position and checks that nothing is missing or doubled.
func follow(t *testing.T, s *eventstore.Store, after, until eventstore.Position) {
	for e, err := range s.Subscribe(background(), after) {
		if err != nil {
			t.Errorf("subscription after %d: %v", after, err)
			return
		}
		if after++; e.Position != after {
			t.Errorf("got position %d, want %d", e.Position, after)
			return
		}
		if e.Position == until {
			return
		}
	}
}

// failure follows until there is an error.
func failure(s *eventstore.Store, ctx context.Context, after eventstore.Position) error { //nolint:revive // read as: failure of s
	for _, err := range s.Subscribe(ctx, after) {
		if err != nil {
			return err
		}
	}
	return nil
}
