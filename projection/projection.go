// Package projection follows a source of events into a read side of its own.
//
// It guarantees that
//
//   - a projection sees each event of its source once, in order, from its
//     checkpoint on; after a restart from an older checkpoint it sees some again,
//   - the checkpoint moves only when the projection has applied the events before
//     it,
//   - an event that can't be applied stops the projection loudly: it is never
//     skipped.
//
// # Views and projections
//
// Both are made from events. A view is written in the commit of the events, by the
// service that owns the log; it is never behind, and it can only hold what one log
// knows. A projection follows, a moment later, and may follow several logs: one
// [Runner] each, into the same read side. It has to bear whatever order the logs'
// events reach it in, and seeing some of them again.
//
// # Batches
//
// Events are read ahead by one goroutine and applied by another. What has queued
// up while a batch was applied becomes the next batch: one event at a time when
// little happens, a thousand when there is much to catch up with.
//
// # Replaying
//
// A read side that is to be replaced is filled a second time beside the first:
// [Runner.Replay] feeds another projection with what the runner has applied, and
// [Runner.Hold] stops the runner for the moment in which the one takes the place of
// the other.
//
// A log's Subscribe is a [Source]; any other stream of events makes another.
package projection

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"ensemble/eventstore"
)

// Source returns the events after a position: first those that are there, then
// each new one, until its context ends.
type Source func(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error]

// Projection is a read side that is fed with events.
type Projection interface {
	// Apply takes events in, in order. Applying an event again changes nothing.
	// An error stops the projection.
	Apply(ctx context.Context, events []eventstore.Event) error
}

// maxBatch is how many events are applied at once at most.
const maxBatch = 1000

// ErrStopped means that the projection is not running any more.
var ErrStopped = errors.New("the projection has stopped")

// Runner runs one projection. Its methods may be called concurrently, Run once.
type Runner struct {
	name   string
	source Source
	to     Projection

	applying sync.Mutex // held while a batch is applied, and by Hold

	mu       sync.Mutex
	position eventstore.Position // all events up to here are applied
	moved    chan struct{}       // closed and replaced when position moves
	stopped  error               // why Run has returned
}

// New returns a runner that continues after a checkpoint.
func New(name string, source Source, to Projection, after eventstore.Position) *Runner {
	return &Runner{name: name, source: source, to: to, position: after, moved: make(chan struct{})}
}

// Run follows the source until the context ends or something goes wrong, and
// says why.
func (r *Runner) Run(ctx context.Context) error {
	err := r.follow(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("projection %s stopped after position %d: %w", r.name, r.Position(), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = errors.Join(ErrStopped, err)
	close(r.moved)
	r.moved = make(chan struct{})
	return err
}

// follow reads ahead in a goroutine of its own, so that what has queued up
// meanwhile becomes one batch.
func (r *Runner) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	events := make(chan eventstore.Event, maxBatch)
	var reading sync.WaitGroup
	var failed error // written by the reader before it closes events
	reading.Go(func() {
		defer close(events)
		failed = r.read(ctx, events)
	})
	defer reading.Wait()
	defer cancel()
	batch := make([]eventstore.Event, 0, maxBatch)
	for first := range events {
		batch = gather(append(batch[:0], first), events)
		if err := r.apply(ctx, batch); err != nil {
			return err
		}
	}
	return failed
}

// read passes events on until the source ends.
func (r *Runner) read(ctx context.Context, events chan<- eventstore.Event) error {
	for e, err := range r.source(ctx, r.Position()) {
		if err != nil {
			return err
		}
		select {
		case events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// gather adds to a batch what is there already.
func gather(batch []eventstore.Event, events <-chan eventstore.Event) []eventstore.Event {
	for len(batch) < maxBatch {
		select {
		case e, ok := <-events:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// apply brings a batch in and moves the checkpoint, both while nobody holds the
// runner.
func (r *Runner) apply(ctx context.Context, batch []eventstore.Event) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	if err := r.to.Apply(ctx, batch); err != nil {
		return err
	}
	r.advance(batch[len(batch)-1].Position)
	return nil
}

// advance moves the checkpoint and wakes those who wait for it.
func (r *Runner) advance(to eventstore.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.position = to
	close(r.moved)
	r.moved = make(chan struct{})
}

// Position returns the checkpoint: all events up to it are applied.
func (r *Runner) Position() eventstore.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position
}

// Err returns why Run has returned, or nil while it has not.
func (r *Runner) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// Wait returns once all events up to a position are applied.
//
// Errors: ErrStopped with the reason if Run ends before; the context's.
func (r *Runner) Wait(ctx context.Context, p eventstore.Position) error {
	for {
		r.mu.Lock()
		position, moved, stopped := r.position, r.moved, r.stopped
		r.mu.Unlock()
		switch {
		case position >= p:
			return nil
		case stopped != nil:
			return stopped
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
