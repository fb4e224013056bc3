package sqlite

import (
	"iter"
	"math/bits"
)

// heads is where each stream ends, by the hash of its name: a hash table without
// pointers, 16 bytes a slot, at most three quarters full. The zero heads is empty. It
// belongs to whoever holds the index.
//
// Slots lie in the order of their hashes, nearly, whatever the size of the table is. So a
// table that was written slot by slot is read back from its beginning to its end, not all
// over the memory: a start with five million streams takes a tenth of what a map takes.
//
//	hash ──► its first 8 bits: part ──► the others, times the size: slot ──► the next free one
//
// The parts grow one by one, each for itself, so that no commit waits for millions of
// streams to be moved.
type heads struct {
	parts [1 << partBits]headPart
	count int
}

const (
	partBits   = 8
	leastSlots = 8
)

// headPart is the streams whose hashes begin alike.
type headPart struct {
	slots []headSlot
	count int
}

// headSlot is where one stream ends. No tail is 0, so 0 marks an empty slot.
type headSlot struct {
	hash uint64
	tail tail
}

// reserve makes room for n streams in an empty table.
func (h *heads) reserve(n uint64) {
	each := n>>partBits + n>>(partBits+5) // hashes are not quite even: 3 % more
	for i := range h.parts {
		h.parts[i].slots = make([]headSlot, each/3*4+leastSlots)
	}
}

// find returns where the stream with a hash ends.
func (h *heads) find(hash uint64) (tail, bool) {
	p := &h.parts[hash>>(64-partBits)]
	if len(p.slots) == 0 {
		return 0, false
	}
	t := p.place(hash).tail
	return t, t != 0
}

// put notes where the stream with a hash ends, which must not be 0.
func (h *heads) put(hash uint64, t tail) {
	p := &h.parts[hash>>(64-partBits)]
	if p.count >= len(p.slots)/4*3 {
		p.grow()
	}
	s := p.place(hash)
	if s.tail == 0 {
		p.count++
		h.count++
	}
	*s = headSlot{hash, t}
}

// all returns all streams in the order of their slots.
func (h *heads) all() iter.Seq2[uint64, tail] {
	return func(yield func(uint64, tail) bool) {
		for i := range h.parts {
			for _, s := range h.parts[i].slots {
				if s.tail != 0 && !yield(s.hash, s.tail) {
					return
				}
			}
		}
	}
}

// place returns the slot of a hash, or the empty one where it belongs. There is always an
// empty one.
func (p *headPart) place(hash uint64) *headSlot {
	first, _ := bits.Mul64(hash<<partBits, uint64(len(p.slots)))
	for at := first; ; at++ {
		if at == uint64(len(p.slots)) {
			at = 0
		}
		if s := &p.slots[at]; s.tail == 0 || s.hash == hash {
			return s
		}
	}
}

// grow makes room for half as many again.
func (p *headPart) grow() {
	before := p.slots
	p.slots = make([]headSlot, max(leastSlots, len(before)+len(before)/2))
	for _, s := range before {
		if s.tail != 0 {
			*p.place(s.hash) = s
		}
	}
}
