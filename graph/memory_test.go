package graph

import (
	"cmp"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// span is some units of memory, and who has them.
type span struct {
	start, size int
	owner       string
}

// spans returns all memory as those who have it see it.
func spans(g *Graph) (all []span) {
	t, m := g.tables.Load(), &g.memory
	sizes := map[int]int{} // by class
	for length := 1; length <= MaxPeople; length = units(length)*unit + 1 {
		sizes[classOf(units(length))] = units(length)
	}
	for n := range uint32(g.people) {
		if w := t.word(n); w.length() > 0 {
			all = append(all, span{int(w.block()), units(w.length()), "a list"})
		}
	}
	for class, blocks := range m.free {
		for _, block := range blocks {
			all = append(all, span{int(block), sizes[class], "free"})
		}
	}
	for _, r := range m.retired[m.oldest:] {
		all = append(all, span{int(r.block), sizes[int(r.class)], "retired"})
	}
	all = append(all, span{int(m.next), int(m.end - m.next), "not given out"})
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.size, b.size)) })
	return all
}

// tiled makes sure that every unit of every slab belongs to exactly one list, or is
// free, retired or not yet given out, and that Stats counts the bytes of all of them.
func tiled(t anyT, g *Graph) {
	given, there := 0, 0
	tables, end := g.tables.Load(), 0
	for _, s := range spans(g) {
		if s.size > 0 && s.start < end {
			t.Fatalf("units %d to %d (%s) overlap what ends at %d", s.start, s.start+s.size, s.owner, end)
		}
		given, end = given+s.size, s.start+s.size
		if s.size == 0 {
			continue
		}
		if slab := s.start >> slabBits; (s.start&(slabSize-1)+s.size)*unit > len(tables.slabs[slab]) {
			t.Fatalf("units %d to %d (%s) leave their slab", s.start, end, s.owner)
		}
	}
	for _, slab := range tables.slabs {
		there += min(len(slab), fullSlab) / unit
	}
	if given != there {
		t.Fatalf("%d units are known of, of %d", given, there)
	}
	if got, want := g.Stats().Bytes, int64(there*unit*4+len(tables.people)*16+len(tables.slots)*8); got != want {
		t.Fatalf("stats count %d bytes, there are %d", got, want)
	}
}

func TestBlocksGrowByAtMostAQuarter(t *testing.T) {
	before, class := 0, 0
	for length := 1; length <= MaxPeople; length = before*unit + 1 {
		size := units(length)
		if size <= before || size > before+max(1, before/4) {
			t.Fatalf("a block of %d units comes after one of %d", size, before)
		}
		if got := classOf(size); got <= class || got >= len(New().memory.free) || got > 255 {
			t.Fatalf("%d units are of class %d, the class before was %d", size, got, class)
		}
		before, class = size, classOf(size)
	}
}

func TestAListFitsItsBlock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.IntRange(1, MaxPeople).Draw(t, "length")
		size := units(length)
		if size*unit < length || units(length+1) < size || units(size*unit) != size {
			t.Fatalf("%d entries get %d units, %d get %d", length, size, size*unit, units(size*unit))
		}
	})
}

func TestAWordSaysAllOfAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		block := rapid.Uint32().Draw(t, "block")
		p := presence(rapid.IntRange(0, int(erased)).Draw(t, "presence"))
		length := rapid.IntRange(0, MaxPeople-1).Draw(t, "length")
		w := list(block, p, length)
		if w.block() != block || w.presence() != p || w.length() != length {
			t.Fatalf("%x", w)
		}
		if list(block, known, 5) != w.with(known).holding(5) {
			t.Fatalf("%x becomes %x", w, w.with(known).holding(5))
		}
	})
}

// TestChunksOfAnySizeAreCutIntoBlocks: what is left of a chunk when a larger block is
// wanted is not lost.
func TestChunksOfAnySizeAreCutIntoBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := New()
		for _, length := range rapid.SliceOfN(rapid.IntRange(1, 3*fullSlab), 1, 6).Draw(t, "lengths") {
			block, err := g.take(length)
			if err != nil {
				t.Fatal(err)
			}
			// In a list's place, so that it is accounted for.
			n, _ := g.numberOf(int64(g.people + 1))
			g.tables.Load().set(n, list(block, known, length))
			if rapid.Bool().Draw(t, "grow") {
				g.memory.cut()
			}
			tiled(t, g)
		}
	})
}

