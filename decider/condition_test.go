package decider_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"ensemble/decider"
	"ensemble/eventstore"
)

// at accepts some versions.
func at(versions ...eventstore.Version) decider.Condition {
	return func(v eventstore.Version) bool { return slices.Contains(versions, v) }
}

func TestACommandForOneVersionHappensAtThatVersion(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	b.ok("a", 5, nil)
	for _, c := range []struct {
		sentence string
		command  change
		holds    decider.Condition
		want     error
	}{
		{"an old version is refused", 1, at(1), decider.ErrPrecondition},
		{"one that is yet to come is refused", 1, at(3), decider.ErrPrecondition},
		{"a command that would change nothing is refused too", 0, at(1), decider.ErrPrecondition},
		{"what is refused anyway is refused for its own reason", -11, at(1), errOverdrawn},
		{"the version there is will do", 0, at(2), nil},
		{"one of several is enough", 1, at(1, 2), nil},
		{"by now it is another", 1, at(2), decider.ErrPrecondition},
		{"no condition is none", 1, nil, nil},
	} {
		if _, err := b.HandleIf(t.Context(), account("a"), c.command, c.holds); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.sentence, err)
		}
	}
	if got := b.events(); got != "a 5, a 5, a 1, a 1" {
		t.Errorf("the log has %s", got)
	}
}

func TestAConditionIsNeverJudgedOnAnOldState(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	other := over(b.store, 10) // another process, with a cache of its own
	if _, err := other.Handle(t.Context(), account("a"), 5, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.HandleIf(t.Context(), account("a"), 1, at(1)); !errors.Is(err, decider.ErrPrecondition) {
		t.Fatalf("a version that only the cache has was accepted: %v", err)
	}
	if _, err := other.Handle(t.Context(), account("a"), 5, nil); err != nil {
		t.Fatal(err)
	}
	if o, err := b.HandleIf(t.Context(), account("a"), 0, at(3)); err != nil || o.State.Amount != 15 {
		t.Fatalf("a version that the cache does not have yet was refused: %+v, %v", o, err)
	}
}

// Each of the hundred is a process of its own that has seen the version and knows
// of no other: only the append can tell them apart.
func TestOfAHundredForOneVersionOneHappens(t *testing.T) {
	b := newBank(t, 10)
	b.ok("a", 5, nil)
	processes := make([]*handler, 100)
	for i := range processes {
		processes[i] = over(b.store, 10)
		if _, err := processes[i].Handle(t.Context(), account("a"), 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	var happened atomic.Int64
	var group sync.WaitGroup
	for _, p := range processes {
		group.Go(func() {
			switch o, err := p.HandleIf(context.Background(), account("a"), 1, at(1)); {
			case err == nil && o.Version == 2:
				happened.Add(1)
			case !errors.Is(err, decider.ErrPrecondition):
				t.Errorf("got %+v, %v", o, err)
			}
		})
	}
	group.Wait()
	if got := b.events(); happened.Load() != 1 || got != "a 5, a 1" {
		t.Fatalf("%d happened, the log has %s", happened.Load(), got)
	}
}
