package graph

import (
	"fmt"
	"math/bits"
	"sync/atomic"
)

// The sizes of the tables of an empty graph. A slot is a power of two.
const (
	firstPeople = 16
	firstSlots  = 32
)

// presence says whether a person is there.
type presence uint8

const (
	unknown presence = iota // heard of, not added yet
	known
	erased // removed, for ever
)

// person is what the graph knows of somebody: 16 bytes, mostly of one cache line.
type person struct {
	id   int64
	word uint64 // a list; changed by the writer, read by everybody, always at once
}

// tables is all that a query starts from. The writer changes words and slots in place;
// whatever has to grow is copied, and the tables are published anew. Then old ones
// stay as they are: who still reads them sees the graph as it was.
type tables struct {
	people []person  // by number; those beyond the last are zero
	slots  []uint64  // numbers by id: open addressing, linear probing
	slabs  [][]entry // where the blocks are
	newest *atomic.Pointer[tables]
}

// A slot holds 32 bits of the hash of an id, and the number plus one; 0 is empty.
const slotNumber = 1<<32 - 1

// hash spreads ids over slots: the high bits choose, the low ones are kept as a tag
// (Knuth, The Art of Computer Programming 3, 6.4: multiplying by the golden ratio).
func hash(id int64) uint64 { return uint64(id) * 0x9E3779B97F4A7C15 }

// slot returns where the search for a hash begins.
func (t *tables) slot(h uint64) int {
	return int(h >> (64 - uint(bits.TrailingZeros(uint(len(t.slots))))))
}

// number returns the number of an id, and the slot where it is or would be.
func (t *tables) number(id int64) (n uint32, slot int, ok bool) {
	h := hash(id)
	for slot = t.slot(h); ; slot = (slot + 1) & (len(t.slots) - 1) {
		s := atomic.LoadUint64(&t.slots[slot])
		if s == 0 {
			return 0, slot, false
		}
		// A number beyond the table was given after this query began.
		if n = uint32(s) - 1; s>>32 == h&slotNumber && int(n) < len(t.people) && t.people[n].id == id {
			return n, slot, true
		}
	}
}

// word returns the word of a number, as it is now.
func (t *tables) word(n uint32) word { return word(atomic.LoadUint64(&t.people[n].word)) }

// find returns a person who is there.
func (t *tables) find(id int64) (n uint32, w word, ok bool) {
	if n, _, ok = t.number(id); ok {
		w = t.word(n)
	}
	return n, w, ok && w.presence() == known
}

// publish makes tables what queries start from.
func (g *Graph) publish(t *tables) {
	g.tables.Store(t)
	g.bytes.Store(int64(len(t.people))*16 + int64(len(t.slots))*8 + g.memory.reserved)
}

// numberOf returns the number of a person, who gets one if they have none.
func (g *Graph) numberOf(id int64) (uint32, error) {
	t := g.tables.Load()
	n, slot, ok := t.number(id)
	if ok {
		return n, nil
	}
	if id < 1 {
		return 0, fmt.Errorf("%w: %d", ErrID, id)
	}
	if g.people >= g.room {
		return 0, ErrFull
	}
	if g.people == len(t.people) || g.people >= len(t.slots)/4*3 {
		t = g.grow(t)
		_, slot, _ = t.number(id)
	}
	n = uint32(g.people)
	t.people[n].id = id
	atomic.StoreUint64(&t.slots[slot], hash(id)<<32|uint64(n+1))
	g.people++
	g.counts[unknown].Add(1)
	return n, nil
}

// grow returns published tables with room for more people.
func (g *Graph) grow(old *tables) *tables {
	t := *old
	if g.people == len(t.people) {
		t.people = makeHuge[person](len(old.people) + max(firstPeople, len(old.people)/4))
		copy(t.people, old.people) // only the writer changes words, and it is here
	}
	if g.people >= len(t.slots)/4*3 {
		t.slots = makeHuge[uint64](2 * len(old.slots))
		for n := range t.people[:g.people] {
			t.insert(t.people[n].id, uint32(n))
		}
	}
	g.publish(&t)
	return &t
}

// reserve makes room for people in a graph without any: it would otherwise grow again and
// again, and copy itself each time.
func (g *Graph) reserve(people int) {
	t := *g.tables.Load()
	slots := len(t.slots)
	for people > slots/4*3 {
		slots *= 2
	}
	t.people, t.slots = makeHuge[person](max(people, len(t.people))), makeHuge[uint64](slots)
	g.publish(&t)
}

// insert puts a number into a table that nobody reads yet.
func (t *tables) insert(id int64, n uint32) {
	h := hash(id)
	slot := t.slot(h)
	for t.slots[slot] != 0 {
		slot = (slot + 1) & (len(t.slots) - 1)
	}
	t.slots[slot] = h<<32 | uint64(n+1)
}

// setPresence moves a person on; there is no way back from erased.
func (g *Graph) setPresence(t *tables, n uint32, to presence) bool {
	w := t.word(n)
	from := w.presence()
	if from >= to {
		return false
	}
	g.counts[from].Add(-1)
	g.counts[to].Add(1)
	t.set(n, w.with(to))
	return true
}

// set publishes the word of a person.
func (t *tables) set(n uint32, w word) { atomic.StoreUint64(&t.people[n].word, uint64(w)) }
