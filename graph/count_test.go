package graph

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// counted is what counting a list should lead to, one entry after the other.
func counted(list []entry, counts []uint16, base, target uint32) (after []uint16, found []uint32) {
	after = slices.Clone(counts)
	for _, e := range list {
		count := max(uint32(after[e.number()]), base) + 1 // what was counted before is nothing
		after[e.number()] = uint16(count)
		if count == target {
			found = append(found, e.number())
		}
	}
	return after, found
}

// Values that memory around what is counted is filled with.
const (
	guardCount = 0xA5A5
	guardRoom  = 0xA5A5A5A5
)

type countFunc func(list []entry, counts []uint16, base, target uint32, room []uint32, n int) int

// countFuncs are the ways to count: count16 is in assembly where there is one.
func countFuncs() map[string]countFunc {
	return map[string]countFunc{
		"count16": func(list []entry, counts []uint16, base, target uint32, room []uint32, n int) int {
			return count16(list, nil, counts, base, target, room, n)
		},
		"count16 with another list in sight": func(list []entry, counts []uint16, base, target uint32, room []uint32, n int) int {
			return count16(list, list[:len(list)/2], counts, base, target, room, n)
		},
		"countGo": func(list []entry, counts []uint16, base, target uint32, room []uint32, n int) int {
			return countGo(list, counts, uint16(base), target, room, n)
		},
	}
}

// holdCount counts a list in every way, at every alignment of its first entry, behind n
// already found, and compares what there is then, memory around it included.
func holdCount(t anyT, list []entry, counts []uint16, base, target uint32, n int) {
	const guards = 4
	wantCounts, wantFound := counted(list, counts, base, target)
	for name, count := range countFuncs() {
		for shift := range 4 {
			entries := append(make([]entry, shift), list...)
			all := slices.Concat(slices.Repeat([]uint16{guardCount}, guards), counts, slices.Repeat([]uint16{guardCount}, guards))
			room := slices.Repeat([]uint32{guardRoom}, n+len(list)+guards)
			got := count(entries[shift:], all[guards:guards+len(counts)], base, target, room, n)
			what := fmt.Sprintf("%s of %d, shifted by %d", name, len(list), shift)
			if got != n+len(wantFound) {
				t.Fatalf("%s: %d are found, want %d behind %d", what, got, len(wantFound), n)
			}
			sameList(t, room[n:got], wantFound, "%s: found", what)
			sameList(t, all[guards:guards+len(counts)], wantCounts, "%s: counts", what)
			for i, c := range slices.Concat(all[:guards], all[guards+len(counts):]) {
				if c != guardCount {
					t.Fatalf("%s: memory beside the counts (%d) is %x", what, i, c)
				}
			}
			for i, x := range room {
				if (i < n || i >= n+len(list)) && x != guardRoom {
					t.Fatalf("%s: memory beside the room (%d) is %x", what, i, x)
				}
			}
		}
	}
}

func TestCountingAList(t *testing.T) {
	list := func(numbers ...uint32) (l []entry) {
		for i, n := range numbers {
			l = append(l, entry(n)<<entryBits|entry(i%3+1)) // directions don't matter
		}
		return l
	}
	for _, c := range []struct {
		name         string
		list         []entry
		counts       []uint16
		base, target uint32
	}{
		{"nothing", nil, []uint16{7}, 7, 8},
		{"what is at most base counts as nothing", list(0, 1, 2), []uint16{0, 5, 9}, 9, 10},
		{"the target is met once", list(0, 0, 0, 0), []uint16{0}, 0, 2},
		{"somebody beyond the target is not found again", list(0, 0), []uint16{3}, 0, 2},
		{"the same one four times at once", list(1, 1, 1, 1, 0, 0, 0, 0), []uint16{0, 0}, 3, 7},
		{"who is left out never is found", list(0, 1, 0), []uint16{1 << 15, 1}, 0, 2},
		{"the last count there is", list(0, 0), []uint16{math.MaxInt16 - 1}, math.MaxInt16 - 1, math.MaxInt16},
		{"a target that nobody meets", list(0, 1, 2, 3, 4), make([]uint16, 5), 0, math.MaxUint32},
	} {
		t.Run(c.name, func(t *testing.T) {
			holdCount(t, c.list, c.counts, c.base, c.target, 0)
			holdCount(t, c.list, c.counts, c.base, c.target, 5)
		})
	}
}

func TestCountingListsOfEveryLength(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for length := range 71 {
		list, counts := make([]entry, length), make([]uint16, 9)
		for i := range list {
			list[i] = entry(rnd.IntN(len(counts)))<<entryBits | entry(rnd.IntN(4))
		}
		for i := range counts {
			counts[i] = uint16(rnd.IntN(110))
		}
		holdCount(t, list, counts, 100, uint32(100+rnd.IntN(10)), rnd.IntN(3))
	}
}

