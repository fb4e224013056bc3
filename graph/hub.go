package graph

import (
	"runtime"
	"sync"
)

// countApart counts the lists of all friends on all cores, each with counters of its
// own, and adds these up. It pays for who has so many friends that nearly everybody is
// a friend of some of them.
func (c *counter[T]) countApart(g *Graph) {
	cores := runtime.GOMAXPROCS(0)
	places := make([]*reader, cores)
	for i := range places {
		places[i] = g.readers.enter()
		defer places[i].leave()
	}
	c.makeRoom(len(c.counts))
	share := min((len(c.friends)+cores-1)/cores, places[0].narrow.most())
	for left := c.friends; len(left) > 0; {
		var wg sync.WaitGroup
		var counted []*counter[uint16]
		for _, p := range places {
			part := left[:min(share, len(left))]
			left = left[len(part):]
			counted = append(counted, &p.narrow)
			wg.Go(func() { p.narrow.countOnly(c.tables, part) })
		}
		wg.Wait()
		for _, other := range counted {
			addUp(c, other)
		}
	}
	c.findAll()
}

// countOnly counts some lists and writes nobody down.
func (c *counter[T]) countOnly(t *tables, friends []word) {
	c.friends = append(c.friends[:0], friends...)
	c.begin(t, Query{})
	c.target = ^uint32(0)
	c.countAll(t)
}

// addUp adds what another counter has counted since it began, and ends that.
func addUp[T uint16 | uint32](c *counter[T], other *counter[uint16]) {
	base := other.base
	for n, count := range other.counts[:min(len(other.counts), len(c.counts))] {
		if count > base && c.counts[n] < c.leftOut() {
			c.counts[n] = max(c.counts[n], c.base) + T(count-base)
		}
	}
	other.base += uint16(len(other.friends))
	other.tables = nil
}

// findAll writes down whose count has reached the floor.
func (c *counter[T]) findAll() {
	c.found = c.room[:0]
	for n, count := range c.counts {
		if count < c.leftOut() && uint32(count) >= c.target {
			c.found = append(c.found, uint32(n))
		}
	}
}
