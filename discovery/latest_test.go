package discovery_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery"
)

// TestAnOldAnswerIsGivenWhileANewOneIsAskedFor: only one caller waits for the source.
func TestAnOldAnswerIsGivenWhileANewOneIsAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := discovery.NewLatest(time.Second, time.Minute, func(_ context.Context, last int) (int, error) {
			time.Sleep(10 * time.Second)
			return last + 1, nil
		})
		ask := func(want int, after time.Duration) {
			t.Helper()
			start := time.Now()
			if a, err := l.Ask(t.Context()); err != nil || a.Value != want || time.Since(start) != after {
				t.Errorf("%+v %v after %v, want %d after %v", a, err, time.Since(start), want, after)
			}
		}
		ask(1, 10*time.Second) // the first has to wait
		ask(1, 0)
		time.Sleep(time.Second)
		done := make(chan struct{})
		go func() { defer close(done); ask(2, 10*time.Second) }()
		synctest.Wait()
		ask(1, 0)
		<-done
		ask(2, 0)
	})
}

// TestWhoGoesAwayBlamesNobody: a caller whose context ends leaves no trouble behind,
// and the next one asks at once.
func TestWhoGoesAwayBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := discovery.NewLatest(time.Hour, time.Minute, func(ctx context.Context, _ string) (string, error) {
			select {
			case <-time.After(time.Second):
				return "here", nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		waiting := make(chan error)
		for range 2 {
			go func() { _, err := l.Ask(ctx); waiting <- err }()
		}
		for range 2 {
			if err := <-waiting; !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		}
		if a, err := l.Ask(t.Context()); err != nil || a.Value != "here" || a.Trouble != nil {
			t.Errorf("%+v %v", a, err)
		}
	})
}

// TestASourceThatHangsIsGivenUp after the time that it has, with the last answer kept.
func TestASourceThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := false
		l := discovery.NewLatest(time.Second, 2*time.Second, func(ctx context.Context, _ string) (string, error) {
			if hang {
				<-ctx.Done()
				return "", ctx.Err()
			}
			return "here", nil
		})
		first, err := l.Ask(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hang = true
		time.Sleep(time.Second)
		a, err := l.Ask(t.Context())
		if err != nil || a.Value != "here" || !a.Confirmed.Equal(first.Confirmed) || !errors.Is(a.Trouble, context.DeadlineExceeded) {
			t.Errorf("%+v %v", a, err)
		}
	})
}
