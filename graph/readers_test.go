package graph

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// circles are groups of people that never mix. Their lists have lengths in common, so
// that a block that one group gives back is soon another group's: whoever turns up
// where they do not belong was read from a block that had been reused.
const (
	circles    = 6
	circleSize = 24
)

// member returns somebody of a circle; circle tells which it was.
func member(circle, i int) int64 { return int64(circle*1000 + i + 1) }
func circle(id int64) int64      { return (id - 1) / 1000 }

// inCircles returns a graph of circles in which nobody is connected yet.
func inCircles(t testing.TB) *Graph {
	g := New()
	for k := range circles {
		for i := range circleSize {
			must(t, g, Change{Kind: AddUser, From: member(k, i)})
		}
	}
	return g
}

// TestNoReaderSeesABlockThatIsReused: many readers, and a writer whose lists grow and
// shrink by turns. It fails within its time when enter stores no pin, with the race
// detector and without (TestABlockIsKeptForWhoMaySeeIt fails then at once).
func TestNoReaderSeesABlockThatIsReused(t *testing.T) {
	g := inCircles(t)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for r := range 6 {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(7, uint64(r)))
			for !closed(stop) && stayAmongThemselves(t, g, rnd) {
			}
		})
	}
	rnd := rand.New(rand.NewPCG(7, 99))
	for range 1500 * soaking() {
		must(t, g, weave(rnd)...)
	}
	close(stop)
	group.Wait()
	tiled(t, g)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// weave returns changes that connect some of a circle and disconnect as many of
// another.
func weave(rnd *rand.Rand) (changes []Change) {
	for _, kind := range []Kind{Connect, Disconnect} {
		k, i := rnd.IntN(circles), rnd.IntN(circleSize)
		for range 40 {
			changes = append(changes, Change{kind, member(k, i), member(k, rnd.IntN(circleSize))})
			if rnd.IntN(4) == 0 {
				i = rnd.IntN(circleSize)
			}
		}
	}
	return changes
}

// stayAmongThemselves asks everything about somebody and says whether the answers name
// only people of the same circle, each once.
func stayAmongThemselves(t *testing.T, g *Graph, rnd *rand.Rand) bool {
	k := rnd.IntN(circles)
	who, other := member(k, rnd.IntN(circleSize)), member(k, rnd.IntN(circleSize))
	ids := append(friends(t, g, who), 0)
	ids = append(ids, mutual(t, g, who, other)...)
	for _, limit := range []int{0, 5} {
		ids = append(ids, 0)
		ranked := recommend(t, g, who, limit)
		for _, r := range ranked {
			ids = append(ids, r.ID)
			if r.Weight > circleSize {
				t.Errorf("%d and %d share %d friends of %d", who, r.ID, r.Weight, circleSize)
				return false
			}
		}
		slices.SortFunc(ranked, func(a, b Ranked) int { return int(a.ID - b.ID) })
		if once := slices.Compact(ranked); len(once) != len(ranked) {
			t.Errorf("somebody is recommended twice to %d: %v", who, ranked)
			return false
		}
	}
	for _, id := range ids {
		if id != 0 && circle(id) != int64(k) {
			t.Errorf("an answer to %d, in circle %d, names %d: %v", who, k, id, ids)
			return false
		}
	}
	return true
}

// churn makes so many waves that give back blocks and take them again at once: those of
// two friends in the second circle, as large as those of two friends in the first.
func churn(t testing.TB, g *Graph, waves int) {
	for range waves {
		must(t, g, Change{Connect, member(1, 0), member(1, 1)})
		must(t, g, Change{Disconnect, member(1, 0), member(1, 1)})
	}
}

// TestABlockIsKeptForWhoMaySeeIt: a list stays what it was for as long as a query runs
// that may have found it, and no longer. The second half shows that the first would
// fail without the pin: there the reader has left too early.
func TestABlockIsKeptForWhoMaySeeIt(t *testing.T) {
	g := inCircles(t)
	must(t, g, Change{Connect, member(0, 0), member(0, 1)})
	r := g.readers.enter()
	tables := g.tables.Load()
	_, w, _ := tables.find(member(0, 0))
	seen := tables.list(w)
	before := slices.Clone(seen)
	must(t, g, Change{Disconnect, member(0, 0), member(0, 1)})
	churn(t, g, 20)
	same(t, "the list of a query that runs", slices.Equal(seen, before), true)
	r.leave()
	for id := int64(50_001); id < 50_100; id += 2 { // as many as there are blocks to reuse
		must(t, g, Change{Connect, id, id + 1})
	}
	same(t, "the list after the query has left", slices.Equal(seen, before), false)
}

