package graph

import (
	"cmp"
	"math"
	"slices"
)

// Query says which candidates are wanted. The zero Query means all of them.
type Query struct {
	Limit     int    // at most so many; <= 0: all
	MinWeight int    // only who shares at least so many known friends
	After     Ranked // only who ranks behind; the zero Ranked: from the best on
}

// Recommend is [Graph.Rank] for all candidates, up to a limit; limit <= 0 means
// all of them.
func (g *Graph) Recommend(dst []Ranked, user int64, limit int) ([]Ranked, error) {
	return g.Rank(dst, user, Query{Limit: limit})
}

// Rank appends to dst the people whom a user might befriend, the best first: by
// how many known friends they share with the user, then by id. Left out are the
// user, their friends in either direction, and everybody who is not there. For a
// user who is not there the list is empty.
//
// It allocates nothing if dst has room; the error is always nil here and leaves
// room for backends that can fail.
func (g *Graph) Rank(dst []Ranked, user int64, q Query) ([]Ranked, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n, ok := g.find(user)
	if !ok {
		return dst, nil
	}
	c := g.counter()
	defer g.scratch.Put(c)
	defer c.reset()
	me := &g.people[n]
	for _, e := range me.friends {
		if friend := &g.people[e.number()]; friend.presence == known {
			c.count(friend.friends)
		}
	}
	c.clear(n)
	for _, e := range me.friends {
		c.clear(e.number())
	}
	q.MinWeight = max(q.MinWeight, 1) // who shares nobody is no candidate
	if q.After == (Ranked{}) {
		q.After.Weight = math.MaxInt
	}
	if q.Limit <= 0 {
		return g.rankAll(dst, c, q), nil
	}
	return g.rankBest(dst, c, q), nil
}

// rankAll appends every candidate, sorted.
func (g *Graph) rankAll(dst []Ranked, c *counter, q Query) []Ranked {
	start := len(dst)
	for _, n := range c.touched {
		weight := int(c.counts[n])
		if weight < q.MinWeight || weight > q.After.Weight || g.people[n].presence != known {
			continue
		}
		candidate := Ranked{ID: g.people[n].id, Weight: weight}
		if weight < q.After.Weight || candidate.ID > q.After.ID {
			dst = append(dst, candidate)
		}
	}
	slices.SortFunc(dst[start:], compare)
	return dst
}

// rankBest appends the best candidates, sorted. It keeps them in a heap whose root
// is the worst of them, so that most candidates cost one comparison: with floor,
// the least weight that can still get in.
func (g *Graph) rankBest(dst []Ranked, c *counter, q Query) []Ranked {
	start, floor := len(dst), q.MinWeight
	for _, n := range c.touched {
		weight := int(c.counts[n])
		if weight < floor || weight > q.After.Weight || g.people[n].presence != known {
			continue
		}
		candidate := Ranked{ID: g.people[n].id, Weight: weight}
		if weight == q.After.Weight && candidate.ID <= q.After.ID {
			continue
		}
		heap := dst[start:]
		switch {
		case len(heap) < q.Limit:
			dst = append(dst, candidate)
			siftUp(dst[start:])
		case compare(candidate, heap[0]) < 0:
			heap[0] = candidate
			siftDown(heap)
		}
		if heap = dst[start:]; len(heap) == q.Limit {
			floor = heap[0].Weight
		}
	}
	slices.SortFunc(dst[start:], compare)
	return dst
}

// compare puts the better candidate first.
func compare(a, b Ranked) int {
	if a.Weight != b.Weight {
		return cmp.Compare(b.Weight, a.Weight)
	}
	return cmp.Compare(a.ID, b.ID)
}

// siftUp moves the last element of a heap to its place.
func siftUp(h []Ranked) {
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if compare(h[i], h[parent]) <= 0 {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

// siftDown moves the root of a heap to its place.
func siftDown(h []Ranked) {
	for i := 0; ; {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(h); child++ {
			if compare(h[child], h[worst]) > 0 {
				worst = child
			}
		}
		if worst == i {
			return
		}
		h[i], h[worst] = h[worst], h[i]
		i = worst
	}
}

// counter counts how often people turn up. Between queries all counts are 0.
type counter struct {
	counts  []uint32 // by number; nobody has 2^32 friends
	touched []uint32 // numbers with a count, each once
}

// counter returns one with room for everybody.
func (g *Graph) counter() *counter {
	c, ok := g.scratch.Get().(*counter)
	if !ok {
		c = &counter{}
	}
	if missing := len(g.people) - len(c.counts); missing > 0 {
		c.counts = append(c.counts, make([]uint32, missing)...)
	}
	return c
}

// count counts everybody in a list once more.
func (c *counter) count(list []entry) {
	for _, e := range list {
		n := e.number()
		if c.counts[n] == 0 {
			c.touched = append(c.touched, n)
		}
		c.counts[n]++
	}
}

// clear takes somebody out of the count.
func (c *counter) clear(n uint32) { c.counts[n] = 0 }

// reset makes all counts 0 again, at the cost of those that are not.
func (c *counter) reset() {
	for _, n := range c.touched {
		c.counts[n] = 0
	}
	c.touched = c.touched[:0]
}