func FuzzCount(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8}, []byte{1, 0, 2, 0}, uint16(1), uint32(2), uint8(3))
	f.Add([]byte("aaaaaaaaaaaaaaaa"), []byte{0, 0, 0, 128}, uint16(math.MaxUint16), uint32(1), uint8(0))
	f.Fuzz(func(t *testing.T, who, what []byte, base uint16, target uint32, n uint8) {
		counts := make([]uint16, max(1, min(len(what)/2, 64)))
		for i := range min(len(what)/2, 64) {
			counts[i] = binary.LittleEndian.Uint16(what[2*i:])
		}
		var list []entry
		for _, b := range who[:min(len(who), 70)] {
			list = append(list, entry(int(b)/4%len(counts))<<entryBits|entry(b%4))
		}
		holdCount(t, list, counts, uint32(base), target, int(n%8))
	})
}

// place returns what the next query of a graph that nobody else asks counts with.
func place(g *Graph) *reader { return (*g.readers.places.Load())[0] }

// TestCountersStartOverInTime: the same question more often than 16 bits can count on,
// mutual friends, which also count on, in between.
func TestCountersStartOverInTime(t *testing.T) {
	g := small(t)
	want, shared, over := []Ranked{{4, 2}, {6, 2}, {5, 1}}, []int64{2, 3}, 0
	var ranked []Ranked
	var ids []int64
	for i, before := 0, uint16(0); i < 40_000; i++ {
		ranked, _ = g.Recommend(ranked[:0], 1, 0)
		ids, _ = g.Mutual(ids[:0], 1, 4)
		if !slices.Equal(ranked, want) || !slices.Equal(ids, shared) {
			t.Fatalf("the answers number %d are %v and %v", i, ranked, ids)
		}
		if base := place(g).narrow.base; base < before {
			over++
			before = 0
		} else {
			before = base
		}
	}
	if over < 3 {
		t.Errorf("the counters started over %d times", over)
	}
}

// TestCountersAtTheEndOfTheirRange: whatever was counted before, up to the last count
// there is, is nothing to the next query.
func TestCountersAtTheEndOfTheirRange(t *testing.T) {
	c := newCrowd(11, 80)
	changes := c.draw(1500)
	g, p := New(), newPlainGraph(changes...)
	must(t, g, changes...)
	recommend(t, g, c.ids[0], 0)
	n := &place(g).narrow
	for base := n.most() - 60; base <= n.most(); base++ {
		for _, ask := range []func(id, other int64){
			func(id, _ int64) { sameList(t, recommend(t, g, id, 0), p.rank(id, Query{}), "all of %d", id) },
			func(id, _ int64) { sameList(t, recommend(t, g, id, 5), p.rank(id, Query{Limit: 5}), "five of %d", id) },
			func(id, other int64) { sameList(t, mutual(t, g, id, other), p.mutual(id, other), "mutual of %d", id) },
		} {
			for range 5 {
				g.reservePlace()
				n.base = uint16(base)
				for i := range n.counts {
					n.counts[i] = uint16(c.rnd.IntN(base + 1))
				}
				ask(c.somebody(), c.somebody())
				if int(n.base) > n.most() {
					t.Fatalf("base %d is left at %d", base, n.base)
				}
			}
		}
	}
}

// reservePlace lets the first place have counters for everybody.
func (g *Graph) reservePlace() { place(g).narrow.reserve(len(g.tables.Load().people)) }

// TestWideCountersAnswerAsNarrowOnesDo: they are for who has more friends than 16 bits
// count; here everybody asks with them.
func TestWideCountersAnswerAsNarrowOnesDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(2, 60).Draw(t, "people"))
		g, p := New(), newPlainGraph()
		changes := c.draw(rapid.IntRange(1, 600).Draw(t, "changes"))
		must(t, g, changes...)
		p.apply(changes...)
		r, tables := g.readers.enter(), g.tables.Load()
		defer r.leave()
		if rapid.Bool().Draw(t, "near the end") {
			r.wide.reserve(len(tables.people))
			r.wide.base = math.MaxInt32 - uint32(c.rnd.IntN(100))
		}
		for _, id := range c.ids {
			n, w, ok := tables.find(id)
			if !ok {
				continue
			}
			q := Query{Limit: c.rnd.IntN(12), MinWeight: 1 + c.rnd.IntN(2), After: Ranked{Weight: 3 + c.rnd.IntN(20)}}
			got := r.wide.rank(g, nil, tables, n, tables.list(w), q)
			sameList(t, got, p.rank(id, q), "%+v for %d", q, id)
		}
	})
}

// leaves are more than 16 bits can count in any way.
const leaves = 70_000

// star returns a graph in which somebody has so many friends, and these have some others besides: the first of the others has all of them as
// friends, the next every second one, and so on.
func star(t testing.TB, others int) (g *Graph, changes []Change, center int64) {
	center = leaves + 1
	for id := int64(1); id <= center+int64(others); id++ {
		changes = append(changes, Change{Kind: AddUser, From: id})
	}
	for leaf := int64(1); leaf <= leaves; leaf++ {
		changes = append(changes, Change{Connect, leaf, center})
		for o := int64(1); o <= int64(others); o++ {
			if leaf%o == 0 {
				changes = append(changes, Change{Connect, center + o, leaf})
			}
		}
	}
	g = New()
	must(t, g, changes...)
	return g, changes, center
}

