package projection_test

import (
	"context"
	"errors"
	"testing"

	"ensemble/eventstore"
	"ensemble/projection"
)

// unheard is for progress that is not looked at.
func unheard(eventstore.Position) {}

func TestAReplayFeedsAnotherProjectionUpToWhereTheRunnerIs(t *testing.T) {
	live, beside := new(seen), new(seen)
	r := projection.New("test", upTo(2500), live, 0)
	if err := runFor(t, r, 2500); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	var told []eventstore.Position
	at, err := r.Replay(t.Context(), beside, 0, func(at eventstore.Position) { told = append(told, at) })
	if err != nil || at != 2500 {
		t.Fatalf("it reached %d, %v", at, err)
	}
	beside.dense(t, 1, 2500)
	if len(told) != 3 || told[2] != 2500 {
		t.Fatalf("progress was %v", told)
	}
	if at, err := r.Replay(t.Context(), beside, at, unheard); err != nil || at != 2500 {
		t.Fatalf("there was nothing left, and it reached %d, %v", at, err)
	}
	beside.dense(t, 1, 2500)
}

func TestAReplayEndsWithWhatTheOtherProjectionCanNotApply(t *testing.T) {
	r := projection.New("test", upTo(30), new(seen), 20)
	beside := &seen{failAt: 7}
	if at, err := r.Replay(t.Context(), beside, 5, unheard); !errors.Is(err, errApply) || at != 5 {
		t.Fatalf("it reached %d, %v", at, err)
	}
	if r.Position() != 20 {
		t.Fatalf("the runner is at %d now", r.Position())
	}
}

func TestARunnerThatIsHeldStandsStill(t *testing.T) {
	live := new(seen)
	r := projection.New("test", upTo(50), live, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	err := r.Hold(func() error {
		go func() { ended <- r.Run(ctx) }()
		waiting, stop := context.WithTimeout(t.Context(), 1<<22) // it can't move, however long one waits
		defer stop()
		if err := r.Wait(waiting, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it moved: %v", err)
		}
		return errApply
	})
	if !errors.Is(err, errApply) {
		t.Errorf("got %v", err)
	}
	if err := r.Wait(t.Context(), 50); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
}
