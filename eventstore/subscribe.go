package eventstore

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Subscribe returns every event after a position: first those in the log, then
// each new one as it is committed, for ever, without gaps or repeats. It ends
// with the context's error, or when the log is closed. A slow subscriber reads
// from the log; it holds no memory but its page.
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
			page, err := s.driver.ReadAll(ctx, after, pageSize)
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
			if err := s.wait(ctx, signal); err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// pageSize is how many events a subscription reads at once.
const pageSize = 1000

// behind returns ErrAhead if the log has not reached the position.
func (s *Store) behind(ctx context.Context, after Position) error {
	head, err := s.driver.Head(ctx)
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
		if err := s.wait(ctx, signal); err != nil {
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

// wait returns when there may be new events, or with why there will be none.
func (s *Store) wait(ctx context.Context, signal <-chan struct{}) error {
	var poll <-chan time.Time
	if s.opts.Poll > 0 {
		timer := time.NewTimer(s.opts.Poll)
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