func TestSomebodyWithMoreFriendsThan16BitsCount(t *testing.T) {
	g, _, center := star(t, 4)
	want := []Ranked{{center + 1, leaves}, {center + 2, leaves / 2}, {center + 3, leaves / 3}, {center + 4, leaves / 4}}
	if place(g).narrow.most() >= leaves {
		t.Fatal("narrow counters would do")
	}
	for range 2 {
		same(t, "all", recommend(t, g, center, 0), want)
		same(t, "two", recommend(t, g, center, 2), want[:2])
	}
	for _, c := range []struct {
		q    Query
		want []Ranked
	}{
		{Query{MinWeight: leaves}, want[:1]},
		{Query{MinWeight: leaves + 1}, nil},
		{Query{MinWeight: leaves / 3, Limit: 9}, want[:3]},
		{Query{After: want[0]}, want[1:]},
		{Query{After: Ranked{center + 2, leaves}, Limit: 1}, want[1:2]},
		{Query{After: want[1], Limit: 1}, want[2:3]},
	} {
		got, err := g.Rank(nil, center, c.q)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("%+v", c.q), got, c.want)
	}
	same(t, "mutual", len(mutual(t, g, center, center+1)), leaves)
	same(t, "mutual the other way", len(mutual(t, g, center+3, center)), leaves/3)
	same(t, "from the other side", recommend(t, g, center+1, 1), []Ranked{{center, leaves}})
}

// TestTiesAmongManyWhoAreNotThere: the bar rises only by those who count, and of many
// with the same weight the lowest ids are taken.
func TestTiesAmongManyWhoAreNotThere(t *testing.T) {
	for seed := range uint64(6 * soaking()) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		const friendsOf1, candidates = 12, 3000
		var changes []Change
		for f := int64(2); f < 2+friendsOf1; f++ {
			changes = append(changes, Change{Kind: AddUser, From: f}, Change{Connect, 1, f})
		}
		changes = append(changes, Change{Kind: AddUser, From: 1})
		for n := range int64(candidates) {
			id, weight := 100+(n*7919)%candidates, rnd.IntN(friendsOf1+1)
			for f := range weight {
				changes = append(changes, Change{Connect, id, int64(2 + f)})
			}
			// The more friends they share, the less likely they are there.
			if rnd.IntN(friendsOf1+1) >= weight {
				changes = append(changes, Change{Kind: AddUser, From: id})
			} else if rnd.IntN(2) == 0 {
				changes = append(changes, Change{Kind: RemoveUser, From: id})
			}
		}
		g, p := New(), newPlainGraph(changes...)
		must(t, g, changes...)
		for range 3 {
			holdRanking(t, p, g, 1, rnd)
		}
	}
}

// TestPeopleComeBetweenQueries: the same places count in tables that have grown.
func TestPeopleComeBetweenQueries(t *testing.T) {
	c, g, p := newCrowd(21, 2000), New(), newPlainGraph()
	for known := 4; known <= len(c.ids); known += known / 4 {
		c.upTo = c.upTo[:known]
		batch := c.draw(2 * known)
		for _, id := range c.ids[known*4/5 : known] {
			batch = append(batch, Change{Kind: AddUser, From: id})
		}
		must(t, g, batch...)
		p.apply(batch...)
		for range 20 {
			id, other := c.somebody(), c.somebody()
			sameList(t, recommend(t, g, id, 0), p.rank(id, Query{}), "all of %d", id)
			sameList(t, recommend(t, g, id, 3), p.rank(id, Query{Limit: 3}), "three of %d", id)
			sameList(t, mutual(t, g, id, other), p.mutual(id, other), "mutual of %d and %d", id, other)
		}
	}
}

// FuzzIndex: wherever somebody is in a list, also among ends that are no eight.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, uint8(17), uint8(0))
	f.Add([]byte{9, 9, 9, 9, 9, 9, 9, 9}, uint8(9), uint8(3))
	f.Add([]byte{}, uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, numbers []byte, n, skip uint8) {
		list := make([]entry, 0, len(numbers)+1)
		for _, b := range numbers {
			list = append(list, entry(b)<<entryBits|entry(b&1)+1)
		}
		list = append(list, entry(n)<<entryBits|out)[:len(numbers)] // behind the end is no find
		list = list[min(int(skip), len(list)):]
		if got, want := index(list, uint32(n)), indexGo(list, uint32(n)); got != want {
			t.Fatalf("%d is at %d of %v, not at %d", n, want, list, got)
		}
	})
}

func TestSomebodyIsFoundAnywhereInAList(t *testing.T) {
	const highest = MaxPeople - 1
	for length := range 40 {
		list := make([]entry, length)
		for i := range list {
			list[i] = entry(highest-i)<<entryBits | bothWays
		}
		for i := range list {
			if got := index(list, uint32(highest-i)); got != i {
				t.Errorf("entry %d of %d is found at %d", i, length, got)
			}
		}
		if got := index(list, 7); got != -1 {
			t.Errorf("nobody is found at %d of %d", got, length)
		}
	}
}
