package graph

import "math/bits"

// Blocks are counted in units of eight entries, half a cache line; slabs are of 4 MiB.
const (
	unit       = 8
	slabBits   = 17
	slabSize   = 1 << slabBits        // units
	maxSlabs   = 1 << (32 - slabBits) // as many as a word can name: 128 GiB
	classes    = (30-3)*4 + 1         // of blocks up to MaxPeople entries
	huge       = 2 << 20              // bytes of a huge page
	firstSlab  = unit * 128           // entries, so that small graphs stay small
	secondSlab = slabSize * unit / 16
	fullSlab   = slabSize * unit
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

// word says all of a person's list: the block, the presence, the length.
type word uint64

const lengthBits = 30

func list(block uint32, p presence, length int) word {
	return word(block)<<32 | word(p)<<lengthBits | word(length)
}

func (w word) block() uint32           { return uint32(w >> 32) }
func (w word) presence() presence      { return presence(w >> lengthBits & 3) }
func (w word) length() int             { return int(w & (1<<lengthBits - 1)) }
func (w word) with(p presence) word    { return w&^(3<<lengthBits) | word(p)<<lengthBits }
func (w word) holding(length int) word { return w&^(1<<lengthBits-1) | word(length) }

// units returns how large the block of a list of some length is: sizes keep three
// significant bits, so each is at most a quarter above the one before.
func units(length int) int {
	u := (length + unit - 1) / unit
	if u <= 8 {
		return u
	}
	shift := bits.Len(uint(u-1)) - 3
	return ((u-1)>>shift + 1) << shift
}

// classOf numbers the sizes that units returns.
func classOf(units int) int {
	shift := max(0, bits.Len(uint(units-1))-3)
	return shift<<2 + units>>shift
}

// list returns the entries of a list.
func (t *tables) list(w word) []entry {
	length := w.length()
	if length == 0 {
		return nil
	}
	return t.entries(w.block(), length)
}

// entries returns the first entries of a block.
func (t *tables) entries(block uint32, n int) []entry {
	slab, start := int(block>>slabBits), int(block&(slabSize-1))*unit
	slabs := t.slabs
	if slab >= len(slabs) {
		slabs = t.newest.Load().slabs // the word is younger than these tables
	}
	return slabs[slab][start : start+n : start+n]
}

// memory gives out blocks and takes them back. It is the writer's alone.
type memory struct {
	next, end uint32                // units never given out, of the newest chunk
	free      [classes + 4][]uint32 // blocks by class
	retired   []retired             // in the order of epochs
	oldest    int                   // index of the first that is not free yet
	reserved  int64                 // bytes of all slabs
	limit     int                   // slabs
}

// retired is a block that readers who began in an epoch may still look at.
type retired struct {
	epoch uint64
	block uint32
	class uint8
}

// take returns a block for a list of some length, ErrFull if there is no room.
func (g *Graph) take(length int) (uint32, error) {
	m, size := &g.memory, units(length)
	if size == 0 {
		return 0, nil
	}
	class := classOf(size)
	if last := len(m.free[class]) - 1; last >= 0 {
		block := m.free[class][last]
		m.free[class] = m.free[class][:last]
		return block, nil
	}
	if int(m.end-m.next) < size {
		m.cut()
		if err := g.addChunk(size); err != nil {
			return 0, err
		}
	}
	block := m.next
	m.next += uint32(size)
	return block, nil
}

// give takes back a block that nobody has seen.
func (m *memory) give(block uint32, length int) {
	if length > 0 {
		class := classOf(units(length))
		m.free[class] = append(m.free[class], block)
	}
}

// cut makes free blocks of what is left of a chunk.
func (m *memory) cut() {
	for left := int(m.end - m.next); left > 0; left = int(m.end - m.next) {
		size := left
		if shift := bits.Len(uint(left)) - 3; shift > 0 {
			size = left >> shift << shift
		}
		m.free[classOf(size)] = append(m.free[classOf(size)], m.next)
		m.next += uint32(size)
	}
}

// addChunk adds slabs with room for a block. A chunk is a sixteenth of what there is,
// of one piece: huge pages need room, and blocks can be larger than a slab.
func (g *Graph) addChunk(size int) error {
	m, t := &g.memory, *g.tables.Load()
	first := len(t.slabs)
	entries := []int{firstSlab, secondSlab, fullSlab}[min(first, 2)]
	count := max((size+slabSize-1)/slabSize, min(first/16, m.limit-first), 1)
	if size*unit > entries || count > 1 {
		entries = count * fullSlab
	}
	if first+count > m.limit {
		return ErrFull
	}
	chunk := makeHuge[entry](entries)
	t.slabs = append(make([][]entry, 0, first+count), t.slabs...)
	for i := range count {
		t.slabs = append(t.slabs, chunk[i*fullSlab:])
	}
	m.next = uint32(first << slabBits)
	m.end = m.next + uint32(entries/unit)
	m.reserved += int64(entries) * 4
	g.publish(&t)
	return nil
}

// retire lets a block be reused once nobody can see it anymore.
func (m *memory) retire(epoch uint64, w word) {
	if n := w.length(); n > 0 {
		m.retired = append(m.retired, retired{epoch, w.block(), uint8(classOf(units(n)))})
	}
}

// reclaim frees the blocks that were retired before an epoch.
func (m *memory) reclaim(before uint64) {
	for ; m.oldest < len(m.retired) && m.retired[m.oldest].epoch < before; m.oldest++ {
		r := m.retired[m.oldest]
		m.free[r.class] = append(m.free[r.class], r.block)
	}
	if m.oldest > len(m.retired)/2 { // moving the rest costs less than what was freed
		m.retired = m.retired[:copy(m.retired, m.retired[m.oldest:])]
		m.oldest = 0
	}
}
