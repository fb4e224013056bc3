package projection_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/projection"
)

// total is a read side that adds up positions, each once: seeing one again changes
// nothing, as the contract asks.
type total struct {
	mu      sync.Mutex
	seen    map[eventstore.Position]int
	last    eventstore.Position
	failAt  eventstore.Position
	batches int
	during  func()
}

func (s *total) Apply(_ context.Context, events []eventstore.Event) error {
	if s.during != nil {
		s.during()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches++
	for _, e := range events {
		if e.Position == s.failAt {
			return errApply
		}
		s.seen[e.Position]++
		s.last = max(s.last, e.Position)
	}
	return nil
}

// TestAProjectionThatIsRestartedMissesNothing whatever checkpoint it begins at and
// wherever it was stopped: it may see some events again, it never skips one.
func TestAProjectionThatIsRestartedMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		end := eventstore.Position(rapid.IntRange(1, 3000).Draw(rt, "events"))
		stops := rapid.SliceOfN(rapid.IntRange(1, int(end)), 0, 5).Draw(rt, "fails at")
		back := rapid.IntRange(0, 50).Draw(rt, "older checkpoint")
		side := &total{seen: map[eventstore.Position]int{}}
		checkpoint := eventstore.Position(0)
		for _, at := range append(stops, 0) {
			side.failAt = eventstore.Position(at)
			r := projection.New("test", upTo(end), side, checkpoint)
			err := runFor(t, r, end)
			if at == 0 || side.failAt <= checkpoint {
				if !errors.Is(err, context.Canceled) {
					rt.Fatalf("it ended with %v", err)
				}
			} else if !errors.Is(err, errApply) {
				rt.Fatalf("event %d was applied: %v", at, err)
			}
			if side.failAt > checkpoint && r.Position() >= side.failAt {
				rt.Fatalf("the checkpoint %d is beyond the event %d that was not applied", r.Position(), at)
			}
			checkpoint = max(0, r.Position()-eventstore.Position(back))
		}
		for p := eventstore.Position(1); p <= end; p++ {
			if side.seen[p] == 0 {
				rt.Fatalf("event %d of %d was never seen", p, end)
			}
		}
	})
}

// TestTheCheckpointIsNeverAheadOfWhatIsApplied, seen from many who wait.
func TestTheCheckpointIsNeverAheadOfWhatIsApplied(t *testing.T) {
	const end = 5000
	side := &total{seen: map[eventstore.Position]int{}}
	r := projection.New("test", upTo(end), side, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	var group sync.WaitGroup
	for w := range 8 {
		group.Go(func() {
			for p := eventstore.Position(w + 1); p <= end; p += 97 {
				if err := r.Wait(ctx, p); err != nil {
					t.Errorf("waiting for %d: %v", p, err)
					return
				}
				side.mu.Lock()
				if side.seen[p] != 1 {
					t.Errorf("event %d is said to be applied and was seen %d times", p, side.seen[p])
				}
				side.mu.Unlock()
			}
		})
	}
	group.Wait()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestWhoWaitsIsToldWhenTheProjectionStops: those before it stopped, those after, and
// why.
func TestWhoWaitsIsToldWhenTheProjectionStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		side := &total{seen: map[eventstore.Position]int{}, failAt: 50, during: func() { time.Sleep(time.Second) }}
		r := projection.New("people", upTo(49), side, 0)
		late := projection.New("people", func(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
			return func(yield func(eventstore.Event, error) bool) {
				for p := after + 1; ; p++ {
					time.Sleep(time.Minute)
					if ctx.Err() != nil || !yield(eventstore.Event{Position: p}, ctx.Err()) {
						return
					}
				}
			}
		}, side, 48)
		for name, runner := range map[string]*projection.Runner{"stopped by its context": r, "stopped by an event": late} {
			ctx, cancel := context.WithCancel(t.Context())
			waited := make(chan error, 10)
			for range 10 {
				go func() { waited <- runner.Wait(context.Background(), 1000) }()
			}
			ended := make(chan error, 1)
			go func() { ended <- runner.Run(ctx) }()
			if runner == r {
				if err := r.Wait(ctx, 49); err != nil {
					t.Error(err)
				}
				cancel()
			}
			<-ended
			cancel()
			for range 10 {
				if err := <-waited; !errors.Is(err, projection.ErrStopped) {
					t.Errorf("%s: who waits is told %v", name, err)
				}
			}
			if err := runner.Wait(context.Background(), 1000); !errors.Is(err, projection.ErrStopped) {
				t.Errorf("%s: who comes later is told %v", name, err)
			}
			if err := runner.Wait(context.Background(), runner.Position()); err != nil {
				t.Errorf("%s: what was applied stays applied, but %v", name, err)
			}
		}
		if late.Position() != 49 || !errors.Is(late.Err(), errApply) {
			t.Errorf("stopped at %d: %v", late.Position(), late.Err())
		}
	})
}

// TestASourceIsLeftAloneWhenApplyingFails: it is told to stop and Run waits for it.
func TestASourceIsLeftAloneWhenApplyingFails(t *testing.T) {
	left := make(chan struct{})
	source := func(ctx context.Context, _ eventstore.Position) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			defer close(left)
			for p := eventstore.Position(1); yield(eventstore.Event{Position: p}, nil); p++ {
				if ctx.Err() != nil {
					return
				}
			}
		}
	}
	side := &total{seen: map[eventstore.Position]int{}, failAt: 1500}
	if err := projection.New("test", source, side, 0).Run(t.Context()); !errors.Is(err, errApply) {
		t.Fatal(err)
	}
	select {
	case <-left:
	default:
		t.Fatal("Run has returned while its source is still read")
	}
}

// TestWhatIsBehindIsCaughtUpInLargeBatches: a thousand events are not a thousand calls.
func TestWhatIsBehindIsCaughtUpInLargeBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []eventstore.Position{1000, 2500, 10_000} {
			side := &total{seen: map[eventstore.Position]int{}, during: func() { time.Sleep(time.Millisecond) }}
			if err := runFor(t, projection.New("test", upTo(n), side, 0), n); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			if most := int(n)/1000 + 3; side.batches > most {
				t.Error(fmt.Sprint(n, " events came in ", side.batches, " batches"))
			}
		}
	})
}
