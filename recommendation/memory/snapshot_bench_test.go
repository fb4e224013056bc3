package memory_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"ensemble/decider"
	"ensemble/internal/keyring"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// BenchmarkSnapshot measures what people cost in a snapshot, friendships left out: each
// of them has a key to be unwrapped. "in the open" is the same without keys.
func BenchmarkSnapshot(b *testing.B) {
	const people = 100_000
	ring, err := keyring.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer ring.Close()
	backend := memory.New()
	all := make([]recommendation.Person, people)
	for i := range all {
		key, err := ring.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		all[i] = recommendation.Person{ID: int64(i + 1), Event: decider.Recorded[user.Event]{
			Event: user.Created{FirstName: "Ada Augusta", LastName: "King-Noel", Key: key}, Number: int64(i + 1), Time: time.Unix(int64(i), 0),
		}}
	}
	if err := backend.ApplyUsers(b.Context(), all); err != nil {
		b.Fatal(err)
	}
	for name, keys := range map[string]func() user.Keys{
		"sealed": ring.InOrder, "in the open": func() user.Keys { return memory.OpenKeys{} },
	} {
		var file bytes.Buffer
		b.Run(name+"/write", func(b *testing.B) {
			for b.Loop() {
				if err := backend.WriteSnapshot(io.Discard, nil, keys()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/people, "ns/person")
		})
		if err := backend.WriteSnapshot(&file, nil, keys()); err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/read", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := memory.ReadSnapshot(bytes.NewReader(file.Bytes()), int64(file.Len()), keys); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/people, "ns/person")
			b.ReportMetric(float64(file.Len())/people, "B/person")
		})
	}
}
