package broker_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ensemble/broker"
	"ensemble/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a log whose past can be changed: what a restore does to a real one.
type tape struct {
	eventstore.Driver // the methods that nobody calls here

	mu      sync.Mutex
	events  []eventstore.Event
	lineage eventstore.Lineage
}

// newTape returns an empty log.
func newTape(uuid byte) *tape {
	return &tape{lineage: eventstore.Lineage{{UUID: [16]byte{uuid}, First: 1}}}
}

// Commit implements [eventstore.Driver].
func (l *tape) Commit(_ context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	results := make([]eventstore.Result, len(batch))
	for i, w := range batch {
		for _, e := range w.Events {
			p := eventstore.Position(len(l.events) + 1)
			l.events = append(l.events, eventstore.Event{Stream: w.Stream, Position: p, Type: e.Type, Data: e.Data, Time: time.UnixMilli(int64(p)).UTC()})
			results[i].Position = p
		}
	}
	return results, nil
}

// ReadAll implements [eventstore.Driver].
func (l *tape) ReadAll(_ context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := min(int(after), len(l.events))
	return slices.Clone(l.events[from:min(from+limit, len(l.events))]), nil
}

// Head implements [eventstore.Driver].
func (l *tape) Head(context.Context) (eventstore.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return eventstore.Head{Position: eventstore.Position(len(l.events)), Lineage: slices.Clone(l.lineage)}, nil
}

// Close implements [eventstore.Driver].
func (*tape) Close() error { return nil }

// restored returns the log as a backup of its first n events brings it back: from then on
// it has another name.
func (l *tape) restored(n int, uuid byte) *tape {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := eventstore.Position(n + 1)
	kept := slices.DeleteFunc(slices.Clone(l.lineage), func(f eventstore.Fork) bool { return f.First > first })
	return &tape{events: slices.Clone(l.events[:n]), lineage: append(kept, eventstore.Fork{UUID: [16]byte{uuid}, First: first})}
}

// copied returns the log as it is now, for a process that does not know that it should be
// gone.
func (l *tape) copied() *tape {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &tape{events: slices.Clone(l.events), lineage: slices.Clone(l.lineage)}
}

// open puts a committer on the log.
func (l *tape) open(tb testing.TB) *eventstore.Store {
	tb.Helper()
	store, err := eventstore.Open(tb.Context(), l, eventstore.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return store
}

// grow appends n events that say what they are.
func (l *tape) grow(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		p := eventstore.Position(len(l.events) + 1)
		uuid := l.lineage.At(p)
		l.events = append(l.events, eventstore.Event{
			Stream: eventstore.Stream{Category: "thing", ID: fmt.Sprint(p % 5)}, Position: p, Type: "Happened",
			Data: fmt.Appendf(nil, "%d of %x", p, uuid[:1]), Time: time.UnixMilli(int64(p)).UTC(),
		})
	}
}

// feed is the log as its service hands it out: what is there now.
func (l *tape) feed() *broker.Feed {
	return &broker.Feed{Head: l.Head, Events: l.since}
}

// since returns the events after a position, as decode does.
func (l *tape) since(ctx context.Context, after eventstore.Position) iter.Seq2[eventstore.Event, error] {
	return func(yield func(eventstore.Event, error) bool) {
		events, _ := l.ReadAll(ctx, after, 1<<30)
		for _, e := range events {
			if !yield(eventstore.Event{Position: e.Position, Data: e.Data}, nil) {
				return
			}
		}
		<-ctx.Done()
		yield(eventstore.Event{}, ctx.Err())
	}
}

// said is what the events of the log say.
func (l *tape) said() (all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		all = append(all, string(e.Data))
	}
	return all
}

// render writes an event as a record, in the shortest way.
func render(e *eventstore.Event, lineage eventstore.Lineage) (broker.Record, error) {
	headers, _ := broker.Stamp(nil, nil, e.Position, lineage)
	return broker.Record{Key: []byte(e.Stream.ID), Value: e.Data, Time: e.Time, Headers: headers}, nil
}

// errUnreadable is what decode returns for "?".
var errUnreadable = errors.New("nobody can read this")

// decode is the inverse of render.
func decode(r *broker.Record) (broker.Message, error) {
	if string(r.Value) == "?" {
		return broker.Message{}, errUnreadable
	}
	return broker.Message{Events: []eventstore.Event{{Data: r.Value}}, About: string(r.Key)}, nil
}

// heard is a read side that remembers what it was told, in order, again and again
// included.
type heard struct {
	mu   sync.Mutex
	said []string
}

// Apply implements [projection.Projection].
func (h *heard) Apply(_ context.Context, events []eventstore.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range events {
		h.said = append(h.said, string(e.Data))
	}
	return nil
}

// all returns what was said so far.
func (h *heard) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.said)
}

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
