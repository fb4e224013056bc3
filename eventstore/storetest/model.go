package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// yield lets other goroutines run.
func yield() { runtime.Gosched() }

// model is the contract by brute force: slices and maps, no cleverness.
type model struct {
	events []string // "stream@version #number data"
	length map[eventstore.Stream]eventstore.Version
	number int64
	keys   map[byte]bool
}

// append says what a write comes to.
func (m *model) append(w eventstore.Write) (events int, refused bool) {
	if w.Key != nil && m.keys[w.Key.Hash[0]] {
		return 0, false
	}
	stream := w.Stream
	if stream.ID == "" {
		stream.ID = fmt.Sprint(m.number + 1)
	}
	if w.Expected != eventstore.Any && w.Expected != m.length[stream] {
		return 0, true
	}
	for _, e := range w.Events {
		number := int64(0)
		if e.Number == eventstore.NextNumber {
			m.number++
			number = m.number
		}
		m.length[stream]++
		m.events = append(m.events, fmt.Sprintf("%s@%d #%d %s", stream, m.length[stream], number, e.Data))
	}
	if w.Key != nil {
		m.keys[w.Key.Hash[0]] = true
	}
	return len(w.Events), false
}

// drawWrite makes up a write that often collides with others.
func drawWrite(t *rapid.T) eventstore.Write {
	w := eventstore.Write{Stream: on(rapid.SampledFrom([]string{"a", "b", "c", ""}).Draw(t, "stream"))}
	n := rapid.IntRange(1, 3).Draw(t, "events")
	for i := range n {
		e := event(fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "data")))
		if rapid.Bool().Draw(t, "numbered") || i == 0 && w.Stream.ID == "" {
			e.Number = eventstore.NextNumber
		}
		w.Events = append(w.Events, e)
	}
	if w.Stream.ID != "" {
		w.Expected = eventstore.Version(rapid.IntRange(-1, 6).Draw(t, "expected"))
	}
	if rapid.IntRange(0, 3).Draw(t, "keyed") == 0 {
		w.Key = key(byte(rapid.IntRange(1, 5).Draw(t, "key")), 1)
	}
	return w
}

func testModel(t *testing.T, d Driver) {
	t.Run("random batches end as brute force says", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			l := d.open(t, Options{})
			m := &model{length: map[eventstore.Stream]eventstore.Version{}, keys: map[byte]bool{}}
			for range rapid.IntRange(1, 8).Draw(rt, "batches") {
				batch := rapid.SliceOfN(rapid.Custom(drawWrite), 1, 6).Draw(rt, "batch")
				for i, r := range l.commit(batch...) {
					events, refused := m.append(batch[i])
					_, conflict := errors.AsType[*eventstore.ConflictError](r.Err)
					if conflict != refused || (r.Previous == nil) != (events > 0 || refused) {
						rt.Fatalf("write %+v: got %+v, want %d events, refused %v", batch[i], r, events, refused)
					}
				}
			}
			for i, e := range l.all() {
				got := fmt.Sprintf("%s@%d #%d %s", e.Stream, e.Version, e.Number, e.Data)
				if i >= len(m.events) || got != m.events[i] {
					rt.Fatalf("event %d is %s, the model has %v", i, got, m.events)
				}
			}
			if h := l.head(); int(h.Position) != len(m.events) {
				rt.Fatalf("the head is %d, the model has %d events", h.Position, len(m.events))
			}
		})
	})
}
