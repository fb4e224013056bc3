package decider_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A tiny domain: an account whose balance may not fall below zero.

type balance struct {
	Amount int64
	Owner  int64 // the number of the event that opened the account
}

type change int64 // event and command: so much more, or less

var errOverdrawn = errors.New("overdrawn")

// open is the change that opens an account of its own number.
const open change = 1_000_000

func decide(b balance, c change) ([]change, error) {
	switch {
	case c == 0:
		return nil, nil
	case b.Amount+int64(c) < 0:
		return nil, errOverdrawn
	}
	return []change{c}, nil
}

func evolve(b balance, r decider.Recorded[change]) balance {
	if r.Event == open {
		return balance{Owner: r.Number}
	}
	b.Amount += int64(r.Event)
	return b
}

func codec() decider.Codec[change] {
	return decider.Codec[change]{
		Encode: func(c change) (eventstore.NewEvent, error) {
			e := eventstore.NewEvent{Type: "Changed", Data: strconv.AppendInt(nil, int64(c), 10)}
			if c == open {
				e.Number = eventstore.NextNumber
			}
			return e, nil
		},
		Decode: func(e eventstore.Event) (change, error) {
			n, err := strconv.ParseInt(string(e.Data), 10, 64)
			return change(n), err
		},
	}
}

func rejections() decider.Rejections {
	return decider.Rejections{
		Encode: func(err error) ([]byte, bool) { return []byte("overdrawn"), errors.Is(err, errOverdrawn) },
		Decode: func([]byte) error { return errOverdrawn },
	}
}

type handler = decider.Handler[balance, change, change]

// bank is a handler over a log in memory.
type bank struct {
	*handler
	t     *testing.T
	store *eventstore.Store
}

func newBank(t *testing.T, cache int) *bank {
	t.Helper()
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return &bank{handler: over(store, cache), t: t, store: store}
}

func over(store *eventstore.Store, cache int) *handler {
	return decider.NewHandler(store, decider.Decider[balance, change, change]{Decide: decide, Evolve: evolve}, codec(), rejections(), cache)
}

func account(id string) eventstore.Stream { return eventstore.Stream{Category: "account", ID: id} }

func key(n byte) *eventstore.Key { return &eventstore.Key{Hash: [16]byte{n}, Fingerprint: [8]byte{n}} }

// ok handles a command that has to succeed.
func (b *bank) ok(id string, c change, k *eventstore.Key) decider.Outcome[balance] {
	b.t.Helper()
	o, err := b.Handle(b.t.Context(), account(id), c, k)
	if err != nil {
		b.t.Fatalf("%d to %s: %v", c, id, err)
	}
	return o
}

// events returns what the log has, as "stream data".
func (b *bank) events() string {
	b.t.Helper()
	page, err := b.store.ReadAll(b.t.Context(), 0, 1000)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for _, e := range page {
		all = append(all, e.Stream.ID+" "+string(e.Data))
	}
	return strings.Join(all, ", ")
}

func TestACommandBecomesItsEventsAndTheNewState(t *testing.T) {
	b := newBank(t, 10)
	o := b.ok("a", 5, nil)
	if o.State.Amount != 5 || o.Version != 1 || o.Position != 1 || !o.Changed || o.Replayed || o.Stream != account("a") {
		t.Fatalf("got %+v", o)
	}
	b.ok("b", 1, nil)
	if o = b.ok("a", 2, nil); o.State.Amount != 7 || o.Version != 2 || o.Position != 3 {
		t.Fatalf("got %+v", o)
	}
}

func TestACommandThatChangesNothingWritesNothing(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	b.ok("b", 1, nil)
	o := b.ok("a", 0, nil)
	if o.Changed || o.State.Amount != 5 || o.Version != 1 || o.Position != 1 {
		t.Fatalf("got %+v", o)
	}
	if got := b.events(); got != "a 5, b 1" {
		t.Fatalf("the log has %s", got)
	}
}

func TestARefusedCommandWritesNothing(t *testing.T) {
	b := newBank(t, 10)
	if _, err := b.Handle(t.Context(), account("a"), -1, nil); !errors.Is(err, errOverdrawn) {
		t.Fatalf("got %v", err)
	}
	if got := b.events(); got != "" {
		t.Fatalf("the log has %s", got)
	}
}

func TestAStreamWithoutIDIsNamedByItsNumber(t *testing.T) {
	b := newBank(t, 10)
	for i := int64(1); i <= 3; i++ {
		o := b.ok("", open, nil)
		if o.State.Owner != i || o.Stream != account(fmt.Sprint(i)) {
			t.Fatalf("account %d is %+v", i, o)
		}
	}
	if o := b.ok("2", 7, nil); o.State != (balance{Amount: 7, Owner: 2}) || o.Version != 2 {
		t.Fatalf("got %+v", o)
	}
}

