package bench

import (
	"cmp"
	"slices"

	"ensemble/graph"
)

// Lists are the friends of everybody, one list behind the other, as compact as they
// can be: to read them is the least that an exact answer takes. Where the system
// gives them, they are in huge pages, as those of the graph are.
type Lists struct {
	begins []int // by id, and the end
	all    []int32
}

// NewLists returns the lists of some people, ascending, each friend once.
func NewLists(people int, pairs [][2]int32) *Lists {
	l := &Lists{begins: make([]int, people+2), all: make([]int32, 2*len(pairs))}
	hugePages(l.all) // before they are written to
	for _, p := range pairs {
		l.begins[p[0]]++
		l.begins[p[1]]++
	}
	// From how many each has to where each ends; filling moves that to where it begins.
	end := 0
	for id, n := range l.begins {
		end += n
		l.begins[id] = end
	}
	for _, p := range pairs { // each list from its end to its beginning
		a, b := p[0], p[1]
		l.begins[a]--
		l.begins[b]--
		l.all[l.begins[a]], l.all[l.begins[b]] = b, a
	}
	l.tidy()
	return l
}

// tidy sorts the lists and leaves out who is in one twice.
func (l *Lists) tidy() {
	end := 0
	for id := range len(l.begins) - 1 {
		list := l.all[l.begins[id]:l.begins[id+1]]
		slices.Sort(list)
		l.begins[id] = end
		end += copy(l.all[end:], slices.Compact(list))
	}
	l.begins[len(l.begins)-1] = end
	l.all = l.all[:end]
}

// Of returns the friends of somebody, ascending.
func (l *Lists) Of(id int64) []int32 { return l.all[l.begins[id]:l.begins[id+1]] }

// Friends says whether two people are.
func (l *Lists) Friends(a, b int64) bool {
	_, found := slices.BinarySearch(l.Of(a), int32(b))
	return found
}

// Paths returns over how many ways of two friendships a recommendation is counted:
// how long the lists of all friends are together.
func (l *Lists) Paths(id int64) (n int) {
	for _, friend := range l.Of(id) {
		n += len(l.Of(int64(friend)))
	}
	return n
}

// Read reads every list that a recommendation is counted over and returns the sum of
// what is in them. No exact answer is faster than that.
func (l *Lists) Read(id int64) (sum int32) {
	for _, friend := range l.Of(id) {
		for _, other := range l.Of(int64(friend)) {
			sum += other
		}
	}
	return sum
}

// PlainGraph answers as a program would that was written in an afternoon: sorted
// lists of friends, a counter for each person, and a heap or a full sort. It shares
// no code with package graph. It is for one goroutine.
type PlainGraph struct {
	lists   [][]int32 // by id, ascending
	counter []int32
	touched []int32
	ranked  []graph.Ranked
	mutual  []int64
}

// NewPlainGraph returns the network of those lists, which it copies.
func NewPlainGraph(l *Lists) *PlainGraph {
	people := len(l.begins) - 1
	p := &PlainGraph{lists: make([][]int32, people), counter: make([]int32, people)}
	all := slices.Clone(l.all)
	for id := range p.lists {
		p.lists[id] = all[l.begins[id]:l.begins[id+1]]
	}
	return p
}

// Recommend returns the best candidates, all of them if limit is 0. The answer is
// good until the next question.
func (p *PlainGraph) Recommend(id int64, limit int) []graph.Ranked {
	// Count how often everybody is a friend of a friend, and remember whom to clear.
	p.touched, p.ranked = p.touched[:0], p.ranked[:0]
	for _, friend := range p.lists[id] {
		for _, other := range p.lists[friend] {
			if p.counter[other] == 0 {
				p.touched = append(p.touched, other)
			}
			p.counter[other]++
		}
	}
	// The asker and their friends are no candidates.
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

// keep adds a candidate. With a limit the best are kept, in a heap with the worst of
// them at its root.
func (p *PlainGraph) keep(r graph.Ranked, limit int) {
	switch {
	case limit == 0:
		p.ranked = append(p.ranked, r)
	case len(p.ranked) < limit:
		p.ranked = append(p.ranked, r)
		if len(p.ranked) == limit { // worst first is a heap
			slices.SortFunc(p.ranked, func(a, b graph.Ranked) int { return better(b, a) })
		}
	case better(r, p.ranked[0]) < 0:
		p.ranked[0] = r
		sink(p.ranked)
	}
}

// sink moves the root of a heap to its place.
func sink(heap []graph.Ranked) {
	for i := 0; ; {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if better(heap[child], heap[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		heap[i], heap[worst] = heap[worst], heap[i]
		i = worst
	}
}

// better puts the better candidate first.
func better(a, b graph.Ranked) int {
	return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ID, b.ID))
}

// Mutual returns the friends that two people share. The answer is good until the
// next question.
func (p *PlainGraph) Mutual(a, b int64) []int64 {
	x, y := p.lists[a], p.lists[b]
	p.mutual = p.mutual[:0]
	for len(x) > 0 && len(y) > 0 {
		switch {
		case x[0] < y[0]:
			x = x[1:]
		case x[0] > y[0]:
			y = y[1:]
		default:
			p.mutual = append(p.mutual, int64(x[0]))
			x, y = x[1:], y[1:]
		}
	}
	return p.mutual
}
