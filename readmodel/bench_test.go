package readmodel_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

// withoutIndexes is a view whose rows are found by primary key alone.
type withoutIndexes struct{ eventstore.View }

// Tables implements eventstore.View.
func (v withoutIndexes) Tables() []eventstore.Table {
	tables := v.View.Tables()
	for i := range tables {
		tables[i].Indexes = nil
	}
	return tables
}

// both routes the events of one log to the two views.
type both struct{ users, friends eventstore.View }

// Tables implements eventstore.View.
func (b both) Tables() []eventstore.Table { return append(b.users.Tables(), b.friends.Tables()...) }

// Rows implements eventstore.View.
func (b both) Rows(e eventstore.Event) ([]eventstore.Row, error) {
	if e.Stream.Category == user.Category {
		return b.users.Rows(e)
	}
	return b.friends.Rows(e)
}

// command makes one write of the workload: 10 % people, 90 % random friendships.
func benchCommand(b *testing.B, keys user.Keys, n int64, rnd *rand.Rand) eventstore.Write {
	if n%10 == 0 {
		e, err := user.Encode(keys, user.Created{FirstName: "Ada", LastName: "Lovelace", Key: n})
		if err != nil {
			b.Error(err)
		}
		return eventstore.Write{Stream: eventstore.Stream{Category: user.Category}, Events: []eventstore.NewEvent{e}}
	}
	by, to := rnd.Int64N(1e6)+1, rnd.Int64N(1e6)+1_000_002
	e, err := friend.Encode(friend.Added{By: by, To: to})
	if err != nil {
		b.Error(err)
	}
	return eventstore.Write{Stream: friend.Stream(by, to), Expected: eventstore.Any, Events: []eventstore.NewEvent{e}}
}

// BenchmarkCommit measures commits of 256 clients, with ever more of the read
// model in them, against one commit for each command.
func BenchmarkCommit(b *testing.B) {
	keys := &plainKeys{}
	views := both{readmodel.UsersView(keys), readmodel.FriendView()}
	for _, c := range []struct {
		name  string
		views []eventstore.View
	}{
		{"primary-keys", []eventstore.View{withoutIndexes{views}}},
		{"friends-by-person", []eventstore.View{views}},
	} {
		for _, grouped := range []bool{true, false} {
			how := map[bool]string{true: "group", false: "commit-per-command"}[grouped]
			b.Run(c.name+"/"+how, func(b *testing.B) { benchCommits(b, keys, c.views, grouped) })
		}
	}
}

func benchCommits(b *testing.B, keys user.Keys, views []eventstore.View, grouped bool) {
	ctx := context.Background()
	path := filepath.Join(b.TempDir(), "bench.db")
	log, err := sqlite.Open(ctx, path, sqlite.Options{Views: views})
	if err != nil {
		b.Fatal(err)
	}
	var commits atomic.Int64
	store, err := eventstore.Open(ctx, log, eventstore.Options{OnCommit: func(int, time.Duration) { commits.Add(1) }})
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var mu sync.Mutex
	var group sync.WaitGroup
	b.ResetTimer()
	for client := range 256 {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(client)))
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				w := benchCommand(b, keys, n, rnd)
				if !grouped {
					mu.Lock()
				}
				if _, err := store.Append(ctx, w); err != nil {
					b.Error(err)
				}
				if !grouped {
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	b.ReportMetric(float64(commits.Load())/float64(b.N), "flushes/event")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	if info, err := os.Stat(path); err == nil {
		b.ReportMetric(float64(info.Size())/float64(b.N), "bytes/event")
	}
}

// BenchmarkFind finds one person by id: what every command asks about the people in
// it.
func BenchmarkFind(b *testing.B) {
	ctx := b.Context()
	keys := &plainKeys{}
	log, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{Views: []eventstore.View{readmodel.UsersView(keys)}})
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	writes := make([]eventstore.Write, 1000)
	for i := range writes {
		writes[i] = benchCommand(b, keys, 10, rnd) // every tenth is a person
	}
	if _, err := log.Commit(ctx, writes); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		rows, err := log.Select(ctx, eventstore.Select{Table: "users", Column: "id", Equals: rnd.Int64N(1000) + 1, Limit: 1})
		if err != nil || len(rows) != 1 {
			b.Fatal(rows, err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
}
