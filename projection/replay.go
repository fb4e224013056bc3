package projection

import (
	"context"

	"ensemble/eventstore"
)

// Replay feeds another projection with the events after a position, up to where
// the runner is now, and returns the last position it was fed. The runner goes on
// meanwhile. progress is told how far it is.
//
// Errors: those of the source and of the other projection, the context's.
func (r *Runner) Replay(
	ctx context.Context, to Projection, after eventstore.Position, progress func(at eventstore.Position),
) (eventstore.Position, error) {
	end := r.Position()
	if after >= end {
		return after, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batch := make([]eventstore.Event, 0, maxBatch)
	for e, err := range r.source(ctx, after) {
		if err != nil {
			return after, err
		}
		if batch = append(batch, e); len(batch) < maxBatch && e.Position < end {
			continue
		}
		if err := to.Apply(ctx, batch); err != nil {
			return after, err
		}
		after, batch = e.Position, batch[:0]
		progress(after)
		if after >= end {
			return after, nil
		}
	}
	return after, ErrStopped
}

// Hold runs fn while the runner applies nothing, so that its position stands
// still. It has to be short.
func (r *Runner) Hold(fn func() error) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	return fn()
}
