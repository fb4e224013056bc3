package graph_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ensemble/graph"
	"ensemble/internal/bench"
)

// The benchmarks of this file ask the questions of 'ensemble bench graph', which
// prints them as a table with their baselines. They are for a closer look at one of
// them, with -cpuprofile, -count and benchstat:
//
//	go test -run '^$' -bench 'Best/k100' -cpuprofile cpu.pprof ./graph
//
// k100 has 100,000 people and five million friendships. m1, a million people and
// fifty million friendships, takes a minute to make and 2 GB, and is there only when
// it is asked for: ENSEMBLE_BENCH=m1.

// towns are the networks, each made when it is first needed.
var towns = map[string]func() (*bench.Town, error){
	"k100": sync.OnceValues(func() (*bench.Town, error) { return bench.NewTown(context.Background(), 100_000) }),
	"m1":   sync.OnceValues(func() (*bench.Town, error) { return bench.NewTown(context.Background(), 1_000_000) }),
}

// eachTown runs a benchmark on each network that is wanted.
func eachTown(b *testing.B, measure func(b *testing.B, t *bench.Town)) {
	b.Helper()
	wanted := []string{"k100"}
	if os.Getenv("ENSEMBLE_BENCH") == "m1" {
		wanted = append(wanted, "m1")
	}
	for _, name := range wanted {
		b.Run(name, func(b *testing.B) {
			t, err := towns[name]()
			if err != nil {
				b.Fatal(err)
			}
			measure(b, t)
		})
	}
}

// ask asks one question after the other, each about somebody else, and returns how
// long each answer took.
func ask(b *testing.B, t *bench.Town, question func(id int64)) []time.Duration {
	b.Helper()
	somebody := t.Somebody(3)
	times := make([]time.Duration, 0, 1<<20)
	question(1) // makes room for answers
	b.ReportAllocs()
	for b.Loop() {
		id := somebody()
		began := time.Now()
		question(id)
		times = append(times, time.Since(began))
	}
	percentiles(b, slices.Clone(times), "")
	return times
}

// walk is ask for a question that is counted over paths.
func walk(b *testing.B, t *bench.Town, question func(id int64)) {
	b.Helper()
	var all time.Duration
	times := ask(b, t, question)
	for _, d := range times {
		all += d
	}
	b.ReportMetric(float64(t.Paths(3, len(times)))/all.Seconds()/1e9, "Gpaths/s")
}

// percentiles reports the median and the 99th percentile.
func percentiles(b *testing.B, times []time.Duration, of string) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "µs-p50"+of)
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "µs-p99"+of)
}

// BenchmarkBest asks for the ten best candidates, and reads the lists only.
func BenchmarkBest(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		q := t.Best(10)
		b.Run("graph", func(b *testing.B) { walk(b, t, q.Graph) })
		b.Run("plain", func(b *testing.B) { walk(b, t, q.Plain) })
		b.Run("reading", func(b *testing.B) {
			var sum int32
			walk(b, t, func(id int64) { sum += t.Lists.Read(id) })
			if sum == 42 { // who knows: so that it has to be read
				b.Log(sum)
			}
		})
	})
}

// BenchmarkAll asks for all candidates, ranked.
func BenchmarkAll(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		q := t.Best(0)
		b.Run("graph", func(b *testing.B) { walk(b, t, q.Graph) })
		b.Run("plain", func(b *testing.B) { walk(b, t, q.Plain) })
	})
}

// BenchmarkMutual asks for the friends that two people share.
func BenchmarkMutual(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		q := t.Mutual()
		b.Run("graph", func(b *testing.B) { ask(b, t, q.Graph) })
		b.Run("plain", func(b *testing.B) { ask(b, t, q.Plain) })
	})
}

// BenchmarkTogether asks for the ten best from as many goroutines as there are
// cores (-cpu).
func BenchmarkTogether(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		var seeds sync.Mutex
		seed := uint64(0)
		b.RunParallel(func(pb *testing.PB) {
			seeds.Lock()
			seed++
			question, somebody := t.Best(10).Graph, t.Somebody(seed)
			seeds.Unlock()
			for pb.Next() {
				question(somebody())
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "queries/s")
	})
}

// BenchmarkBuild builds the graph from its changes, friendships in random order.
func BenchmarkBuild(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		var s graph.Stats
		var applying time.Duration
		for b.Loop() {
			g := graph.New()
			if err := t.Network.Changes(func(part []graph.Change) error {
				began := time.Now()
				_, err := g.Apply(part)
				applying += time.Since(began)
				return err
			}); err != nil {
				b.Fatal(err)
			}
			s = g.Stats()
		}
		b.ReportMetric(float64(s.People+s.Friendships)*float64(b.N)/applying.Seconds()/1e6, "Mchanges/s")
		b.ReportMetric(float64(s.Bytes-40*int64(s.People))/float64(s.Friendships), "B/friendship")
	})
}

// BenchmarkReaders asks for the ten best by turns while nobody writes and while a
// million mixed changes a second are applied.
func BenchmarkReaders(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		w := &bench.Writer{Graph: t.Graph, Changes: t.Mixed(1_000_000), Rate: 1_000_000}
		var alone, writing []time.Duration
		var written bench.Written
		for b.Loop() {
			r, err := t.Readers(b.Context(), w, 1, 1_000)
			if err != nil {
				b.Fatal(err)
			}
			alone, writing = append(alone, r.Alone...), append(writing, r.Writing...)
			written.Changes += r.Written.Changes
			written.Took += r.Written.Took
		}
		percentiles(b, alone, "-alone")
		percentiles(b, writing, "-writing")
		b.ReportMetric(float64(written.Changes)/written.Took.Seconds()/1e6, "Mchanges/s")
	})
}

// BenchmarkSnapshot writes the graph to a file, and reads it.
func BenchmarkSnapshot(b *testing.B) {
	eachTown(b, func(b *testing.B, t *bench.Town) {
		path := filepath.Join(b.TempDir(), "graph")
		b.Run("write", func(b *testing.B) {
			for b.Loop() {
				file, err := os.Create(path)
				if err != nil {
					b.Fatal(err)
				}
				if err := t.Graph.WriteSnapshot(file, nil); err != nil {
					b.Fatal(err)
				}
				if err := file.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(size(b, path))
		})
		b.Run("read", func(b *testing.B) {
			b.SetBytes(size(b, path))
			for b.Loop() {
				file, err := os.Open(path)
				if err != nil {
					b.Fatal(err)
				}
				if _, _, err := graph.ReadSnapshot(io.NewSectionReader(file, 0, size(b, path))); err != nil {
					b.Fatal(err)
				}
				if err := file.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// size returns how many bytes a file has.
func size(b *testing.B, path string) int64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Skip("there is no snapshot: run 'write' too")
	}
	return info.Size()
}
