package graph

// counter counts how often people turn up. Its memory is kept from query to query.
//
// A count is above base if it is of this query; everything else counts as 0, so that
// nothing need be cleared between queries. The upper half of the numbers is for who is
// left out: they never reach the target, however often they turn up.
type counter[T uint16 | uint32] struct {
	counts []T // by number
	base   T

	tables  *tables
	query   Query
	friends []word   // the lists of known friends
	paths   int      // how many entries these have
	floor   int      // the weight that a candidate has to have
	raised  bool     // the floor is above where it began
	steady  bool     // it must not be
	target  uint32   // the count that is written down when it is reached
	found   []uint32 // everybody whose count has reached the target
	room    []uint32 // found, with what comes behind it
	enough  int      // how many may be found before the floor is looked at

	histogram []int32
	keys      []uint64
	spare     []uint64
	touched   uint64 // keeps the compiler from leaving out reads that only fill the cache
}

// chunk is how many entries are counted between two looks at how much was found.
const chunk = 1024

// leftOut is the count from which on somebody is left out.
func (c *counter[T]) leftOut() T { return ^T(0)>>1 + 1 }

// most returns how many friends can be counted.
func (c *counter[T]) most() int { return int(c.leftOut() - 1) }

// gather finds the lists of all friends who are there.
func (c *counter[T]) gather(t *tables, mine []entry) {
	c.friends, c.paths = c.friends[:0], 0
	for _, e := range mine {
		if w := t.word(e.number()); w.presence() == known {
			c.friends = append(c.friends, w)
			c.paths += w.length()
		}
	}
}

// begin makes room for everybody, with all counts 0.
func (c *counter[T]) begin(t *tables, q Query) {
	c.reserve(len(t.people))
	if int(c.base)+len(c.friends) > c.most() {
		clear(c.counts)
		c.base = 0
	}
	q.Limit = min(q.Limit, len(t.people)) // there is nobody else; sums with it don't overflow
	c.tables, c.query = t, q
	c.floor, c.raised = q.MinWeight, false
	c.target = uint32(c.base) + uint32(c.floor)
	c.found = c.room[:0]
	c.enough = 4 * q.Limit
}

// reserve makes room for the counts of some people.
func (c *counter[T]) reserve(people int) {
	if len(c.counts) < people {
		c.counts = makeHuge[T](people)
		c.base = 0
	}
}

// end makes all counts 0 again.
func (c *counter[T]) end(me uint32, mine []entry) {
	c.counts[me] = 0
	for _, e := range mine {
		c.counts[e.number()] = 0
	}
	c.base += T(len(c.friends))
	c.tables = nil
}

// exclude leaves out the asker and all friends.
func (c *counter[T]) exclude(me uint32, mine []entry) {
	c.counts[me] = c.leftOut()
	for _, e := range mine {
		c.counts[e.number()] = c.leftOut()
	}
}

// weight returns how often somebody was counted who has been found.
func (c *counter[T]) weight(n uint32) int { return int(c.counts[n] - c.base) }

// countAll counts everybody in the lists of all friends.
func (c *counter[T]) countAll(t *tables) {
	const ahead = 2 // lists that are on their way into the cache
	for i, w := range c.friends {
		var next []entry
		if i+ahead < len(c.friends) {
			next = t.list(c.friends[i+ahead])
		}
		c.countList(t.list(w), next)
	}
}

// countList counts everybody in a list once more, with another one in sight.
func (c *counter[T]) countList(list, ahead []entry) {
	for len(list) > 0 {
		part := list[:min(len(list), chunk)]
		list = list[len(part):]
		if len(c.found) > c.enough {
			c.settle()
			c.enough = max(2*len(c.found), 4*c.query.Limit)
		}
		c.makeRoom(len(c.found) + len(part))
		c.found = c.room[:c.count(part, ahead, len(c.found))]
		ahead = ahead[min(len(ahead), len(part)):]
	}
}

// makeRoom makes room for n people to be found, and for as many more.
func (c *counter[T]) makeRoom(n int) {
	if len(c.room) >= n {
		return
	}
	room := make([]uint32, max(2*n, 4*chunk))
	copy(room, c.found)
	c.room, c.found = room, room[:len(c.found)]
}

// count counts a list, writes who reaches the target behind the n already found, and
// returns how many are found then.
func (c *counter[T]) count(list, ahead []entry, n int) int {
	if narrow, ok := any(c).(*counter[uint16]); ok {
		return count16(list, ahead, narrow.counts, uint32(narrow.base), c.target, c.room, n)
	}
	return countGo(list, c.counts, c.base, c.target, c.room, n)
}

// countGo is count in Go.
func countGo[T uint16 | uint32](list []entry, counts []T, base T, target uint32, room []uint32, n int) int {
	for _, e := range list {
		x := e.number()
		count := max(uint32(counts[x]), uint32(base)) + 1
		counts[x] = T(count)
		room[n] = x
		if count == target {
			n++
		}
	}
	return n
}

// settle raises the floor to the weight that as many as are wanted have already, and
// drops who is below; they are found again if they get there.
func (c *counter[T]) settle() {
	if c.steady || c.query.Limit <= 0 || c.query.After.Weight <= len(c.friends) {
		return // nobody's place is sure before all is counted
	}
	if floor := c.reached(); floor > c.floor {
		c.floor, c.raised = floor, true
		c.target = uint32(c.base) + uint32(floor)
		kept := c.found[:0]
		for _, n := range c.found {
			if c.weight(n) >= floor {
				kept = append(kept, n)
			}
		}
		c.found = kept
	}
}

// reached returns the highest weight that as many as are wanted, and are there, have
// reached.
func (c *counter[T]) reached() int {
	size := len(c.friends) + 2
	if cap(c.histogram) < size {
		c.histogram = make([]int32, size)
	}
	h := c.histogram[:size]
	clear(h)
	for _, n := range c.found {
		if w := c.weight(n); w > c.floor && c.tables.word(n).presence() == known {
			h[min(w, size-1)]++
		}
	}
	sum := 0
	for w := size - 1; w > c.floor; w-- {
		if sum += int(h[w]); sum >= c.query.Limit {
			return w
		}
	}
	return c.floor
}
