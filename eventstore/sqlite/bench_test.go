package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
)

// openBench returns a store over a fresh log.
func openBench(b *testing.B, views ...eventstore.View) *eventstore.Store {
	b.Helper()
	log, err := Open(context.Background(), filepath.Join(b.TempDir(), "bench.db"), Options{Views: views})
	if err != nil {
		b.Fatal(err)
	}
	store, err := eventstore.Open(context.Background(), log, eventstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}

// command makes the n-th write of the workload: 10 % user creations, 90 %
// random friendships, each with an idempotency key.
func command(n int64, rnd *rand.Rand, key bool) eventstore.Write {
	var w eventstore.Write
	if n%10 == 0 {
		w = eventstore.Write{
			Stream: eventstore.Stream{Category: "user"},
			Events: []eventstore.NewEvent{{
				Type: "UserCreated", Number: eventstore.NextNumber,
				Data: []byte(`{"key":` + strconv.FormatInt(n, 10) + `,"sealed":"c2VhbGVkIHNlYWxlZCBzZWFsZWQgc2VhbGVkIHNlYWxlZCBzZWFsZWQ="}`),
			}},
		}
	} else {
		by, to := rnd.Int64N(1e9), rnd.Int64N(1e9)
		w = eventstore.Write{
			Stream:   eventstore.Stream{Category: "friend", ID: fmt.Sprintf("%d:%d", min(by, to), max(by, to))},
			Expected: eventstore.NoStream,
			Events: []eventstore.NewEvent{{
				Type: "FriendAdded", Number: eventstore.NextNumber, Data: fmt.Appendf(nil, `{"by":%d,"to":%d}`, by, to),
			}},
		}
	}
	if key {
		w.Key = &eventstore.Key{}
		for i := range w.Key.Hash {
			w.Key.Hash[i] = byte(rnd.Uint32())
		}
	}
	return w
}

// appendAll appends b.N writes from that many clients.
func appendAll(b *testing.B, clients int, appendOne func(*rand.Rand, int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range clients {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(c)))
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := appendOne(rnd, n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

func BenchmarkAppend(b *testing.B) {
	ctx := context.Background()
	for _, clients := range []int{1, 256} {
		b.Run(fmt.Sprintf("group/clients=%d", clients), func(b *testing.B) {
			store := openBench(b)
			appendAll(b, clients, func(rnd *rand.Rand, n int64) error {
				_, err := store.Append(ctx, command(n, rnd, true))
				return err
			})
		})
		b.Run(fmt.Sprintf("commit-per-command/clients=%d", clients), func(b *testing.B) {
			log, err := Open(ctx, filepath.Join(b.TempDir(), "bench.db"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			var mu sync.Mutex
			appendAll(b, clients, func(rnd *rand.Rand, n int64) error {
				w := command(n, rnd, true)
				mu.Lock()
				defer mu.Unlock()
				_, err := log.Commit(ctx, []eventstore.Write{w})
				return err
			})
		})
	}
}

// BenchmarkOneClient measures each command of a client that is alone, through the
// committer and straight at the driver in the same run, by turns, so that both meet the
// same disk.
func BenchmarkOneClient(b *testing.B) {
	ctx := context.Background()
	store := openBench(b)
	log, err := Open(ctx, filepath.Join(b.TempDir(), "baseline.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	ours, theirs := make([]time.Duration, 0, b.N), make([]time.Duration, 0, b.N)
	rnd := rand.New(rand.NewPCG(1, 1))
	for n := range int64(b.N) {
		w := command(n, rnd, true)
		start := time.Now()
		if _, err := store.Append(ctx, w); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if _, err := log.Commit(ctx, []eventstore.Write{w}); err != nil {
			b.Fatal(err)
		}
		ours, theirs = append(ours, between.Sub(start)), append(theirs, time.Since(between))
	}
	for name, took := range map[string][]time.Duration{"": ours, "baseline-": theirs} {
		slices.Sort(took)
		for _, percent := range []int{50, 99} {
			b.ReportMetric(float64(took[(len(took)-1)*percent/100].Microseconds())/1000, fmt.Sprintf("%sp%d-ms", name, percent))
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	ctx := context.Background()
	store := openBench(b)
	b.StopTimer()
	appendAll(b, 256, func(rnd *rand.Rand, n int64) error {
		_, err := store.Append(ctx, command(n, rnd, true))
		return err
	})
	b.ResetTimer()
	b.StartTimer()
	n := 0
	for _, err := range store.Subscribe(ctx, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if n++; n == b.N {
			break
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
