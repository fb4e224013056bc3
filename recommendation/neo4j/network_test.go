package neo4j_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/friend"
	"ensemble/internal/loadgen"
	"ensemble/internal/servertest"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/recommendation/neo4j"
)

// facebook fills backends with a real network, 4,039 people and 88,234 friendships, as a
// projection does: a thousand events at a time.
func facebook(tb testing.TB, backends ...recommendation.Backend) (crowd int64) {
	tb.Helper()
	network, err := loadgen.Demo()
	if err != nil {
		tb.Fatal(err)
	}
	crowd = int64(len(network.People))
	var friendships []recommendation.Friendship
	for i, p := range network.Friendships {
		friendships = append(friendships, friendship(int64(i+1), friend.Added{By: int64(p[0] + 1), To: int64(p[1] + 1)}))
	}
	for _, b := range backends {
		for some := range slices.Chunk(people(crowd), 1000) {
			if err := b.ApplyUsers(tb.Context(), some); err != nil {
				tb.Fatal(err)
			}
		}
		for some := range slices.Chunk(friendships, 1000) {
			if err := b.ApplyFriends(tb.Context(), some); err != nil {
				tb.Fatal(err)
			}
		}
	}
	return crowd
}

// list asks for recommendations and writes them down, names, times and explanations too.
func list(tb testing.TB, b recommendation.Backend, id int64, q recommendation.Query) string {
	tb.Helper()
	var text strings.Builder
	for c, err := range b.Recommend(tb.Context(), id, q) {
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintln(&text, c.User.User, c.Weight, c.Shared)
	}
	return text.String()
}

// TestARealNetworkIsAnsweredAsFromMemory: whole lists of some, the best of more, with their
// explanations, and whom pairs share.
func TestARealNetworkIsAnsweredAsFromMemory(t *testing.T) {
	got, want := open(t), memory.New()
	crowd := facebook(t, got, want)
	for id := int64(1); id <= crowd; id += 201 {
		query := recommendation.Query{Limit: 20, Explain: true, MinWeight: 2}
		if id%5 == 0 {
			query = recommendation.Query{}
		}
		if g, w := list(t, got, id, query), list(t, want, id, query); g != w {
			t.Fatalf("recommend %d: got\n%s\nwant\n%s", id, g, w)
		}
		shared := func(b recommendation.Backend) (all []string) {
			for u, err := range b.Mutual(t.Context(), id, id%crowd+1, 0) {
				all = append(all, fmt.Sprint(u.User, err))
			}
			return all
		}
		if g, w := shared(got), shared(want); !slices.Equal(g, w) {
			t.Fatalf("mutual friends of %d and %d: got %v, want %v", id, id%crowd+1, g, w)
		}
	}
}

// BenchmarkRecommend asks a real network for ten recommendations: from memory and from
// Neo4j, the same person of each, and compares the answers. It needs ENSEMBLE_NEO4J.
func BenchmarkRecommend(b *testing.B) {
	theirs, err := neo4j.Open(b.Context(), neo4j.Config{URL: servertest.Neo4j(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = theirs.Close(context.Background()) }()
	if err := theirs.Empty(b.Context()); err != nil {
		b.Fatal(err)
	}
	ours := memory.New()
	crowd := facebook(b, ours, theirs)
	query := recommendation.Query{Limit: 10}
	for id := int64(1); id <= 200; id++ {
		list(b, theirs, id, query) // warm
	}
	var times [2][]time.Duration
	id := int64(0)
	for b.Loop() {
		id = (id*31+17)%crowd + 1
		began := time.Now()
		want := list(b, ours, id, query)
		between := time.Now()
		got := list(b, theirs, id, query)
		times[0], times[1] = append(times[0], between.Sub(began)), append(times[1], time.Since(between))
		if got != want {
			b.Fatal(errors.New("void: the answers differ"))
		}
	}
	b.ReportMetric(0, "ns/op") // of both together it says nothing
	var mean [2]float64
	for i, name := range []string{"memory", "neo4j"} {
		slices.Sort(times[i])
		b.ReportMetric(float64(times[i][len(times[i])/2].Nanoseconds())/1e3, "µs-p50-"+name)
		b.ReportMetric(float64(times[i][len(times[i])*99/100].Nanoseconds())/1e3, "µs-p99-"+name)
		for _, d := range times[i] {
			mean[i] += d.Seconds() / float64(len(times[i]))
		}
	}
	b.ReportMetric(mean[1]/mean[0], "x-neo4j")
}