// retiredBlock returns readers in an epoch, and memory with a block that was retired in
// it.
func retiredBlock(epoch uint64) (*readers, *memory) {
	r, m := &readers{}, &memory{}
	r.init()
	r.epoch.Store(epoch)
	m.retire(epoch, list(8, known, 3))
	return r, m
}

func (m *memory) freed() (n int) {
	for _, blocks := range m.free {
		n += len(blocks)
	}
	return n
}

func TestARetiredBlockIsFreeWhenNoPinIsAsOld(t *testing.T) {
	for _, c := range []struct {
		name string
		pin  uint64 // in epoch 10 the block was retired
		free int
	}{
		{"nobody reads", 0, 1},
		{"a query that began long before", 3, 0},
		{"a query that began in the same epoch", 10, 0},
		{"a query that began after", 11, 1},
	} {
		r, m := retiredBlock(10)
		place := r.enter()
		place.pin.Store(c.pin)
		m.reclaim(r.oldest(r.epoch.Add(1)))
		same(t, c.name, m.freed(), c.free)
		place.leave()
		m.reclaim(r.oldest(r.epoch.Add(1)))
		same(t, c.name+", then left", m.freed(), 1)
	}
}

func TestTheOldestPinCounts(t *testing.T) {
	r, m := retiredBlock(10)
	young, old := r.enter(), r.enter()
	old.pin.Store(9)
	young.pin.Store(11)
	m.retire(11, list(16, known, 3))
	m.retire(12, list(24, known, 3))
	same(t, "oldest", r.oldest(13), uint64(9))
	m.reclaim(r.oldest(13))
	same(t, "free while one is older than all", m.freed(), 0)
	old.leave()
	m.reclaim(r.oldest(13))
	same(t, "free while one began in the second's epoch", m.freed(), 1)
	young.leave()
	m.reclaim(r.oldest(13))
	same(t, "free when nobody reads", m.freed(), 3)
	same(t, "retired", len(m.retired)-m.oldest, 0)
}

func TestPlacesAreReused(t *testing.T) {
	r := &readers{}
	r.init()
	first := r.enter()
	first.leave()
	same(t, "the place is taken again", r.enter() == first, true)
	second := r.enter()
	same(t, "a place that is taken is not", second == first, false)
	first.leave()
	same(t, "the first that is free is", r.enter() == first, true)
	same(t, "places", len(*r.places.Load()), 2)
}

// TestMoreQueriesThanPlaces: everybody gets a place of their own, and places beyond
// what the cores can do at once keep no counters.
func TestMoreQueriesThanPlaces(t *testing.T) {
	g := small(t)
	most := 4 * runtime.GOMAXPROCS(0)
	var taken []*reader
	for range most + 3 {
		taken = append(taken, g.readers.enter())
	}
	for i, place := range taken {
		same(t, "pinned", place.pin.Load(), g.readers.epoch.Load())
		same(t, "taken twice", slices.Contains(taken[:i], place), false)
	}
	for i, place := range slices.Backward(taken) {
		place.leave()
		same(t, "an answer from a place of any kind", recommend(t, g, 1, 0), []Ranked{{4, 2}, {6, 2}, {5, 1}})
		same(t, "counters are kept", len(place.narrow.counts) > 0, i < most)
	}
}

// TestManyQueriesAtOnce: places are added while others are taken and left.
func TestManyQueriesAtOnce(t *testing.T) {
	g := small(t)
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			for range 20 {
				same(t, "recommend", recommend(t, g, 1, 0), []Ranked{{4, 2}, {6, 2}, {5, 1}})
			}
		})
	}
	group.Wait()
	same(t, "a place for each at most", len(*g.readers.places.Load()) <= 64, true)
	same(t, "who is still pinned", g.readers.oldest(1<<40), uint64(1<<40))
}

