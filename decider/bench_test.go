package decider_test

import (
	"strconv"
	"testing"

	"ensemble/decider"
	"ensemble/eventstore"
)

func BenchmarkHandler(b *testing.B) {
	b.Run("by-hand", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			_ = byHand(account(strconv.Itoa(i)), 5)
		}
	})
	b.Run("decide-encode-fold", func(b *testing.B) {
		b.ReportAllocs()
		d, c := decider.Decider[balance, change, change]{Decide: decide, Evolve: evolve}, codec()
		for i := range b.N {
			stream := account(strconv.Itoa(i))
			events, err := d.Decide(balance{}, 5)
			if err != nil {
				b.Fatal(err)
			}
			w := eventstore.Write{Stream: stream, Events: make([]eventstore.NewEvent, len(events))}
			state := balance{}
			for j, e := range events {
				if w.Events[j], err = c.Encode(e); err != nil {
					b.Fatal(err)
				}
				state = d.Evolve(state, decider.Recorded[change]{Event: e})
			}
			_, _ = w, state
		}
	})
}

// byHand is the write without any of the abstractions.
func byHand(stream eventstore.Stream, amount int64) eventstore.Write {
	return eventstore.Write{Stream: stream, Events: []eventstore.NewEvent{
		{Type: "Changed", Data: strconv.AppendInt(nil, amount, 10)},
	}}
}
