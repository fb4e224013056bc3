package graph

import (
	"math"
	"math/rand/v2"
	"testing"
)

// generated returns friendships with lognormal degrees of a mean of 100, at most
// 5,000, ids permuted.
func generated(people int) (pairs [][2]int64) {
	rnd := rand.New(rand.NewPCG(1, 2))
	ids := rnd.Perm(people)
	for i := range people {
		degree := min(int(math.Exp(rnd.NormFloat64()+3.41)), 2_500, people/2)
		for range degree {
			if j := rnd.IntN(people); j != i {
				pairs = append(pairs, [2]int64{int64(ids[i]) + 1, int64(ids[j]) + 1})
			}
		}
	}
	return pairs
}

func changesOf(people int, pairs [][2]int64) []Change {
	changes := make([]Change, 0, people+len(pairs))
	for id := range int64(people) {
		changes = append(changes, Change{Kind: AddUser, From: id + 1})
	}
	for _, p := range pairs {
		changes = append(changes, Change{Kind: Connect, From: p[0], To: p[1]})
	}
	return changes
}

const benchPeople = 20_000

func BenchmarkBuild(b *testing.B) {
	changes := changesOf(benchPeople, generated(benchPeople))
	b.ResetTimer()
	for b.Loop() {
		must(b, New(), changes...)
	}
	b.ReportMetric(float64(len(changes))*float64(b.N)/b.Elapsed().Seconds(), "changes/s")
}

func BenchmarkRecommend(b *testing.B) {
	pairs := generated(benchPeople)
	g := New()
	must(b, g, changesOf(benchPeople, pairs)...)
	p := newPlain(benchPeople, pairs)
	for name, query := range map[string]func(id int64){
		"graph-10":  func(id int64) { _, _ = g.Recommend(nil, id, 10) },
		"graph-all": func(id int64) { _, _ = g.Recommend(nil, id, 0) },
		"plain-all": func(id int64) { p.recommend(int(id)) },
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
