package graph

import "slices"

// Friends appends to dst the known friends of a user in either direction,
// ascending. For a user who is not there the list is empty.
func (g *Graph) Friends(dst []int64, user int64) ([]int64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n, ok := g.find(user)
	if !ok {
		return dst, nil
	}
	start := len(dst)
	for _, e := range g.people[n].friends {
		if p := &g.people[e.number()]; p.presence == known {
			dst = append(dst, p.id)
		}
	}
	slices.Sort(dst[start:])
	return dst, nil
}

// Mutual appends to dst the known friends that two users share, ascending. The
// list is empty if they are one person, or one of them is not there.
func (g *Graph) Mutual(dst []int64, a, b int64) ([]int64, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	m, ok := g.find(a)
	n, also := g.find(b)
	if !ok || !also || a == b {
		return dst, nil
	}
	c := g.counter()
	defer g.scratch.Put(c)
	defer c.reset()
	short, long := g.people[m].friends, g.people[n].friends
	if len(short) > len(long) {
		short, long = long, short
	}
	c.count(short)
	start := len(dst)
	for _, e := range long {
		if p := &g.people[e.number()]; c.counts[e.number()] > 0 && p.presence == known {
			dst = append(dst, p.id)
		}
	}
	slices.Sort(dst[start:])
	return dst, nil
}

// Stats says how large a graph is.
type Stats struct {
	People      int   // who are there
	Stubs       int   // who were heard of, but not added yet
	Erased      int   // who were removed
	Friendships int   // pairs connected in at least one direction, whoever they are
	Bytes       int64 // of the lists and the tables of people, about
}

// Stats returns how large the graph is.
func (g *Graph) Stats() Stats {
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := Stats{
		People: g.counts[known], Stubs: g.counts[unknown], Erased: g.counts[erased], Friendships: g.halves / 2,
	}
	const perPerson, perEntry = 40 + 24, 4 // the struct, and a slot of the map
	s.Bytes = int64(cap(g.people)) * perPerson
	for i := range g.people {
		s.Bytes += int64(cap(g.people[i].friends)) * perEntry
	}
	return s
}
