package friend

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ensemble/eventstore"
	"ensemble/user"
)

const (
	erasePage   = 1000  // friendships listed at once
	eraseAtOnce = 16    // friendships removed at once: they share commits
	saveEvery   = 10000 // events after which the checkpoint is kept although nobody was erased
	eraseRetry  = time.Second
)

// EraserConfig is what an [Eraser] works with.
type EraserConfig struct {
	Service *Service
	// Friendships returns up to limit of a person's friendships with a row id
	// above after, ascending. It is never behind the log of friendships.
	Friendships func(ctx context.Context, person, after int64, limit int) ([]Friendship, error)
	// Save keeps up to which position of the log of people everything is done.
	// Nil: nothing is kept, and the next start looks at all of it again.
	Save func(eventstore.Position) error
}

// Eraser ends the friendships of people who were erased. It guarantees that, once
// it has followed the log of people up to a UserErased, there is no friendship with
// that person and never will be, whatever was added meanwhile:
//
//   - an addition that begins after the person was erased finds nobody,
//   - one that began before is waited for, and then the friendships are listed.
//
// Each friendship ends by an ordinary Remove, so whoever follows the log of
// friendships needs to know nothing about erasing. After a crash what is left is
// removed; what was removed is not there any more, so nothing happens twice.
//
// Run it as a projection of the log of people.
type Eraser struct {
	config EraserConfig
	saved  eventstore.Position // used by Apply alone

	mu      sync.Mutex
	removed map[int64]int64 // by person
}

// NewEraser returns an eraser that has done everything up to a position.
func NewEraser(c EraserConfig, after eventstore.Position) *Eraser {
	return &Eraser{config: c, saved: after, removed: map[int64]int64{}}
}

// Removed returns how many friendships of a person were ended since the start, and
// false if the person was not seen erased since then.
func (e *Eraser) Removed(id int64) (n int64, known bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, known = e.removed[id]
	return n, known
}

// Apply ends the friendships of those who were erased.
func (e *Eraser) Apply(ctx context.Context, events []eventstore.Event) error {
	last := events[len(events)-1].Position
	found := false
	for i := range events {
		id, err := user.ErasedPerson(&events[i])
		if err != nil {
			return err
		}
		if id == 0 {
			continue
		}
		found = true
		if err := e.erase(ctx, id); err != nil {
			return fmt.Errorf("end the friendships of %d: %w", id, err)
		}
	}
	if e.config.Save == nil || !found && last-e.saved < saveEvery {
		return nil
	}
	e.saved = last
	return e.config.Save(last)
}

// erase ends the friendships of one person.
func (e *Eraser) erase(ctx context.Context, id int64) error {
	if err := e.config.Service.underway.erase(ctx, id); err != nil {
		return err
	}
	e.count(id, 0)
	for after := int64(0); ; {
		page, err := e.config.Friendships(ctx, id, after, erasePage)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].Row
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(eraseAtOnce)
		for _, f := range page {
			group.Go(func() error { return e.remove(ctx, id, f) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
}

// remove ends one friendship, as often as it takes while the log is busy, full or away.
func (e *Eraser) remove(ctx context.Context, id int64, f Friendship) error {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, eraseRetry) {
		_, err := e.config.Service.Remove(ctx, f.By, f.To, nil)
		switch {
		case err == nil:
			e.count(id, 1)
			return nil
		case errors.Is(err, ErrNotFriends): // one of the two was faster
			return nil
		case !errors.Is(err, eventstore.ErrBusy) && !errors.Is(err, eventstore.ErrFull) && !errors.Is(err, eventstore.ErrAway):
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count notes that so many friendships of a person were ended.
func (e *Eraser) count(id, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removed[id] += n
}
