// Package graph knows who is connected to whom, and answers in microseconds whom
// somebody might befriend. It lives in memory and imports nothing of ours.
//
// It guarantees that
//
//   - answers are exact: nothing is precomputed, sampled or cut off,
//   - the same changes lead to the same graph, however often each is repeated and
//     however those of different pairs are mixed, as long as each pair's own
//     changes keep their order; connections may come before their people,
//   - only people that were added and not removed count and appear,
//   - a query sees the graph between two calls of Apply.
//
// # How it works
//
// People are numbered densely in the order in which they are first heard of. The
// connections of each are a list of numbers, unsorted: appending is cheaper than
// sorting, and a query counts instead of merging. Each entry carries two bits, one
// for each direction, so that the same connection asked for from both sides is one
// connection, and a repeated change changes nothing:
//
//	 31                    2   1   0
//	+------------------------+---+---+
//	|  number of the other   | in|out|
//	+------------------------+---+---+
//
// A recommendation walks the lists of all friends and counts how often everybody
// turns up there. Who turns up twice has two mutual friends. A bounded heap keeps
// the best.
package graph

import (
	"errors"
	"fmt"
	"sync"
)

// MaxPeople is how many people a graph holds.
const MaxPeople = 1 << 30

// The reasons for which Apply refuses a change.
var (
	ErrID   = errors.New("a person's id has to be at least 1")
	ErrFull = errors.New("the graph holds as many people as it can")
)

// Kind says what a change does.
type Kind uint8

// The kinds of changes.
const (
	Connect    Kind = iota // From connects to To
	Disconnect             // takes back From's connecting to To
	AddUser                // From is there
	RemoveUser             // From is gone for ever
)

// Change is one step of the graph's history.
type Change struct {
	Kind     Kind
	From, To int64
}

// Ranked is a candidate and how many friends they share with the asker.
type Ranked struct {
	ID     int64
	Weight int
}

// Graph is the graph. Queries may run concurrently with each other and with
// Apply; Apply is for one goroutine at a time.
type Graph struct {
	mu      sync.RWMutex
	numbers map[int64]uint32 // of people, by id
	people  []person         // by number
	halves  int              // entries in all lists
	scratch sync.Pool        // *counter
	counts  [erased + 1]int  // people by presence
}

// person is what the graph knows of somebody.
type person struct {
	id       int64
	presence presence
	friends  []entry
}

// presence says whether a person is there.
type presence uint8

const (
	unknown presence = iota // heard of, not added yet
	known
	erased // removed, for ever
)

// entry is one connection in a list: the number of the other, and directions.
type entry uint32

const (
	out       entry = 1 // the owner of the list connected
	in        entry = 2 // the other connected
	bothWays        = out | in
	entryBits       = 2
)

// number returns who the entry leads to.
func (e entry) number() uint32 { return uint32(e >> entryBits) }

// New returns an empty graph.
func New() *Graph { return &Graph{numbers: map[int64]uint32{}} }

// Apply makes changes in order and returns how many of them changed anything. At
// the first one that can't be made it stops; those before it are made.
//
// Errors: [ErrID], [ErrFull].
func (g *Graph) Apply(changes []Change) (changed int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range changes {
		did, err := g.apply(&changes[i])
		if err != nil {
			return changed, fmt.Errorf("change %d: %w", i, err)
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

// apply makes one change and says whether it changed anything.
func (g *Graph) apply(c *Change) (bool, error) {
	from, err := g.number(c.From)
	if err != nil {
		return false, err
	}
	switch c.Kind {
	case AddUser:
		return g.setPresence(from, known), nil
	case RemoveUser:
		return g.setPresence(from, erased), nil
	case Connect, Disconnect:
		to, err := g.number(c.To)
		if err != nil || from == to {
			return false, err
		}
		if c.Kind == Connect {
			return g.connect(from, to), nil
		}
		return g.disconnect(from, to), nil
	}
	return false, fmt.Errorf("unknown kind of change %d", c.Kind)
}

// number returns the number of a person, who gets one if they have none.
func (g *Graph) number(id int64) (uint32, error) {
	if n, ok := g.numbers[id]; ok {
		return n, nil
	}
	if id < 1 {
		return 0, fmt.Errorf("%w: %d", ErrID, id)
	}
	if len(g.people) >= MaxPeople {
		return 0, ErrFull
	}
	n := uint32(len(g.people))
	g.numbers[id] = n
	g.people = append(g.people, person{id: id})
	g.counts[unknown]++
	return n, nil
}

// setPresence moves a person on; there is no way back from erased.
func (g *Graph) setPresence(n uint32, to presence) bool {
	p := &g.people[n]
	if p.presence >= to {
		return false
	}
	g.counts[p.presence]--
	g.counts[to]++
	p.presence = to
	return true
}

// connect sets the direction bit from → to, in both lists.
func (g *Graph) connect(from, to uint32) bool {
	a, b := &g.people[from], &g.people[to]
	i, j, found := locate(a, b, from, to)
	if !found {
		a.friends = append(a.friends, entry(to)<<entryBits|out)
		b.friends = append(b.friends, entry(from)<<entryBits|in)
		g.halves += 2
		return true
	}
	if a.friends[i]&out != 0 {
		return false
	}
	a.friends[i] |= out
	b.friends[j] |= in
	return true
}

// disconnect clears the direction bit from → to; without any the two are
// strangers.
func (g *Graph) disconnect(from, to uint32) bool {
	a, b := &g.people[from], &g.people[to]
	i, j, found := locate(a, b, from, to)
	if !found || a.friends[i]&out == 0 {
		return false
	}
	if a.friends[i]&bothWays == bothWays {
		a.friends[i] &^= out
		b.friends[j] &^= in
		return true
	}
	a.friends = cut(a.friends, i)
	b.friends = cut(b.friends, j)
	g.halves -= 2
	return true
}

// locate finds the entries of two people in each other's list. It looks through
// the shorter list first: mostly there is nothing to find.
func locate(a, b *person, from, to uint32) (i, j int, found bool) {
	if len(a.friends) <= len(b.friends) {
		if i = index(a.friends, to); i < 0 {
			return 0, 0, false
		}
		return i, index(b.friends, from), true
	}
	if j = index(b.friends, from); j < 0 {
		return 0, 0, false
	}
	return index(a.friends, to), j, true
}

// index returns where somebody is in a list, -1 if nowhere.
func index(list []entry, n uint32) int {
	for i, e := range list {
		if e.number() == n {
			return i
		}
	}
	return -1
}

// cut removes an entry from an unsorted list.
func cut(list []entry, i int) []entry {
	last := len(list) - 1
	list[i] = list[last]
	return list[:last]
}

// find returns a person who is there.
func (g *Graph) find(id int64) (n uint32, ok bool) {
	n, ok = g.numbers[id]
	return n, ok && g.people[n].presence == known
}
