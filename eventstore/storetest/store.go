package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"ensemble/eventstore"
)

// over opens a store over a faulty driver.
func (d Driver) over(t *testing.T, f *faulty, queue int) *log {
	t.Helper()
	l := &log{t: t, reopen: d.New(t, Options{})}
	f.Driver = l.reopen()
	l.driver = f
	store, err := eventstore.Open(t.Context(), f, eventstore.Options{Queue: queue, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	l.store = store
	return l
}

func testStore(t *testing.T, d Driver) {
	t.Run("what queues during a commit becomes one batch", func(t *testing.T) {
		f := &faulty{gate: make(chan struct{}), entered: make(chan int, 1)}
		l := d.over(t, f, 0)
		defer l.stop()
		var group sync.WaitGroup
		send := func(id string) {
			group.Go(func() {
				if _, err := l.store.Append(background(), write(on(id), 0, "1")); err != nil {
					t.Error(err)
				}
			})
		}
		send("first")
		if n := <-f.entered; n != 1 {
			t.Fatalf("the first batch has %d writes", n)
		}
		for i := range 20 {
			send(fmt.Sprint(i))
		}
		for l.store.Waiting() < 20 {
			yield()
		}
		f.gate <- struct{}{}
		if n := <-f.entered; n != 20 {
			t.Fatalf("the second batch has %d writes", n)
		}
		f.gate <- struct{}{}
		group.Wait()
	})
	t.Run("a full queue refuses at once, and what is in it is committed", func(t *testing.T) { testBusy(t, d) })
	t.Run("a write whose context ends while it waits is not written", func(t *testing.T) { testWithdrawn(t, d) })
	t.Run("a commit of unknown outcome stops the log", func(t *testing.T) {
		for _, happened := range []bool{false, true} {
			f := &faulty{after: happened}
			f.failWith(errors.New("fsync: input/output error"))
			l := d.over(t, f, 0)
			_, err := l.store.Append(t.Context(), write(on("a"), 0, "1"))
			if !errors.Is(err, eventstore.ErrUnknown) {
				t.Fatalf("got %v", err)
			}
			<-l.store.Done()
			if l.store.Err() == nil {
				t.Fatal("the store does not say why it stopped")
			}
			if _, err := l.store.Append(t.Context(), write(on("b"), 0, "1")); !errors.Is(err, eventstore.ErrClosed) {
				t.Fatalf("a later write got %v", err)
			}
			if err := l.store.Close(); !errors.Is(err, eventstore.ErrUnknown) {
				t.Fatalf("closing says %v", err)
			}
		}
	})
	t.Run("a full disk refuses, goes on reading, and recovers", func(t *testing.T) {
		f := &faulty{}
		l := d.over(t, f, 0)
		defer l.stop()
		l.must(write(on("a"), 0, "1"))
		f.failWith(fmt.Errorf("%w: no space", eventstore.ErrFull))
		if _, err := l.store.Append(t.Context(), write(on("a"), 1, "2")); !errors.Is(err, eventstore.ErrFull) {
			t.Fatalf("got %v", err)
		}
		if n := len(l.all()); n != 1 {
			t.Fatalf("read %d events", n)
		}
		f.failWith(nil)
		if r := l.must(write(on("a"), 1, "2")); r.Position != 2 {
			t.Fatalf("got %+v", r)
		}
	})
	t.Run("closing commits what is queued, and later writes are refused", func(t *testing.T) { testClose(t, d) })
}

func testBusy(t *testing.T, d Driver) {
	f := &faulty{gate: make(chan struct{}), entered: make(chan int, 10)}
	l := d.over(t, f, 2)
	defer l.stop()
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			if _, err := l.store.Append(background(), write(on(fmt.Sprint(i)), 0, "1")); err != nil {
				t.Errorf("write %d: %v", i, err)
			}
		})
		if i == 0 {
			<-f.entered // it is with the driver, the queue is empty
		}
	}
	for l.store.Waiting() < 2 {
		yield()
	}
	if _, err := l.store.Append(t.Context(), write(on("late"), 0, "1")); !errors.Is(err, eventstore.ErrBusy) {
		t.Fatalf("got %v", err)
	}
	close(f.gate)
	group.Wait()
	if n := len(l.all()); n != 3 {
		t.Fatalf("the log has %d events", n)
	}
}

func testWithdrawn(t *testing.T, d Driver) {
	f := &faulty{gate: make(chan struct{}), entered: make(chan int, 10)}
	l := d.over(t, f, 0)
	defer l.stop()
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := l.store.Append(background(), write(on("first"), 0, "1")); err != nil {
			t.Error(err)
		}
	})
	<-f.entered
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := l.store.Append(ctx, write(on("second"), 0, "1"))
		ended <- err
	}()
	for l.store.Waiting() < 1 {
		yield()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	close(f.gate)
	group.Wait()
	l.must(write(on("third"), 0, "1"))
	for _, e := range l.all() {
		if e.Stream == on("second") {
			t.Fatal("the withdrawn write was written")
		}
	}
}

func testClose(t *testing.T, d Driver) {
	l := d.open(t, Options{})
	store := l.store // the writers keep the one that is closed
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			_, err := store.Append(background(), write(on(fmt.Sprint(i)), 0, "1"))
			if err != nil && !errors.Is(err, eventstore.ErrClosed) {
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	l.restart()
	group.Wait()
	if _, err := store.Append(t.Context(), write(on("late"), 0, "1")); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("a write to a closed store got %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatalf("closing twice: %v", err)
	}
}
