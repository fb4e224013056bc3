package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/eventstore/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a driver that notes its batches and ends its commits as the script says.
type scripted struct {
	eventstore.Driver
	mu      sync.Mutex
	batches [][]eventstore.Write
	took    time.Duration // how long a commit takes
	script  func(commit int) (happens bool, err error)
}

func (s *scripted) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	s.mu.Lock()
	n := len(s.batches)
	s.batches = append(s.batches, append([]eventstore.Write(nil), batch...))
	s.mu.Unlock()
	time.Sleep(s.took)
	if s.script == nil {
		return s.Driver.Commit(ctx, batch)
	}
	happens, err := s.script(n)
	if err != nil && !happens {
		return nil, err
	}
	results, committed := s.Driver.Commit(ctx, batch)
	if err != nil {
		return nil, err
	}
	return results, committed
}

func open(t testing.TB, d eventstore.Driver, o eventstore.Options) *eventstore.Store {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	store, err := eventstore.Open(context.Background(), d, o)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func write(id string, expected eventstore.Version, sizes ...int) eventstore.Write {
	w := eventstore.Write{Stream: eventstore.Stream{Category: "thing", ID: id}, Expected: expected}
	for _, size := range sizes {
		w.Events = append(w.Events, eventstore.NewEvent{Type: "Happened", Data: make([]byte, size)})
	}
	return w
}

// weigh returns how many events and bytes a batch has.
func weigh(batch []eventstore.Write) (events, size int) {
	for _, w := range batch {
		events += len(w.Events)
		for _, e := range w.Events {
			size += len(e.Data)
		}
	}
	return events, size
}

// TestNoBatchIsLargerThanACommitTakes whatever queues up, and nothing is left behind or
// overtaken.
func TestNoBatchIsLargerThanACommitTakes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{0, 1, 1000, eventstore.MaxData}), 1, 16)
		writes := rapid.SliceOfN(sizes, 1, 60).Draw(rt, "writes")
		many := rapid.IntRange(0, 3).Draw(rt, "many")
		for range many {
			writes = append(writes, make([]int, rapid.IntRange(500, eventstore.MaxBatch).Draw(rt, "events")))
		}
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{Driver: memory.New(memory.Options{}), took: time.Second}
			store := open(t, s, eventstore.Options{})
			var group sync.WaitGroup
			for i, sizes := range writes {
				group.Go(func() {
					if _, err := store.Append(context.Background(), write(fmt.Sprint(i), 0, sizes...)); err != nil {
						t.Errorf("write %d: %v", i, err)
					}
				})
				synctest.Wait() // one after the other into the queue
			}
			group.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			next := 0
			for _, batch := range s.batches {
				if events, size := weigh(batch); events > eventstore.MaxBatch || size > eventstore.MaxBatchLen {
					t.Errorf("a batch of %d events and %d bytes", events, size)
				}
				for _, w := range batch {
					if w.Stream.ID != fmt.Sprint(next) {
						t.Errorf("write %s comes in place of %d", w.Stream.ID, next)
					}
					next++
				}
			}
			if next != len(writes) {
				t.Errorf("%d of %d writes were committed", next, len(writes))
			}
		})
	})
}

// TestWhoLeavesTheQueueIsNeverWrittenAndWhoStaysAlwaysIs, and a caller that leaves while
// its commit runs gets its answer.
func TestWhoLeavesTheQueueIsNeverWrittenAndWhoStaysAlwaysIs(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		patience := rapid.SliceOfN(rapid.IntRange(0, 5000), 1, 40).Draw(rt, "milliseconds")
		queue := rapid.IntRange(1, 50).Draw(rt, "queue")
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{Driver: memory.New(memory.Options{}), took: time.Second}
			store := open(t, s, eventstore.Options{Queue: queue})
			errs := make([]error, len(patience))
			var group sync.WaitGroup
			for i, ms := range patience {
				group.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(ms)*time.Millisecond)
					defer cancel()
					_, errs[i] = store.Append(ctx, write(fmt.Sprint(i), 0, 1))
				})
			}
			group.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			written := map[string]int{}
			for _, batch := range s.batches {
				for _, w := range batch {
					written[w.Stream.ID]++
				}
			}
			for i, err := range errs {
				want := 0
				switch {
				case err == nil:
					want = 1
				case errors.Is(err, context.DeadlineExceeded), errors.Is(err, eventstore.ErrBusy):
				default:
					t.Errorf("write %d: %v", i, err)
				}
				if n := written[fmt.Sprint(i)]; n != want {
					t.Errorf("write %d was answered %v and written %d times", i, err, n)
				}
			}
		})
	})
}

