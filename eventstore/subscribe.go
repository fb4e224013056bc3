package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Subscribe returns every event after a position: first those in the log, then
// each new one as it is committed, for ever, without gaps or repeats. It ends
// with the context's error, or when the log is closed. A slow subscriber reads
// from the log; it holds no memory but its page. While the database is away
// (ErrAway), it waits.
//
// Errors: ErrAhead, DamageError, ErrClosed, those of the driver.
func (s *Store) Subscribe(ctx context.Context, after Position) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		after = max(after, 0)
		if err := s.behind(ctx, after); err != nil {
			yield(Event{}, err)
			return
		}
		for {
			signal := s.committed() // before reading: a commit in between must wake us
			var page []Event
			err := s.patiently(ctx, func() (err error) {
				page, err = s.driver.ReadAll(ctx, after, pageSize)
				return err
			})
			if err != nil {
				yield(Event{}, fmt.Errorf("read the log after position %d: %w", after, err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Position
			}
			if len(page) > 0 {
				continue
			}
			if err := s.wait(ctx, signal, s.opts.Poll); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// pageSize is how many events a subscription reads at once.
const pageSize = 1000

// away is how long a subscription waits before it asks a database that was away again.
const away = 100 * time.Millisecond

// patiently reads, and reads again while the database is away. The driver has waited a
// while before it says so; who follows for ever waits on.
func (s *Store) patiently(ctx context.Context, read func() error) error {
	for {
		err := read()
		if !errors.Is(err, ErrAway) {
			return err
		}
		if err := s.wait(ctx, nil, away); err != nil {
			return err
		}
	}
}

// behind returns ErrAhead if the log has not reached the position.
func (s *Store) behind(ctx context.Context, after Position) error {
	var head Head
	err := s.patiently(ctx, func() (err error) {
		head, err = s.driver.Head(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if after > head.Position {
		return fmt.Errorf("%w: asked for events after %d, the last one is %d", ErrAhead, after, head.Position)
	}
	return nil
}

// Wait returns once the log has an event at a position.
//
// Errors: the context's, ErrClosed, those of the driver.
func (s *Store) Wait(ctx context.Context, p Position) error {
	for {
		signal := s.committed() // before looking: a commit in between must wake us
		reached, err := s.reached(ctx, p)
		if reached || err != nil {
			return err
		}
		if err := s.wait(ctx, signal, s.opts.Poll); err != nil {
			return err
		}
	}
}

// reached says whether the log has got as far as a position. The driver is asked
// only if another process may have appended.
func (s *Store) reached(ctx context.Context, p Position) (bool, error) {
	if s.Position() >= p || s.opts.Poll == 0 {
		return s.Position() >= p, nil
	}
	head, err := s.driver.Head(ctx)
	if err != nil {
		return false, fmt.Errorf("read the head of the log: %w", err)
	}
	return head.Position >= p, nil
}

// committed returns a channel that the next commit closes.
func (s *Store) committed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signal
}

// announce wakes all subscriptions.
func (s *Store) announce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.signal)
	s.signal = make(chan struct{})
}

// wait returns when there may be new events, at the latest after a while that is not
// 0, or with why there will be none.
func (s *Store) wait(ctx context.Context, signal <-chan struct{}, while time.Duration) error {
	var poll <-chan time.Time
	if while > 0 {
		timer := time.NewTimer(while)
		defer timer.Stop()
		poll = timer.C
	}
	select {
	case <-signal:
		return nil
	case <-poll:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stop:
		return ErrClosed
	}
}
