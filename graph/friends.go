package graph

import "slices"

// Friends appends to dst the known friends of a user in either direction,
// ascending. For a user who is not there the list is empty.
func (g *Graph) Friends(dst []int64, user int64) ([]int64, error) {
	r := g.readers.enter()
	defer r.leave()
	t := g.tables.Load()
	_, w, ok := t.find(user)
	if !ok {
		return dst, nil
	}
	start := len(dst)
	for _, e := range t.list(w) {
		dst = t.appendKnown(dst, e.number())
	}
	slices.Sort(dst[start:])
	return dst, nil
}

// Mutual appends to dst the known friends that two users share, ascending. The
// list is empty if they are one person, or one of them is not there.
func (g *Graph) Mutual(dst []int64, a, b int64) ([]int64, error) {
	r := g.readers.enter()
	defer r.leave()
	t := g.tables.Load()
	_, w, ok := t.find(a)
	_, v, also := t.find(b)
	if !ok || !also || a == b {
		return dst, nil
	}
	short, long := t.list(w), t.list(v)
	if len(short) > len(long) {
		short, long = long, short
	}
	start := len(dst)
	for _, n := range r.narrow.both(len(t.people), short, long) {
		dst = t.appendKnown(dst, n)
	}
	slices.Sort(dst[start:])
	return dst, nil
}

// appendKnown appends the id of somebody who is there.
func (t *tables) appendKnown(dst []int64, n uint32) []int64 {
	if t.word(n).presence() == known {
		return append(dst, t.people[n].id)
	}
	return dst
}

// both returns who is in both lists: it marks those of the short one, and looks for
// marks along the long one.
func (c *counter[T]) both(people int, short, long []entry) []uint32 {
	c.reserve(people)
	if int(c.base) == c.most() {
		clear(c.counts)
		c.base = 0
	}
	c.base++
	mark := c.base
	for _, e := range short {
		c.counts[e.number()] = mark
	}
	c.makeRoom(len(short) + 1)
	counts, room, n := c.counts, c.room, 0
	for _, e := range long {
		x := e.number()
		room[n] = x
		if counts[x] == mark {
			n++
		}
	}
	return room[:n]
}