// TestAFullDiskFailsItsBatchAlone: the batches before and after are written, and each
// caller knows to which of them it belonged.
func TestAFullDiskFailsItsBatchAlone(t *testing.T) {
	var full atomic.Int64
	s := &scripted{Driver: memory.New(memory.Options{}), script: func(n int) (bool, error) {
		if n%3 == 1 {
			full.Add(1)
			return false, fmt.Errorf("%w: here", eventstore.ErrFull)
		}
		return true, nil
	}}
	store := open(t, s, eventstore.Options{})
	var group sync.WaitGroup
	var fine atomic.Int64
	for i := range 300 {
		group.Go(func() {
			switch _, err := store.Append(context.Background(), write(fmt.Sprint(i), 0, 1)); {
			case err == nil:
				fine.Add(1)
			case !errors.Is(err, eventstore.ErrFull):
				t.Errorf("write %d: %v", i, err)
			}
		})
	}
	group.Wait()
	head, err := store.Head(t.Context())
	if err != nil || int64(head.Position) != fine.Load() || store.Position() != head.Position {
		t.Errorf("%d writes are acknowledged, the log has %d and the store says %d, %v", fine.Load(), head.Position, store.Position(), err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// TestAnUnknownOutcomeReachesItsBatchAndNobodyElse: who was in the commit is told that
// nobody knows, who was still waiting is told that nothing was written.
func TestAnUnknownOutcomeReachesItsBatchAndNobodyElse(t *testing.T) {
	for _, happens := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{
				Driver: memory.New(memory.Options{}), took: time.Second,
				script: func(n int) (bool, error) {
					if n == 1 {
						return happens, errors.New("input/output error")
					}
					return true, nil
				},
			}
			store := open(t, s, eventstore.Options{})
			errs := make([]error, 30)
			var group sync.WaitGroup
			for i := range errs {
				group.Go(func() {
					time.Sleep(time.Duration(i) * 100 * time.Millisecond) // 0 first, 1 to 10 second, the rest waits
					_, errs[i] = store.Append(context.Background(), write(fmt.Sprint(i), 0, 1))
				})
			}
			group.Wait()
			in := map[string]bool{}
			for _, w := range s.batches[1] {
				in[w.Stream.ID] = true
			}
			for i, err := range errs {
				switch {
				case i == 0 && err == nil:
				case in[fmt.Sprint(i)] && errors.Is(err, eventstore.ErrUnknown) && !errors.Is(err, eventstore.ErrClosed):
				case i > 0 && !in[fmt.Sprint(i)] && errors.Is(err, eventstore.ErrClosed):
				default:
					t.Errorf("write %d (in the failed commit: %v) got %v", i, in[fmt.Sprint(i)], err)
				}
			}
			if len(s.batches) != 2 || store.Err() == nil {
				t.Errorf("%d commits, %v", len(s.batches), store.Err())
			}
			if err := store.Close(); !errors.Is(err, eventstore.ErrUnknown) {
				t.Errorf("closing says %v", err)
			}
		})
	}
}

// drivers are those that a store may stand on.
func drivers(t *testing.T) map[string]eventstore.Driver {
	log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqlite.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]eventstore.Driver{"memory": memory.New(memory.Options{}), "sqlite": log}
}