// TestEverySlabThatMayBeIsUsed: also those left when a sixteenth more would be too many.
func TestEverySlabThatMayBeIsUsed(t *testing.T) {
	g := New()
	g.memory.limit = 41
	for {
		if _, err := g.take(fullSlab); err != nil {
			same(t, "slabs", len(g.tables.Load().slabs), 41)
			same(t, "the graph is full", errors.Is(err, ErrFull), true)
			return
		}
	}
}

// TestTheSameFriendshipsAThousandTimesTakeNoMoreRoom: blocks come back.
func TestTheSameFriendshipsAThousandTimesTakeNoMoreRoom(t *testing.T) {
	var in, out []Change
	for a := int64(1); a <= 30; a++ {
		for b := a + 1; b <= 30; b++ {
			in, out = append(in, Change{Connect, a, b}), append(out, Change{Disconnect, a, b})
		}
	}
	g := New()
	var first int64
	for round := range 1000 {
		must(t, g, in...)
		must(t, g, out...)
		if round == 1 {
			first = g.Stats().Bytes
		}
	}
	if last := g.Stats(); last.Bytes != first || last.Friendships != 0 || len(g.memory.retired) > 2*waveSize {
		t.Errorf("%d bytes after 2 rounds, %+v after 1000, %d blocks are retired", first, last, len(g.memory.retired))
	}
	tiled(t, g)
}

// TestAFullGraphChangesNothingByHalf: with room for 1,024 entries, every change is made
// in both lists or refused.
func TestAFullGraphChangesNothingByHalf(t *testing.T) {
	for seed := range uint64(20 * soaking()) {
		c, g, p := newCrowd(seed, 60), New(), newPlainGraph()
		g.memory.limit = 1
		full := 0
		for range 4000 {
			change := c.next()
			changed, err := g.Apply([]Change{change})
			switch {
			case errors.Is(err, ErrFull) && changed == 0:
				full++
				p.number(change.From)
				p.number(change.To)
			case err != nil:
				t.Fatal(err)
			case changed != p.apply(change):
				t.Fatalf("seed %d: %+v changed %d", seed, change, changed)
			}
		}
		if full == 0 || full > 3900 {
			t.Fatalf("seed %d: %d of 4000 changes found no room", seed, full)
		}
		if err := g.check(); err != nil {
			t.Fatal(err)
		}
		holdAgainst(t, p, g, c.rnd)
		tiled(t, g)
	}
}

// TestAFullGraphGoesOnWithWhatNeedsNoRoom: people, what is the case already, and an
// entry behind a list that has room.
func TestAFullGraphGoesOnWithWhatNeedsNoRoom(t *testing.T) {
	g := New()
	g.memory.limit = 0
	must(t, g, Change{Kind: AddUser, From: 1}, Change{Kind: AddUser, From: 2}, Change{Kind: AddUser, From: 3})
	if _, err := g.Apply([]Change{{Connect, 1, 2}}); !errors.Is(err, ErrFull) {
		t.Fatalf("connecting without any slab: %v", err)
	}
	same(t, "nobody is connected", g.Stats().Friendships, 0)
	g.memory.limit = 1
	must(t, g, Change{Connect, 1, 2}, Change{Connect, 3, 1})
	for n := int64(100); ; n += 2 { // until there is no block left
		if _, err := g.Apply([]Change{{Connect, n, n + 1}}); err != nil {
			break
		}
	}
	if changed := must(t, g, Change{Kind: RemoveUser, From: 3}, Change{Connect, 1, 2}, Change{Connect, 2, 3}); changed != 2 {
		t.Errorf("%d changed, want who is removed and a friendship", changed)
	}
	if _, err := g.Apply([]Change{{Disconnect, 1, 2}}); !errors.Is(err, ErrFull) {
		t.Errorf("a copy without room: %v", err)
	}
	same(t, "friends of 1", friends(t, g, 1), []int64{2})
	tiled(t, g)
}

func TestAGraphHoldsOnlySoManyPeople(t *testing.T) {
	g := New()
	g.room = 3
	must(t, g, Change{Kind: AddUser, From: 1}, Change{Connect, 1, 2}, Change{Kind: AddUser, From: 3})
	for _, c := range []Change{{Kind: AddUser, From: 4}, {Connect, 4, 1}, {Connect, 1, 4}, {Disconnect, 1, 4}} {
		if changed, err := g.Apply([]Change{c, {Connect, 2, 3}}); changed != 0 || !errors.Is(err, ErrFull) {
			t.Errorf("%+v: %d changed, %v", c, changed, err)
		}
	}
	must(t, g, Change{Kind: AddUser, From: 2}, Change{Connect, 2, 3})
	same(t, "those who are there go on", recommend(t, g, 1, 0), []Ranked{{3, 1}})
}
