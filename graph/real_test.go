package graph

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// plain is a second way to the same answers: sorted slices, a counter for each
// person, a full sort. It shares no code with the graph.
type plain struct {
	lists   [][]int32 // by id, ascending
	counter []int32
	ranked  []Ranked // of the last question
	got     []Ranked // the graph's answer to it
}

func newPlain(people int, pairs [][2]int64) *plain {
	p := &plain{lists: make([][]int32, people+1), counter: make([]int32, people+1)}
	for _, pair := range pairs {
		a, b := int32(pair[0]), int32(pair[1])
		p.lists[a] = append(p.lists[a], b)
		p.lists[b] = append(p.lists[b], a)
	}
	for _, list := range p.lists {
		slices.Sort(list)
	}
	return p
}

// recommend returns everybody at two steps, ranked. The answer is good until the
// next question.
func (p *plain) recommend(id int) []Ranked {
	clear(p.counter)
	ranked := p.ranked[:0]
	for _, friend := range p.lists[id] {
		for _, other := range p.lists[friend] {
			p.counter[other]++
		}
	}
	p.counter[id] = 0
	for _, friend := range p.lists[id] {
		p.counter[friend] = 0
	}
	for other, weight := range p.counter {
		if weight > 0 {
			ranked = append(ranked, Ranked{int64(other), int(weight)})
		}
	}
	slices.SortFunc(ranked, func(a, b Ranked) int {
		if a.Weight != b.Weight {
			return cmp.Compare(b.Weight, a.Weight)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	p.ranked = ranked
	return ranked
}

// mutual merges two sorted lists.
func (p *plain) mutual(a, b int) (ids []int64) {
	x, y := p.lists[a], p.lists[b]
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] < y[0]:
			x = x[1:]
		case x[0] > y[0]:
			y = y[1:]
		default:
			ids = append(ids, int64(x[0]))
			x, y = x[1:], y[1:]
		}
	}
	return ids
}

// stride says which people are compared: everybody, but under the race detector,
// which is thirty times slower, every fiftieth.
func stride() int {
	if raceEnabled {
		return 50
	}
	return 1
}

// TestRealNetworksAnswerAsBruteForceDoes: for every person of the three networks
// all recommendations, the first ten, and the mutual friends of a sample of them.
func TestRealNetworksAnswerAsBruteForceDoes(t *testing.T) {
	for _, r := range realGraphs() {
		t.Run(r.name, func(t *testing.T) {
			g, pairs := r.build(t)
			if s := g.Stats(); s.People != r.people || s.Friendships != r.friendships || s.Stubs != 0 {
				t.Fatalf("%+v, want %d people and %d friendships", s, r.people, r.friendships)
			}
			var group sync.WaitGroup
			workers := runtime.GOMAXPROCS(0)
			for w := range workers {
				group.Go(func() {
					p := newPlain(r.people, pairs)
					rnd := rand.New(rand.NewPCG(1, uint64(w)))
					for id := 1 + w; id <= r.people && !t.Failed(); id += workers * stride() {
						p.check(t, g, id, rnd)
					}
				})
			}
			group.Wait()
		})
	}
}

// check compares everything about one person.
func (p *plain) check(t *testing.T, g *Graph, id int, rnd *rand.Rand) {
	want := p.recommend(id)
	p.got, _ = g.Recommend(p.got[:0], int64(id), 0)
	if !slices.Equal(p.got, want) {
		t.Errorf("all of %d: got %d, want %d candidates", id, len(p.got), len(want))
	}
	if got := recommend(t, g, int64(id), 10); !slices.Equal(got, want[:min(10, len(want))]) {
		t.Errorf("the first ten of %d: got %v, want %v", id, got, want[:min(10, len(want))])
	}
	for range min(5, len(want)) {
		other := want[rnd.IntN(len(want))]
		got := mutual(t, g, int64(id), other.ID)
		if !slices.Equal(got, p.mutual(id, int(other.ID))) || len(got) != other.Weight {
			t.Errorf("mutual of %d and %d: %v, weight %d", id, other.ID, got, other.Weight)
		}
	}
}
