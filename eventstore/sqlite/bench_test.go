package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/bench"
)

// fill fills a new log with as many commands as the benchmark asks for.
func fill(b *testing.B, f bench.Fill) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.db")
	f.N = b.N
	filled, err := f.Into(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/filled.Took.Seconds(), "commands/s")
	return path
}

func BenchmarkAppend(b *testing.B) {
	for _, clients := range []int{1, 256} {
		for name, alone := range map[string]bool{"group": false, "commit-per-command": true} {
			b.Run(fmt.Sprintf("%s/clients=%d", name, clients), func(b *testing.B) {
				fill(b, bench.Fill{Clients: clients, Alone: alone, Command: bench.Raw})
			})
		}
	}
}

// BenchmarkOneClient measures each command of a client that is alone, through the
// committer and straight at the driver in the same run, by turns, so that both meet the
// same disk.
func BenchmarkOneClient(b *testing.B) {
	ours, theirs, err := bench.ByTurns(b.Context(), b.TempDir(), b.N)
	if err != nil {
		b.Fatal(err)
	}
	for name, took := range map[string][]time.Duration{"": ours, "baseline-": theirs} {
		slices.Sort(took)
		for _, percent := range []int{50, 99} {
			b.ReportMetric(float64(took[(len(took)-1)*percent/100].Microseconds())/1000, fmt.Sprintf("%sp%d-ms", name, percent))
		}
	}
}

func BenchmarkReplay(b *testing.B) {
	path := fill(b, bench.Fill{Clients: 256, Command: bench.Raw})
	log, err := sqlite.Open(b.Context(), path, sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	store, err := eventstore.Open(b.Context(), log, eventstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	took, err := bench.Replay(b.Context(), store, b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/took.Seconds(), "events/s")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSelect finds one row of a view by its key: what every command asks about
// the people in it.
func BenchmarkSelect(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bench.db")
	views := []eventstore.View{bench.NewViews(true)}
	if _, err := (bench.Fill{Views: views, Clients: 64, N: 10_000, Command: bench.Domain}).Into(b.Context(), path); err != nil {
		b.Fatal(err)
	}
	log, err := sqlite.Open(b.Context(), path, sqlite.Options{Views: views})
	if err != nil {
		b.Fatal(err)
	}
	i := int64(0)
	for b.Loop() {
		i = i%1000 + 1
		rows, err := log.Select(b.Context(), eventstore.Select{Table: "users", Column: "id", Equals: i, Limit: 1})
		if err != nil || len(rows) != 1 {
			b.Fatal(rows, err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}