func TestACachedStateIsNeverTakenOnTrust(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	other := over(b.store, 10) // another process, with a cache of its own
	if _, err := other.Handle(t.Context(), account("a"), -5, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Handle(t.Context(), account("a"), -1, nil); !errors.Is(err, errOverdrawn) {
		t.Fatalf("an append on an old state: %v", err)
	}
	if _, err := other.Handle(t.Context(), account("a"), 9, nil); err != nil {
		t.Fatal(err)
	}
	if o := b.ok("a", -9, nil); o.State.Amount != 0 {
		t.Fatalf("a refusal decided on an old state was believed: %+v", o)
	}
	if _, err := other.Handle(t.Context(), account("a"), 3, nil); err != nil {
		t.Fatal(err)
	}
	if o := b.ok("a", 0, nil); o.State.Amount != 3 {
		t.Fatalf("an answer without events came from an old state: %+v", o)
	}
}

func TestAStateThatWasEvictedIsReadAgain(t *testing.T) {
	b := newBank(t, 1)
	for range 3 {
		b.ok("a", 1, nil)
		b.ok("b", 10, nil)
	}
	if o := b.ok("a", 1, nil); o.State.Amount != 4 || o.Version != 4 {
		t.Fatalf("got %+v", o)
	}
}

func TestARepeatedCommandIsAnsweredAsTheFirst(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprint("restarted ", restarted), func(t *testing.T) {
			b := newBank(t, 10)
			first := b.ok("a", 5, key(1))
			b.ok("a", 2, nil)
			if restarted {
				b.handler = over(b.store, 10)
			}
			again := b.ok("a", 5, key(1))
			first.Replayed = true
			if again != first {
				t.Fatalf("got %+v, want %+v", again, first)
			}
			if got := b.events(); got != "a 5, a 2" {
				t.Fatalf("the log has %s", got)
			}
		})
	}
}

func TestARepeatedRefusalIsTheSameEvenWhenTheStateHasChanged(t *testing.T) {
	b := newBank(t, 10)
	if _, err := b.Handle(t.Context(), account("a"), -5, key(1)); !errors.Is(err, errOverdrawn) {
		t.Fatal(err)
	}
	b.ok("a", 100, nil)
	o, err := b.Handle(t.Context(), account("a"), -5, key(1))
	if !errors.Is(err, errOverdrawn) || !o.Replayed {
		t.Fatalf("got %+v, %v", o, err)
	}
	if got := b.events(); got != "a 100" {
		t.Fatalf("the log has %s", got)
	}
}

func TestARepeatedCommandThatChangedNothingIsAnsweredAsTheFirst(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	first := b.ok("a", 0, key(1))
	b.ok("a", 2, nil)
	again := b.ok("a", 0, key(1))
	if !again.Replayed || again.Changed || again.State != first.State || again.Version != 1 {
		t.Fatalf("got %+v, first was %+v", again, first)
	}
}

func TestAKeyIsForOneCommand(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, key(1))
	other := key(1)
	other.Fingerprint[0] = 99
	if _, err := b.Handle(t.Context(), account("a"), 6, other); !errors.Is(err, decider.ErrKeyReused) {
		t.Fatalf("got %v", err)
	}
}

func TestARefusalThatIsNoAnswerLeavesTheKeyFree(t *testing.T) {
	b := newBank(t, 10)
	none := decider.NewHandler(b.store, decider.Decider[balance, change, change]{Decide: decide, Evolve: evolve}, codec(),
		decider.Rejections{Encode: func(error) ([]byte, bool) { return nil, false }}, 10)
	if _, err := none.Handle(t.Context(), account("a"), -5, key(1)); !errors.Is(err, errOverdrawn) {
		t.Fatal(err)
	}
	b.ok("a", 5, nil)
	if o, err := none.Handle(t.Context(), account("a"), -5, key(1)); err != nil || o.Replayed {
		t.Fatalf("got %+v, %v", o, err)
	}
}

func TestAHundredCommandsOnOneStreamAllHappenOnce(t *testing.T) {
	b := newBank(t, 10)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			if _, err := b.Handle(context.Background(), account("a"), 1, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if o := b.ok("a", 0, nil); o.State.Amount != 100 || o.Version != 100 {
		t.Fatalf("got %+v", o)
	}
}

func TestOfAHundredWithOneKeyOneHappens(t *testing.T) {
	b := newBank(t, 10)
	var fresh atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			o, err := b.Handle(context.Background(), account("a"), 1, key(1))
			if err != nil || o.State.Amount != 1 || o.Version != 1 || !o.Changed {
				t.Errorf("got %+v, %v", o, err)
			}
			if !o.Replayed {
				fresh.Add(1)
			}
		})
	}
	group.Wait()
	if fresh.Load() != 1 {
		t.Fatalf("%d were told that they were the first", fresh.Load())
	}
}

func TestARaceNeverOverdraws(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 30, nil)
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			switch _, err := b.Handle(context.Background(), account("a"), -1, nil); {
			case err == nil:
				taken.Add(1)
			case !errors.Is(err, errOverdrawn):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if taken.Load() != 30 {
		t.Fatalf("%d of 30 were taken", taken.Load())
	}
}

func TestErrorsOfTheCodecAndTheLogAreReturned(t *testing.T) {
	b := newBank(t, 10)
	broken := errors.New("broken")
	bad := decider.NewHandler(b.store, decider.Decider[balance, change, change]{Decide: decide, Evolve: evolve},
		decider.Codec[change]{
			Encode: func(change) (eventstore.NewEvent, error) { return eventstore.NewEvent{}, broken },
			Decode: func(eventstore.Event) (change, error) { return 0, broken },
		}, rejections(), 10)
	if _, err := bad.Handle(t.Context(), account("a"), 1, nil); !errors.Is(err, broken) {
		t.Fatalf("encode: %v", err)
	}
	b.ok("a", 1, nil)
	if _, err := bad.Handle(t.Context(), account("a"), 1, nil); !errors.Is(err, broken) {
		t.Fatalf("decode: %v", err)
	}
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Handle(t.Context(), account("a"), 1, nil); !errors.Is(err, eventstore.ErrClosed) {
		t.Fatalf("a closed log: %v", err)
	}
}

func TestACommandWhoseContextHasEndedWritesNothing(t *testing.T) {
	b := newBank(t, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Handle(ctx, account("a"), 1, nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if got := b.events(); got != "" {
		t.Fatalf("the log has %s", got)
	}
}
