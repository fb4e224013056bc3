package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/projection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seen is a projection that remembers what it saw.
type seen struct {
	positions []eventstore.Position
	batches   []int
	delay     time.Duration
	failAt    eventstore.Position
}

var errApply = errors.New("can't be applied")

// Apply implements projection.Projection.
func (s *seen) Apply(ctx context.Context, events []eventstore.Event) error {
	if s.delay > 0 {
		select {
		case <-time.After(s.delay):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.batches = append(s.batches, len(events))
	for _, e := range events {
		if e.Position == s.failAt {
			return fmt.Errorf("event %d: %w", e.Position, errApply)
		}
		s.positions = append(s.positions, e.Position)
	}
	return nil
}

// dense checks that everything from first to last was seen once, in order.
func (s *seen) dense(t *testing.T, first, last eventstore.Position) {
	t.Helper()
	for i, p := range s.positions {
		if p != first+eventstore.Position(i) {
			t.Fatalf("the %dth event has position %d", i, p)
		}
	}
	if n := int(last - first + 1); len(s.positions) != n {
		t.Fatalf("saw %d events, want %d", len(s.positions), n)
	}
}

// upTo is a source with so many events, which then waits.
func upTo(last eventstore.Position) projection.Source {
	return func(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			for p := after + 1; p <= last; p++ {
				if !yield(eventstore.Event{Position: p}, nil) {
					return
				}
			}
			<-ctx.Done()
			yield(eventstore.Event{}, ctx.Err())
		}
	}
}

// runFor runs a projection until a position is applied, then ends it.
func runFor(t *testing.T, r *projection.Runner, p eventstore.Position) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	if err := r.Wait(ctx, p); err != nil {
		cancel()
		return errors.Join(err, <-ended)
	}
	cancel()
	return <-ended
}

func TestAProjectionSeesEveryEventOnceInOrder(t *testing.T) {
	for _, n := range []eventstore.Position{1, 999, 1000, 1001, 5000} {
		s := &seen{}
		r := projection.New("test", upTo(n), s, 0)
		if err := runFor(t, r, n); !errors.Is(err, context.Canceled) {
			t.Fatalf("it ended with %v", err)
		}
		s.dense(t, 1, n)
		if r.Position() != n {
			t.Fatalf("the checkpoint is %d", r.Position())
		}
		for _, size := range s.batches {
			if size > 1000 {
				t.Fatalf("a batch of %d events", size)
			}
		}
	}
}

func TestAProjectionContinuesAfterItsCheckpoint(t *testing.T) {
	s := &seen{}
	if err := runFor(t, projection.New("test", upTo(10), s, 7), 10); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.dense(t, 8, 10)
}

func TestWhatQueuesUpBecomesABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &seen{delay: time.Second}
		r := projection.New("test", upTo(500), s, 0)
		if err := runFor(t, r, 500); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		s.dense(t, 1, 500)
		if len(s.batches) > 3 {
			t.Fatalf("batches of %v", s.batches)
		}
	})
}

func TestAnEventThatCanNotBeAppliedStopsTheProjection(t *testing.T) {
	s := &seen{failAt: 5}
	r := projection.New("people", upTo(10), s, 4)
	err := runFor(t, r, 10)
	if !errors.Is(err, errApply) || !errors.Is(err, projection.ErrStopped) {
		t.Fatalf("it ended with %v", err)
	}
	if !strings.Contains(err.Error(), "projection people stopped after position 4") {
		t.Fatalf("it does not say where: %v", err)
	}
	if r.Position() != 4 || !errors.Is(r.Err(), errApply) {
		t.Fatalf("the checkpoint moved to %d, %v", r.Position(), r.Err())
	}
}

func TestASourceThatFailsStopsTheProjection(t *testing.T) {
	broken := errors.New("broken")
	source := func(context.Context, eventstore.Position) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			if yield(eventstore.Event{Position: 1}, nil) {
				yield(eventstore.Event{}, broken)
			}
		}
	}
	s := &seen{}
	r := projection.New("test", source, s, 0)
	if err := r.Run(t.Context()); !errors.Is(err, broken) {
		t.Fatalf("it ended with %v", err)
	}
	s.dense(t, 1, 1)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	r := projection.New("test", upTo(0), &seen{}, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if err := r.Wait(t.Context(), 0); err != nil {
		t.Fatalf("what is there already: %v", err)
	}
}

func TestManyMayWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := projection.New("test", upTo(100), &seen{delay: time.Millisecond}, 0)
		waited := make(chan error, 100)
		for p := eventstore.Position(1); p <= 100; p++ {
			go func() { waited <- r.Wait(t.Context(), p) }()
		}
		if err := runFor(t, r, 100); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		for range 100 {
			if err := <-waited; err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAProjectionFollowsALog(t *testing.T) {
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	appendSome := func(n int) {
		for range n {
			_, err := store.Append(t.Context(), eventstore.Write{
				Stream: eventstore.Stream{Category: "thing", ID: "1"}, Expected: eventstore.Any,
				Events: []eventstore.NewEvent{{Type: "Happened"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	appendSome(20)
	s := &seen{}
	r := projection.New("test", store.Subscribe, s, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	if err := r.Wait(ctx, 20); err != nil {
		t.Fatal(err)
	}
	appendSome(30)
	if err := r.Wait(ctx, 50); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	s.dense(t, 1, 50)
}
