package broker

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"

	"ensemble/eventstore"
	"ensemble/projection"
)

// Source returns one partition of a topic as a source of events, for a [Consumer] to take
// in. An event's position is the offset behind its record, so that a runner goes on where
// it was; which event of which log it is, the consumer finds out. The source may begin
// anew, with lower positions, when the topic has lost its end.
//
// It never ends but with its context: a broker that is away is asked again and again, and
// failing, if it is not nil, is told why, and nil once it answers.
func Source(b Publisher, topic string, partition int32, failing func(error)) projection.Source {
	if failing == nil {
		failing = func(error) {}
	}
	return func(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
		return func(yield func(eventstore.Event, error) bool) {
			s := source{Publisher: b, topic: topic, partition: partition, next: int64(after), failing: failing}
			for wait := time.Duration(0); ; {
				before := s.next
				enough, err := s.read(ctx, yield)
				switch {
				case enough:
					return
				case ctx.Err() != nil:
					yield(eventstore.Event{}, ctx.Err())
					return
				case s.next != before:
					wait = 0
				}
				failing(err)
				wait = min(max(2*wait, shortestWait), longestWait)
				_ = pause(ctx, jittered(wait)) // an end is seen above
			}
		}
	}
}

// How long is waited before a broker is asked again.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = 5 * time.Second
)

// jittered returns a time around which many do not wake at once.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2) //nolint:gosec // nobody gains by guessing it
}

// untilAnswered asks a broker again and again.
//
// Errors: the context's.
func untilAnswered[T any](ctx context.Context, failing func(error), ask func() (T, error)) (T, error) {
	for wait := time.Duration(0); ; {
		answer, err := ask()
		if failing != nil && ctx.Err() == nil {
			failing(err)
		}
		if err == nil {
			return answer, nil
		}
		wait = min(max(2*wait, shortestWait), longestWait)
		if err := pause(ctx, jittered(wait)); err != nil {
			return answer, err
		}
	}
}

// source is one reader of a partition.
type source struct {
	Publisher
	topic     string
	partition int32
	next      int64
	began     bool // something was read
	failing   func(error)
}

// read passes records on until something fails, or nobody wants more.
func (s *source) read(ctx context.Context, yield func(eventstore.Event, error) bool) (enough bool, err error) {
	works := false
	from := s.next
	if s.began { // whoever reads the last one again sees whether the topic is still the same
		from--
	}
	for record, err := range s.Read(ctx, s.topic, s.partition, from, -1) {
		if err != nil {
			return false, err
		}
		if !works {
			works = true
			s.failing(nil)
		}
		s.next, s.began = record.Offset+1, true
		if !yield(envelope(s.topic, &record), nil) {
			return true, nil
		}
	}
	return false, nil
}

// envelope returns a record as an event, so that it can pass through a runner.
func envelope(topic string, r *Record) eventstore.Event {
	meta := make(eventstore.Metadata, len(r.Headers))
	for _, h := range r.Headers {
		if _, before := meta[h.Key]; !before {
			meta[h.Key] = string(h.Value)
		}
	}
	return eventstore.Event{
		Stream:  eventstore.Stream{Category: topic, ID: string(r.Key)},
		Version: eventstore.Version(r.Partition), Position: eventstore.Position(r.Offset + 1),
		Time: r.Time, Data: r.Value, Meta: meta,
	}
}

// opened is the inverse of envelope. The order of headers is lost.
func opened(e *eventstore.Event) Record {
	r := Record{
		Value: e.Data, Time: e.Time, Partition: int32(e.Version), Offset: int64(e.Position - 1),
		Headers: make([]Header, 0, len(e.Meta)),
	}
	if e.Stream.ID != "" {
		r.Key = []byte(e.Stream.ID)
	}
	for name, value := range e.Meta {
		r.Headers = append(r.Headers, Header{name, []byte(value)})
	}
	return r
}
