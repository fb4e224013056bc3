package graph_test

import (
	"math/rand/v2"
	"testing"

	"ensemble/graph"
	"ensemble/internal/bench"
)

const benchPeople = 20_000

// build returns a graph made of changes.
func build(b *testing.B, changes []graph.Change) *graph.Graph {
	b.Helper()
	g := graph.New()
	if _, err := g.Apply(changes); err != nil {
		b.Fatal(err)
	}
	return g
}

func BenchmarkBuild(b *testing.B) {
	changes := bench.Changes(benchPeople, bench.Generated(benchPeople))
	b.ResetTimer()
	for b.Loop() {
		build(b, changes)
	}
	b.ReportMetric(float64(len(changes))*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}

func BenchmarkRecommend(b *testing.B) {
	pairs := bench.Generated(benchPeople)
	g := build(b, bench.Changes(benchPeople, pairs))
	p := bench.NewPlainGraph(benchPeople, pairs)
	for name, query := range map[string]func(id int64){
		"graph-10":  func(id int64) { _, _ = g.Recommend(nil, id, 10) },
		"graph-all": func(id int64) { _, _ = g.Recommend(nil, id, 0) },
		"plain-10":  func(id int64) { p.Recommend(id, 10) },
		"plain-all": func(id int64) { p.Recommend(id, 0) },
		"reading":   func(id int64) { p.Read(id) },
		"mutual":    func(id int64) { _, _ = g.Mutual(nil, id, id%benchPeople+1) },
	} {
		b.Run(name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(3, 4))
			for b.Loop() {
				query(rnd.Int64N(benchPeople) + 1)
			}
		})
	}
}
