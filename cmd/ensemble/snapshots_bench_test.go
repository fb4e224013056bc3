package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// BenchmarkRestart measures a start until the graph holds all that is in the logs: from a
// snapshot, and from the logs alone, on the same folder. "logs-s" is what opening the logs
// took of it, "snapshot-s" what reading the snapshot took.
//
//	ENSEMBLE_RESTART_PEOPLE=1000000 go test -run '^$' -bench Restart -benchtime 3x -timeout 1h ./cmd/ensemble
//
// makes a million people and five million friendships first, which takes some minutes;
// with ENSEMBLE_RESTART=DIR they are kept in that folder, and found there the next time.
func BenchmarkRestart(b *testing.B) {
	people := 20_000
	if n := os.Getenv("ENSEMBLE_RESTART_PEOPLE"); n != "" {
		if _, err := fmt.Sscan(n, &people); err != nil {
			b.Fatal(err)
		}
	}
	data := os.Getenv("ENSEMBLE_RESTART")
	if data == "" {
		data = filepath.Join(b.TempDir(), "data")
	}
	if _, err := os.Stat(data); err != nil {
		begun := time.Now()
		populate(b, data, int64(people), 5*people)
		b.Logf("%d people and %d friendships recorded in %v", people, 5*people, time.Since(begun).Round(time.Second))
	}
	for _, from := range []string{"logs", "snapshot"} {
		b.Run(from, func(b *testing.B) {
			var logs, snapshot time.Duration
			for b.Loop() {
				if from == "logs" {
					b.StopTimer()
					if err := os.RemoveAll(filepath.Join(data, snapshotDir)); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				restart(b, data, &logs, &snapshot)
			}
			b.ReportMetric(logs.Seconds()/float64(b.N), "logs-s/op")
			b.ReportMetric(snapshot.Seconds()/float64(b.N), "snapshot-s/op")
		})
	}
	if info, err := os.Stat(filepath.Join(data, snapshotDir, "1.snapshot")); err == nil {
		b.Logf("a snapshot has %s", mebi(info.Size()))
	}
}

// restart starts a system until it is ready, with the timer on, and stops it.
func restart(b *testing.B, data string, logs, snapshot *time.Duration) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	s := newSystem(discardLog())
	begun := time.Now()
	if err := s.openStores(ctx, data); err != nil {
		b.Fatal(err)
	}
	*logs += time.Since(begun)
	if err := s.wire(ctx, data); err != nil {
		b.Fatal(err)
	}
	*snapshot += s.snapshots.took
	err := s.run(ctx, nil, func(context.Context) error {
		b.StopTimer()
		cancel()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
	b.StartTimer()
}

// populate records people and random friendships, many at a time.
func populate(b *testing.B, data string, people int64, friendships int) {
	b.Helper()
	s, err := openSystem(b.Context(), data, discardLog())
	if err != nil {
		b.Fatal(err)
	}
	commands := user.NewService(s.userStore, s.storage.keys)
	inParallel(b, int(people), func(int, *rand.Rand) error {
		_, err := commands.Create(b.Context(), "Ada Augusta", "King-Noel", nil)
		return err
	})
	inParallel(b, friendships, func(_ int, rnd *rand.Rand) error {
		e := friend.Added{By: 1 + rnd.Int64N(people), To: 1 + rnd.Int64N(people)}
		if e.By == e.To {
			return nil
		}
		stored, err := friend.Encode(e)
		if err != nil {
			return err
		}
		_, err = s.friendStore.Append(b.Context(), eventstore.Write{
			Stream: friend.Stream(e.By, e.To), Expected: eventstore.Any, Events: []eventstore.NewEvent{stored},
		})
		return err
	})
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
}

// inParallel calls fn n times from many goroutines, so that commits are large.
func inParallel(b *testing.B, n int, fn func(i int, rnd *rand.Rand) error) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	for w := range 512 {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(w)))
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := fn(int(i), rnd); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
