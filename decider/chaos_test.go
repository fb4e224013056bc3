package decider_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

// unreliable is a log in memory whose commits fail at random: before they happened,
// after they happened, or for want of space. It forgets nothing, as a disk does not.
type unreliable struct {
	eventstore.Driver
	mu  sync.Mutex
	rnd *rand.Rand
}

func (u *unreliable) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	u.mu.Lock()
	luck := u.rnd.IntN(6)
	u.mu.Unlock()
	switch luck {
	case 0:
		return nil, errors.New("input/output error, before anything was written")
	case 1:
		if _, err := u.Driver.Commit(ctx, batch); err != nil {
			return nil, err
		}
		return nil, errors.New("input/output error, after everything was written")
	case 2:
		return nil, eventstore.ErrFull
	}
	return u.Driver.Commit(ctx, batch)
}

// Close leaves the log as it is: it is opened again.
func (*unreliable) Close() error { return nil }

// restarting is a service that is started again whenever its log has stopped.
type restarting struct {
	t       *testing.T
	driver  *unreliable
	mu      sync.Mutex
	store   *eventstore.Store
	handler *handler
}

func (r *restarting) start() {
	store, err := eventstore.Open(context.Background(), r.driver, eventstore.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.t.Error(err)
		return
	}
	r.store, r.handler = store, over(store, 4)
}

// current returns the handler of the running store.
func (r *restarting) current() *handler {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.store.Done():
		_ = r.store.Close() // it says why it stopped, which the callers were told
		r.start()
	default:
	}
	return r.handler
}

// TestACommandThatIsRetriedUntilItIsAnsweredHappensOnce whatever the log does: commits
// that fail, commits that say they failed, restarts with an empty cache.
func TestACommandThatIsRetriedUntilItIsAnsweredHappensOnce(t *testing.T) {
	const clients, commands = 8, 25
	for seed := range uint64(4) {
		r := &restarting{t: t, driver: &unreliable{Driver: memory.New(memory.Options{}), rnd: rand.New(rand.NewPCG(seed, 0))}}
		r.start()
		var group sync.WaitGroup
		for c := range clients {
			group.Go(func() {
				for i := range commands {
					n := c*commands + i
					k := &eventstore.Key{Hash: [16]byte{byte(n), byte(n >> 8), 1}, Fingerprint: [8]byte{byte(n)}}
					id := fmt.Sprint(n % 5)
					first := change(1 + n%3)
					for {
						o, err := r.current().Handle(context.Background(), account(id), first, k)
						if err == nil {
							if !o.Changed || o.State.Amount < int64(first) {
								t.Errorf("command %d is answered %+v", n, o)
							}
							break
						}
						if !retryable(err) {
							t.Errorf("command %d: %v", n, err)
							return
						}
					}
				}
			})
		}
		group.Wait()
		want := map[string]int64{}
		for n := range clients * commands {
			want[fmt.Sprint(n%5)] += int64(1 + n%3)
		}
		events, err := r.driver.ReadAll(t.Context(), 0, eventstore.MaxPage)
		if err != nil || len(events) != clients*commands {
			t.Errorf("seed %d: %d commands left %d events, %v", seed, clients*commands, len(events), err)
		}
		for id, amount := range want {
			o, err := over(r.store, 1).Handle(t.Context(), account(id), 0, nil)
			if err != nil || o.State.Amount != amount {
				t.Errorf("seed %d: account %s holds %d, want %d, %v", seed, id, o.State.Amount, amount, err)
			}
		}
		_ = r.store.Close()
	}
}

// retryable says whether a client would try again.
func retryable(err error) bool {
	for _, again := range []error{eventstore.ErrUnknown, eventstore.ErrFull, eventstore.ErrClosed, eventstore.ErrBusy} {
		if errors.Is(err, again) {
			return true
		}
	}
	return false
}

// answered is what a command was answered.
type answered struct {
	amount, owner int64
	version       eventstore.Version
	changed       bool
	refused       error
}

// TestAReplayIsTheFirstAnswer however much happens in between, for commands that
// changed something, nothing, or were refused, on streams that were there or not.
func TestAReplayIsTheFirstAnswer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBank(t, rapid.IntRange(1, 3).Draw(rt, "cache"))
		first := map[byte]answered{}
		sent := map[byte]func() answered{}
		for n := range byte(rapid.IntRange(1, 30).Draw(rt, "commands")) {
			id := fmt.Sprint(rapid.IntRange(1, 3).Draw(rt, "account"))
			c := change(rapid.IntRange(-3, 3).Draw(rt, "change"))
			send := func() answered {
				o, err := b.Handle(b.t.Context(), account(id), c, key(n))
				if err != nil && !errors.Is(err, errOverdrawn) {
					rt.Fatal(err)
				}
				if err != nil {
					return answered{refused: errOverdrawn}
				}
				return answered{amount: o.State.Amount, owner: o.State.Owner, version: o.Version, changed: o.Changed}
			}
			first[n], sent[n] = send(), send
			again := rapid.ByteMax(n).Draw(rt, "again")
			if got := sent[again](); got != first[again] {
				rt.Fatalf("command %d was answered %+v, its replay after %d commands %+v", again, first[again], n, got)
			}
		}
	})
}