// TestEachListIsAsOfOneMoment: friends are added in order and taken away in reverse, so
// at each moment they are 2, 3, … up to somebody. Half a change, or a list of two
// moments, would be something else.
func TestEachListIsAsOfOneMoment(t *testing.T) {
	const last, stranger = 41, 100
	g := New()
	for id := int64(1); id <= last; id++ {
		must(t, g, Change{Kind: AddUser, From: id})
	}
	// All that the stranger is recommended is in one list.
	must(t, g, Change{Kind: AddUser, From: stranger}, Change{Connect, 1, stranger})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !closed(stop) {
				for i, id := range friends(t, g, 1) {
					if id != int64(i+2) && id != stranger {
						t.Errorf("friend %d is %d", i, id)
						return
					}
				}
				for i, r := range recommend(t, g, stranger, 0) {
					if r != (Ranked{int64(i + 2), 1}) {
						t.Errorf("recommendation %d is %v", i, r)
						return
					}
				}
			}
		})
	}
	for range 250 * soaking() {
		for id := int64(2); id <= last; id++ {
			must(t, g, Change{Connect, 1, id})
		}
		same(t, "between two calls", len(recommend(t, g, stranger, 0)), last-1)
		for id := int64(last); id >= 2; id-- {
			must(t, g, Change{Disconnect, 1, id})
		}
		same(t, "between two calls", friends(t, g, 1), []int64{stranger})
	}
	close(stop)
	readers.Wait()
}

// TestAQueryMayHaveOlderTables: tables found before people and slabs were added go on
// answering, people as they were, and lists wherever they are now.
func TestAQueryMayHaveOlderTables(t *testing.T) {
	g := New()
	must(t, g, Change{Kind: AddUser, From: 1}, Change{Kind: AddUser, From: 2})
	r := g.readers.enter()
	defer r.leave()
	old := g.tables.Load()
	must(t, g, Change{Connect, 1, 2}) // the first slab is newer than the tables
	_, w, ok := old.find(1)
	same(t, "somebody with a list in a newer slab is there", ok, true)
	same(t, "that list", old.list(w), []entry{1<<entryBits | out})
	for id := int64(3); id < 5*firstPeople; id++ {
		must(t, g, Change{Kind: AddUser, From: id}, Change{Connect, id, 1})
	}
	for id := int64(3); id < 5*firstPeople; id++ {
		n, _, ok := old.number(id)
		if ok && (int(n) >= len(old.people) || old.people[n].id != id) {
			t.Errorf("older tables take %d for number %d", id, n)
		}
	}
	_, w, _ = old.find(1)
	for _, e := range old.list(w) {
		if int(e.number()) >= len(old.people) {
			t.Errorf("an older word leads to number %d, beyond the older tables", e.number())
		}
	}
	same(t, "new tables know all", len(friends(t, g, 1)), 5*firstPeople-2)
}

// TestAPageIsFullWhoeverIsErasedMeanwhile: the best candidate goes away after the bar was
// raised for them, and before they are looked up. The next one takes the place.
func TestAPageIsFullWhoeverIsErasedMeanwhile(t *testing.T) {
	g := New()
	for id := int64(1); id <= 6; id++ {
		must(t, g, Change{Kind: AddUser, From: id})
	}
	for _, p := range [][2]int64{{1, 2}, {1, 3}, {2, 4}, {3, 4}, {2, 5}, {3, 6}} {
		must(t, g, Change{Connect, p[0], p[1]})
	}
	tables := g.tables.Load()
	me, w, _ := tables.find(1)
	c, mine := &(*g.readers.places.Load())[0].narrow, tables.list(w)
	q := Query{Limit: 1, MinWeight: 1, After: Ranked{Weight: math.MaxInt}}
	if !c.countFriends(g, tables, me, mine, q) || !c.raised {
		t.Fatal("the bar was not raised")
	}
	must(t, g, Change{Kind: RemoveUser, From: 4})
	if page, full := c.finish(nil, me, mine); full {
		t.Fatalf("%v is said to be full", page)
	}
	same(t, "the page", c.rank(g, nil, tables, me, mine, q), []Ranked{{5, 1}})
	if c.countFriends(g, tables, me, mine, q); c.raised {
		t.Error("the bar was raised for one who is gone")
	}
	if page, full := c.finish(nil, me, mine); !full || len(page) != 1 {
		t.Errorf("%v, %v", page, full)
	}
}
