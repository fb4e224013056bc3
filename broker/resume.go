package broker

import (
	"context"
	"fmt"
	"slices"

	"ensemble/eventstore"
)

// tail is how many records at the end of a topic are looked at to find out where to go
// on: more than two pages, since a page sent into a topic that had lost its end leaves a
// gap in front of it.
const tail = 2*page + 1

// resume finds out up to which event the topic is whole. Nothing else is asked: whatever
// the relay remembered could be wrong, as the topic may have lost its end.
//
// Errors: [ErrOtherTopic], [ErrLostEvents], those of the broker and of the log.
func (r *Relay) resume(ctx context.Context) (*sending, error) {
	head, err := r.c.Log.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the head of the log: %w", err)
	}
	bounds, err := r.c.Broker.Bounds(ctx, r.c.Topic)
	if err != nil {
		return nil, fmt.Errorf("look at topic %s: %w", r.c.Topic, err)
	}
	s := &sending{Relay: r, lineage: head.Lineage, next: bounds[0].End}
	end := ending{lineage: head.Lineage, after: -1}
	for from := bounds[0].End; end.after < 0 && from > bounds[0].Begin; {
		to := from
		from = max(bounds[0].Begin, from-tail)
		if err := r.look(ctx, &end, from, to); err != nil {
			return nil, err
		}
	}
	s.after = max(0, end.after)
	if !end.told && s.after > 0 {
		s.after-- // sent once more, an event tells consumers at once that the log was restored
	}
	switch {
	case end.foreign && !r.c.TakeOver:
		return nil, fmt.Errorf("%w: topic %s; send to an empty topic, or once with the permission to take this one over", ErrOtherTopic, r.c.Topic)
	case s.after > head.Position:
		return nil, fmt.Errorf("%w: topic %s has event %d, and the log ends at %d; restore the log from a backup, so that it gets another name",
			ErrLostEvents, r.c.Topic, s.after, head.Position)
	}
	return s, nil
}

// look reads a part of the topic.
func (r *Relay) look(ctx context.Context, end *ending, from, to int64) error {
	for record, err := range r.c.Broker.Read(ctx, r.c.Topic, 0, from, to) {
		if err != nil {
			return fmt.Errorf("read the end of topic %s: %w", r.c.Topic, err)
		}
		o, ours, err := OriginOf(&record)
		if err == nil && ours {
			end.see(o)
		}
	}
	return nil
}

// ending finds the last event up to which a topic is whole, from the records at its end.
type ending struct {
	lineage eventstore.Lineage  // of the log
	after   eventstore.Position // -1: no record of the log was seen
	foreign bool                // a record of another log was seen, and none behind it that says that this one took over
	told    bool                // a record was seen that says which log it is now
}

// see takes a record in. The first one is taken to have everything before it.
func (e *ending) see(o Origin) {
	uuid := o.Lineage.At(o.Position)
	if slices.Equal(o.Lineage, e.lineage) {
		e.told, e.foreign = true, false
	}
	switch {
	case e.lineage.At(o.Position) == uuid:
		if e.after < 0 || o.Position == e.after+1 {
			e.after = o.Position
		}
	case !descends(e.lineage, o.Lineage):
		e.foreign = true
	case e.after < 0:
		// An event that the log has left behind: up to where it did so, all is there.
		e.after = e.lineage[len(o.Lineage)].First - 1
	}
}