// TestReadersOfAClosedLogAreToldSo and do not wait for ever; a subscription in the
// middle of a page ends.
func TestReadersOfAClosedLogAreToldSo(t *testing.T) {
	for name, driver := range drivers(t) {
		t.Run(name, func(t *testing.T) {
			store := open(t, driver, eventstore.Options{})
			if _, err := store.Append(t.Context(), write("a", 0, 1, 1, 1)); err != nil {
				t.Fatal(err)
			}
			started, ended := make(chan struct{}), make(chan error, 1)
			resume := make(chan struct{})
			go func() {
				for e, err := range store.Subscribe(context.Background(), 0) {
					if err != nil {
						ended <- err
						return
					}
					if e.Position == 1 {
						close(started)
						<-resume
					}
				}
			}()
			<-started
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			close(resume)
			select {
			case err := <-ended:
				if !errors.Is(err, eventstore.ErrClosed) {
					t.Errorf("the subscription ended with %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("the subscription never ended")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := store.ReadAll(ctx, 0, 10); errors.Is(err, context.DeadlineExceeded) {
				t.Error("a read of a closed log waits for ever")
			}
		})
	}
}

// TestPositionsAndLimitsThatAreNoneReadNothingOdd: whatever a caller asks, it is not
// told that the log is damaged, and it does not get more than a page.
func TestPositionsAndLimitsThatAreNoneReadNothingOdd(t *testing.T) {
	for name, driver := range drivers(t) {
		t.Run(name, func(t *testing.T) {
			store := open(t, driver, eventstore.Options{})
			defer store.Close()
			if _, err := store.Append(t.Context(), write("a", 0, 1, 1, 1)); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				after eventstore.Position
				limit int
				want  int
			}{{-1, 10, 3}, {-1 << 62, 10, 3}, {0, 0, 0}, {0, -1, 0}, {0, 1 << 40, 3}, {2, 10, 1}, {3, 10, 0}, {1 << 60, 10, 0}} {
				events, err := store.ReadAll(t.Context(), c.after, c.limit)
				if err != nil || len(events) != c.want {
					t.Errorf("after %d, limit %d: %d events, %v", c.after, c.limit, len(events), err)
				}
			}
			for _, after := range []eventstore.Version{-5, 0, 2, 3, 1 << 60} {
				n := 0
				for _, err := range store.Stream(t.Context(), eventstore.Stream{Category: "thing", ID: "a"}, after) {
					if err != nil {
						t.Errorf("after version %d: %v", after, err)
					}
					n++
				}
				if want := 3 - int(min(max(after, 0), 3)); n != want {
					t.Errorf("after version %d: %d events, want %d", after, n, want)
				}
			}
			for e, err := range store.Subscribe(t.Context(), -7) {
				if err != nil || e.Position != 1 {
					t.Errorf("a subscription from before the beginning starts with %+v, %v", e, err)
				}
				break
			}
		})
	}
}

// TestASubscriptionPollsForWhatAnotherProcessWrites when it is told to.
func TestASubscriptionPollsForWhatAnotherProcessWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memory.New(memory.Options{})
		store := open(t, log, eventstore.Options{Poll: 20 * time.Millisecond})
		defer store.Close()
		got := make(chan eventstore.Position)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(got)
			for e, err := range store.Subscribe(ctx, 0) {
				if err != nil {
					return
				}
				got <- e.Position
			}
		}()
		for p := eventstore.Position(1); p <= 5; p++ {
			time.Sleep(time.Second)
			if _, err := log.Commit(ctx, []eventstore.Write{write("a", eventstore.Any, 1)}); err != nil { // behind the store's back
				t.Fatal(err)
			}
			before := time.Now()
			if at := <-got; at != p || time.Since(before) > 20*time.Millisecond {
				t.Errorf("position %d came as %d after %v", p, at, time.Since(before))
			}
		}
		cancel()
		<-got
	})
}

