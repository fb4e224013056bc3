package sqlite

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ensemble/eventstore"
)

// BenchmarkCommandsDuringARebuild measures how long commands take while the views
// of a log of 200,000 events are rebuilt, and without, in the same run. Both have
// 16 clients that send one command after the other.
func BenchmarkCommandsDuringARebuild(b *testing.B) {
	for b.Loop() {
		log, store := openLarge(b, 200_000)
		stop := make(chan struct{})
		with := make(chan []time.Duration, 1)
		go func() { with <- latencies(b, store, stop) }()
		start := time.Now()
		if _, err := log.Rebuild(b.Context(), eventstore.Rebuild{Between: store.Between}); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		close(stop)
		during := <-with
		stop = make(chan struct{})
		time.AfterFunc(took, func() { close(stop) })
		without := latencies(b, store, stop)
		for name, l := range map[string][]time.Duration{"during": during, "without": without} {
			slices.Sort(l)
			b.ReportMetric(float64(l[len(l)/2].Microseconds())/1000, "p50-ms-"+name)
			b.ReportMetric(float64(l[len(l)*99/100].Microseconds())/1000, "p99-ms-"+name)
			b.ReportMetric(float64(len(l))/took.Seconds(), "commands/s-"+name)
		}
		b.ReportMetric(took.Seconds(), "s-rebuild")
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// openLarge returns a log with so many events.
func openLarge(b *testing.B, events int) (*Log, *eventstore.Store) {
	b.Helper()
	one := int64(1)
	log, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), Options{Views: []eventstore.View{tally{&one}, wide{}}})
	if err != nil {
		b.Fatal(err)
	}
	for n := 0; n < events; n += eventstore.MaxBatch {
		batch := make([]eventstore.Write, eventstore.MaxBatch)
		for i := range batch {
			batch[i] = thing()
		}
		if _, err := log.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	store, err := eventstore.Open(b.Context(), log, eventstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return log, store
}

// latencies sends commands until stop is closed and returns how long each took.
func latencies(b *testing.B, store *eventstore.Store, stop <-chan struct{}) (all []time.Duration) {
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range 16 {
		clients.Go(func() {
			var own []time.Duration
			for {
				select {
				case <-stop:
					mu.Lock()
					defer mu.Unlock()
					all = append(all, own...)
					return
				default:
				}
				start := time.Now()
				if _, err := store.Append(context.Background(), thing()); err != nil {
					b.Error(err)
					return
				}
				own = append(own, time.Since(start))
			}
		})
	}
	clients.Wait()
	return all
}
