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
// It allocates nothing if dst has room and as large an answer was given before; the
// error is always nil here and leaves room for backends that can fail.
func (g *Graph) Rank(dst []Ranked, user int64, q Query) ([]Ranked, error) {
	r := g.readers.enter()
	defer r.leave()
	t := g.tables.Load()
	n, w, ok := t.find(user)
	if !ok {
		return dst, nil
	}
	q.MinWeight = max(q.MinWeight, 1) // who shares nobody is no candidate
	if q.After == (Ranked{}) {
		q.After.Weight = math.MaxInt
	}
	mine := t.list(w)
	if len(mine) <= r.narrow.most() {
		return r.narrow.rank(g, dst, t, n, mine, q), nil
	}
	return r.wide.rank(g, dst, t, n, mine, q), nil
}

// rank answers a query of somebody with a list of friends.
func (c *counter[T]) rank(g *Graph, dst []Ranked, t *tables, me uint32, mine []entry, q Query) []Ranked {
	if !c.countFriends(g, t, me, mine, q) {
		return dst // nobody can share that many
	}
	start := len(dst)
	dst, full := c.finish(dst, me, mine)
	if !full {
		c.steady = true
		c.countFriends(g, t, me, mine, q)
		dst, _ = c.finish(dst[:start], me, mine)
		c.steady = false
	}
	return dst
}

// countFriends counts the lists of all friends, if that can lead to an answer.
func (c *counter[T]) countFriends(g *Graph, t *tables, me uint32, mine []entry, q Query) bool {
	c.gather(t, mine)
	if q.MinWeight > len(c.friends) {
		return false
	}
	c.begin(t, q)
	c.exclude(me, mine)
	if c.paths >= g.apart && c.paths/4 >= len(t.people) {
		c.countApart(g)
	} else {
		c.countAll(t)
	}
	c.settle()
	return true
}

// finish appends the answer and makes all counts 0 again. The answer is not full if
// somebody for whom the floor was raised is gone since then.
func (c *counter[T]) finish(dst []Ranked, me uint32, mine []entry) (all []Ranked, full bool) {
	start := len(dst)
	dst = c.answer(dst)
	c.end(me, mine)
	return dst, !c.raised || len(dst)-start >= c.query.Limit
}

// answer appends who is wanted of those found.
func (c *counter[T]) answer(dst []Ranked) []Ranked {
	start := len(dst)
	const few = 64 // keeping more in a heap costs more than sorting
	if c.query.Limit <= 0 || c.query.Limit > few {
		dst = c.sorted(dst)
		if c.query.Limit > 0 {
			dst = dst[:min(len(dst), start+c.query.Limit)]
		}
		return dst
	}
	for _, n := range c.found {
		weight := c.weight(n)
		if weight < c.floor {
			continue
		}
		candidate, ok := c.candidate(n, weight)
		if !ok {
			continue
		}
		dst = keep(dst, start, candidate, c.query.Limit)
		if len(dst)-start == c.query.Limit {
			c.floor = max(c.floor, dst[start].Weight)
		}
	}
	slices.SortFunc(dst[start:], compare)
	return dst
}

// candidate returns who somebody is, if they are there and rank behind what is known.
func (c *counter[T]) candidate(n uint32, weight int) (Ranked, bool) {
	if weight > c.query.After.Weight || c.tables.word(n).presence() != known {
		return Ranked{}, false
	}
	r := Ranked{ID: c.tables.people[n].id, Weight: weight}
	return r, weight < c.query.After.Weight || r.ID > c.query.After.ID
}

// keep puts a candidate into a heap of the best, which begins at start; its root is the
// worst of them.
func keep(dst []Ranked, start int, candidate Ranked, limit int) []Ranked {
	heap := dst[start:]
	if len(heap) < limit {
		dst = append(dst, candidate)
		siftUp(dst[start:])
	} else if compare(candidate, heap[0]) < 0 {
		heap[0] = candidate
		siftDown(heap)
	}
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