// TestEverySubscriberSeesEveryEventOnce with many writers and subscribers that come at
// any time.
func TestEverySubscriberSeesEveryEventOnce(t *testing.T) {
	const writers, each = 8, 50
	store := open(t, memory.New(memory.Options{}), eventstore.Options{})
	var group sync.WaitGroup
	for r := range 8 {
		group.Go(func() {
			after := eventstore.Position(0)
			for e, err := range store.Subscribe(context.Background(), 0) {
				if err != nil || e.Position != after+1 {
					t.Errorf("subscriber %d: after %d comes %d, %v", r, after, e.Position, err)
					return
				}
				if after = e.Position; after == writers*each {
					return
				}
			}
		})
		group.Go(func() {
			for i := range each {
				if _, err := store.Append(context.Background(), write(fmt.Sprint(r), eventstore.Version(i), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

// call and answer are what porcupine sees of an append or a read of one stream.
type call struct {
	stream   string
	append   bool
	expected eventstore.Version
}

type answer struct {
	version eventstore.Version // after the append, or of the last event read
	refused bool
}

// register is a stream as a sequential thing: its state is its version.
func register() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byStream := map[string][]porcupine.Operation{}
			for _, op := range history {
				s := op.Input.(call).stream
				byStream[s] = append(byStream[s], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byStream {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return eventstore.Version(0) },
		Step: func(state, input, output any) (bool, any) {
			v, c, a := state.(eventstore.Version), input.(call), output.(answer)
			fits := c.expected == eventstore.Any || c.expected == v
			switch {
			case !c.append:
				return a.version == v, v
			case a.refused:
				return !fits && a.version == v, v
			default:
				return fits && a.version == v+1, v + 1
			}
		},
	}
}

// TestAppendsAndReadsAreLinearizable: clients race on few streams, batches fail for want
// of space, and each answer fits one order of everything that happened.
func TestAppendsAndReadsAreLinearizable(t *testing.T) {
	for name, driver := range drivers(t) {
		t.Run(name, func(t *testing.T) {
			s := &scripted{Driver: driver, script: func(n int) (bool, error) {
				if n%7 == 3 {
					return false, eventstore.ErrFull
				}
				return true, nil
			}}
			store := open(t, s, eventstore.Options{Queue: 16})
			var mu sync.Mutex
			var history []porcupine.Operation
			start := time.Now()
			var group sync.WaitGroup
			for client := range 6 {
				group.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(client), 1))
					seen := eventstore.Version(0)
					for range 40 {
						c := call{stream: fmt.Sprint(rnd.IntN(3)), append: rnd.IntN(3) > 0, expected: eventstore.Any}
						if rnd.IntN(2) == 0 {
							c.expected = seen
						}
						begun := time.Since(start)
						a, happened := perform(t, store, c)
						if !happened {
							continue
						}
						seen = a.version
						mu.Lock()
						history = append(history, porcupine.Operation{
							ClientId: client, Input: c, Output: a, Call: int64(begun), Return: int64(time.Since(start)),
						})
						mu.Unlock()
					}
				})
			}
			group.Wait()
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			if got := porcupine.CheckOperationsTimeout(register(), history, time.Minute); got != porcupine.Ok {
				t.Errorf("%d operations fit no order: %v", len(history), got)
			}
		})
	}
}

// perform does one operation; false if it certainly did not happen.
func perform(t *testing.T, store *eventstore.Store, c call) (answer, bool) {
	ctx := context.Background()
	if !c.append {
		var a answer
		for e, err := range store.Stream(ctx, eventstore.Stream{Category: "thing", ID: c.stream}, 0) {
			if err != nil {
				t.Error(err)
			}
			a.version = e.Version
		}
		return a, true
	}
	r, err := store.Append(ctx, write(c.stream, c.expected, 1))
	conflict, refused := errors.AsType[*eventstore.ConflictError](err)
	switch {
	case err == nil:
		return answer{version: r.Version}, true
	case refused:
		return answer{version: conflict.Actual, refused: true}, true
	case errors.Is(err, eventstore.ErrFull), errors.Is(err, eventstore.ErrBusy):
		return answer{}, false
	}
	t.Error(err)
	return answer{}, false
}
