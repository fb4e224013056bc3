package client

import (
	"context"
	"errors"
	"time"
)

const (
	attempts   = 12
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Persist sends a command until it is answered for good: at most twelve times,
// about forty seconds, later each time and not before the answer's Retry-After.
// Only a command that carries an idempotency key happens once however often it is
// sent. retried, if not nil, is told why an attempt was none.
//
// Errors: the last attempt's; the context's.
func Persist(ctx context.Context, do func(context.Context) error, retried func(error)) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if err == nil || attempt == attempts || !temporary(err) {
			return err
		}
		if retried != nil {
			retried(err)
		}
		select {
		case <-time.After(max(pause, retryAfter(err))):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(2*pause, lastPause)
	}
}

// temporary says whether the same command may succeed later: the system was busy,
// starting or stopping, or the connection was lost.
func temporary(err error) bool {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		switch problem.Problem.Status {
		case 429, 502, 503, 504:
			return true
		case 409:
			return problem.RetryAfter > 0 // the first request with the key is still running
		}
		return false
	}
	return !errors.Is(err, context.Canceled)
}

// retryAfter returns how long the answer asks to wait.
func retryAfter(err error) time.Duration {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		return min(problem.RetryAfter, lastPause)
	}
	return 0
}
