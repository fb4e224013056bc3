package discovery

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Latest is the last good answer of a source, which is asked again when the answer has
// become old. The zero value is not ready: use NewLatest.
type Latest[T any] struct {
	every time.Duration
	most  time.Duration
	ask   func(ctx context.Context, last T) (T, error)

	turn chan struct{} // holds one: who takes it may ask

	mu        sync.Mutex
	value     T
	confirmed time.Time // when the source last answered; zero: never
	tried     time.Time // when it was last asked
	trouble   error     // why it did not answer
}

// NewLatest returns the latest answer of a source that is asked at most once in every,
// and has most to answer. The function gets the last answer, for sources that tell only
// what changed since.
func NewLatest[T any](every, most time.Duration, ask func(ctx context.Context, last T) (T, error)) *Latest[T] {
	return &Latest[T]{every: every, most: most, ask: ask, turn: make(chan struct{}, 1)}
}

// Answer is what a source said.
type Answer[T any] struct {
	Value     T
	Confirmed time.Time // when it said so
	Trouble   error     // why this is not newer, or nil
}

// Ask returns the latest answer. An old one is given without waiting while another
// caller is asking for a new one. Errors: there has never been an answer, or the
// context ended before there was one.
func (l *Latest[T]) Ask(ctx context.Context) (Answer[T], error) {
	if err := ctx.Err(); err != nil {
		return Answer[T]{}, err
	}
	if a, fresh := l.last(); fresh {
		return l.told(a)
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	default:
		if a, _ := l.last(); !a.Confirmed.IsZero() {
			return a, nil // somebody else is asking
		}
		select {
		case l.turn <- struct{}{}:
			defer func() { <-l.turn }()
		case <-ctx.Done():
			return Answer[T]{}, ctx.Err()
		}
	}
	a, fresh := l.last()
	if fresh { // while this one waited
		return l.told(a)
	}
	asking, cancel := context.WithTimeout(ctx, l.most)
	defer cancel()
	value, err := l.ask(asking, a.Value)
	if err != nil && ctx.Err() != nil {
		return Answer[T]{}, ctx.Err() // says nothing about the source
	}
	return l.told(l.keep(value, err))
}

// last returns the last answer, and whether the source need not be asked yet.
func (l *Latest[T]) last() (a Answer[T], fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answer(), !l.tried.IsZero() && time.Since(l.tried) < l.every
}

// keep notes what the source said, or why it said nothing.
func (l *Latest[T]) keep(value T, err error) Answer[T] {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried, l.trouble = time.Now(), err
	if err == nil {
		l.value, l.confirmed = value, l.tried
	}
	return l.answer()
}

// answer is what a caller gets; mu is held.
func (l *Latest[T]) answer() Answer[T] {
	return Answer[T]{Value: l.value, Confirmed: l.confirmed, Trouble: l.trouble}
}

// told turns the trouble into an error for somebody who was never told anything.
func (l *Latest[T]) told(a Answer[T]) (Answer[T], error) {
	if a.Confirmed.IsZero() {
		return Answer[T]{}, fmt.Errorf("where its instances are is not known yet: %w", a.Trouble)
	}
	return a, nil
}
