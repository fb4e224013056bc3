package bench

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"ensemble/graph"
)

// Generated returns the friendships of a network of so many people: lognormal
// degrees of a mean of about 100, at most 5,000, ids permuted. The same in every run.
func Generated(people int) (pairs [][2]int64) {
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable on purpose
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

// Changes returns what builds a network: its people, then its friendships.
func Changes(people int, pairs [][2]int64) []graph.Change {
	changes := make([]graph.Change, 0, people+len(pairs))
	for id := range int64(people) {
		changes = append(changes, graph.Change{Kind: graph.AddUser, From: id + 1})
	}
	for _, p := range pairs {
		changes = append(changes, graph.Change{Kind: graph.Connect, From: p[0], To: p[1]})
	}
	return changes
}

// PlainGraph answers as a program would that was written in an afternoon: sorted
// lists of friends, a counter for each person, and a heap or a full sort. It shares
// no code with package graph.
type PlainGraph struct {
	lists   [][]int32 // by id, ascending
	counter []int32
	touched []int32
	ranked  []graph.Ranked
}

// NewPlainGraph returns the network of some people.
func NewPlainGraph(people int, pairs [][2]int64) *PlainGraph {
	p := &PlainGraph{lists: make([][]int32, people+1), counter: make([]int32, people+1)}
	for _, pair := range pairs {
		a, b := int32(pair[0]), int32(pair[1])
		p.lists[a] = append(p.lists[a], b)
		p.lists[b] = append(p.lists[b], a)
	}
	for i, list := range p.lists {
		slices.Sort(list)
		p.lists[i] = slices.Compact(list)
	}
	return p
}

// Recommend returns the best candidates, all of them if limit is 0. The answer is
// good until the next question.
func (p *PlainGraph) Recommend(id int64, limit int) []graph.Ranked {
	p.touched, p.ranked = p.touched[:0], p.ranked[:0]
	for _, friend := range p.lists[id] {
		for _, other := range p.lists[friend] {
			if p.counter[other] == 0 {
				p.touched = append(p.touched, other)
			}
			p.counter[other]++
		}
	}
	p.counter[id] = 0
	for _, friend := range p.lists[id] {
		p.counter[friend] = 0
	}
	for _, other := range p.touched {
		weight := int(p.counter[other])
		p.counter[other] = 0
		if weight > 0 {
			p.keep(graph.Ranked{ID: int64(other), Weight: weight}, limit)
		}
	}
	slices.SortFunc(p.ranked, better)
	return p.ranked
}

// keep adds a candidate; with a limit the best are kept in order.
func (p *PlainGraph) keep(r graph.Ranked, limit int) {
	if limit == 0 {
		p.ranked = append(p.ranked, r)
		return
	}
	if len(p.ranked) == limit {
		if better(r, p.ranked[limit-1]) > 0 {
			return
		}
		p.ranked = p.ranked[:limit-1]
	}
	at, _ := slices.BinarySearchFunc(p.ranked, r, better)
	p.ranked = slices.Insert(p.ranked, at, r)
}

// better puts the better candidate first.
func better(a, b graph.Ranked) int {
	return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ID, b.ID))
}

// Read reads every list that Recommend would count, and returns how long they are
// together: no exact answer is faster than that.
func (p *PlainGraph) Read(id int64) (paths int, all int32) {
	for _, friend := range p.lists[id] {
		list := p.lists[friend]
		paths += len(list)
		for _, other := range list {
			all += other
		}
	}
	return paths, all
}

// Mutual returns the friends that two people share.
func (p *PlainGraph) Mutual(a, b int64) (ids []int64) {
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
