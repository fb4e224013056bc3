package graph

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// small returns the network of the contract's example: friendships 1-2, 2-3, 3-1,
// 2-4, 3-4, 2-5, 2-6 and 3-6.
func small(t testing.TB) *Graph {
	t.Helper()
	g := New()
	for id := int64(1); id <= 6; id++ {
		must(t, g, Change{Kind: AddUser, From: id})
	}
	for _, p := range [][2]int64{{1, 2}, {2, 3}, {3, 1}, {2, 4}, {3, 4}, {2, 5}, {2, 6}, {3, 6}} {
		must(t, g, Change{Kind: Connect, From: p[0], To: p[1]})
	}
	return g
}

func same(t interface{ Errorf(string, ...any) }, what string, got, want any) {
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestTheBestComeFirstThenTheLowestID(t *testing.T) {
	g := small(t)
	same(t, "all", recommend(t, g, 1, 0), []Ranked{{4, 2}, {6, 2}, {5, 1}})
	same(t, "two", recommend(t, g, 1, 2), []Ranked{{4, 2}, {6, 2}})
	same(t, "one", recommend(t, g, 1, 1), []Ranked{{4, 2}})
	same(t, "more than there are", recommend(t, g, 1, 99), []Ranked{{4, 2}, {6, 2}, {5, 1}})
}

func TestAnswersAreAppended(t *testing.T) {
	g := small(t)
	ranked, err := g.Recommend([]Ranked{{99, 9}}, 1, 1)
	same(t, "recommend", ranked, []Ranked{{99, 9}, {4, 2}})
	ids, err2 := g.Mutual([]int64{99}, 1, 4)
	same(t, "mutual", ids, []int64{99, 2, 3})
	all, err3 := g.Friends([]int64{99}, 1)
	same(t, "friends", all, []int64{99, 2, 3})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
}

func TestMutualFriendsAreThoseOfBoth(t *testing.T) {
	g := small(t)
	same(t, "1 and 4", mutual(t, g, 1, 4), []int64{2, 3})
	same(t, "4 and 1", mutual(t, g, 4, 1), []int64{2, 3})
	same(t, "friends have some too", mutual(t, g, 1, 2), []int64{3})
	same(t, "one person", mutual(t, g, 1, 1), []int64(nil))
	same(t, "somebody unknown", mutual(t, g, 1, 77), []int64(nil))
}

func TestWhoIsNotThereGetsNothing(t *testing.T) {
	g := small(t)
	must(t, g, Change{Kind: Connect, From: 7, To: 2}, Change{Kind: RemoveUser, From: 6})
	for _, id := range []int64{0, -1, 6, 7, 8, math.MaxInt64} {
		same(t, fmt.Sprint("recommend ", id), recommend(t, g, id, 0), []Ranked(nil))
		same(t, fmt.Sprint("friends ", id), friends(t, g, id), []int64(nil))
	}
}

func TestAConnectionMayComeBeforeItsPeople(t *testing.T) {
	g := New()
	must(t, g, Change{Kind: Connect, From: 1, To: 2}, Change{Kind: Connect, From: 2, To: 3})
	same(t, "nobody is there", recommend(t, g, 1, 0), []Ranked(nil))
	must(t, g, Change{Kind: AddUser, From: 1}, Change{Kind: AddUser, From: 3})
	same(t, "the friend between is not there", recommend(t, g, 1, 0), []Ranked(nil))
	must(t, g, Change{Kind: AddUser, From: 2})
	same(t, "all are there", recommend(t, g, 1, 0), []Ranked{{3, 1}})
}

func TestWhoIsRemovedVanishesForEver(t *testing.T) {
	g := small(t)
	must(t, g, Change{Kind: RemoveUser, From: 2})
	same(t, "nobody counts 2", recommend(t, g, 1, 0), []Ranked{{4, 1}, {6, 1}})
	same(t, "nobody shares 2", mutual(t, g, 1, 4), []int64{3})
	if must(t, g, Change{Kind: AddUser, From: 2}) != 0 {
		t.Error("adding somebody again who was removed changed something")
	}
	same(t, "nobody sees 2", friends(t, g, 1), []int64{3})
}

func TestDirectionsAreApart(t *testing.T) {
	g := New()
	steps := []struct {
		change  Change
		changed int
		friends bool
	}{
		{Change{Connect, 1, 2}, 1, true},
		{Change{Connect, 1, 2}, 0, true},
		{Change{Connect, 2, 1}, 1, true},
		{Change{Disconnect, 1, 2}, 1, true},
		{Change{Disconnect, 1, 2}, 0, true},
		{Change{Disconnect, 2, 1}, 1, false},
		{Change{Disconnect, 2, 1}, 0, false},
		{Change{Connect, 1, 1}, 0, false},
		{Change{Connect, 2, 1}, 1, true},
		{Change{Disconnect, 1, 2}, 0, true},
	}
	must(t, g, Change{Kind: AddUser, From: 1}, Change{Kind: AddUser, From: 2})
	for i, s := range steps {
		if got := must(t, g, s.change); got != s.changed {
			t.Errorf("step %d %+v changed %d", i, s.change, got)
		}
		if got := len(friends(t, g, 1)) > 0; got != s.friends {
			t.Errorf("after step %d %+v friends: %v", i, s.change, got)
		}
	}
}

func TestAnImpossibleChangeStopsThere(t *testing.T) {
	for _, bad := range []Change{{Kind: AddUser}, {Connect, 1, 0}, {Connect, -5, 1}, {Kind: 99, From: 1}} {
		g := New()
		changed, err := g.Apply([]Change{{Kind: AddUser, From: 1}, bad, {Kind: AddUser, From: 2}})
		if changed != 1 || err == nil || g.Stats().People != 1 {
			t.Errorf("%+v: %d changed, %v, %+v", bad, changed, err, g.Stats())
		}
		if bad.Kind <= RemoveUser && !errors.Is(err, ErrID) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestStats(t *testing.T) {
	g := small(t)
	must(t, g, Change{Connect, 7, 1}, Change{Connect, 2, 1}, Change{Kind: RemoveUser, From: 5}, Change{Disconnect, 3, 6})
	got := g.Stats()
	if got.Bytes < 8*8 {
		t.Errorf("%d bytes", got.Bytes)
	}
	got.Bytes = 0
	same(t, "stats", got, Stats{People: 5, Stubs: 1, Erased: 1, Friendships: 8})
}

func drawChange(t *rapid.T) Change {
	id := rapid.Int64Range(1, 9)
	c := Change{
		Kind: rapid.SampledFrom([]Kind{Connect, Connect, Connect, Connect, Disconnect, AddUser, AddUser, RemoveUser}).Draw(t, "kind"),
		From: id.Draw(t, "from"),
	}
	if c.Kind <= Disconnect {
		c.To = id.Draw(t, "to")
	}
	return c
}

// TestAnyHistoryAnswersAsBruteForceDoes: adds, removals, both directions,
// duplicates, unknown people, people removed; every answer after every batch.
func TestAnyHistoryAnswersAsBruteForceDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, o := New(), newOracle()
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			batch := rapid.SliceOfN(rapid.Custom(drawChange), 0, 20).Draw(t, "batch")
			if got, want := must(t, g, batch...), o.apply(batch...); got != want {
				t.Fatalf("%+v changed %d, want %d", batch, got, want)
			}
			compareAll(t, g, o, 10)
		}
	})
}

// compareAll holds every answer against the oracle.
func compareAll(t anyT, g *Graph, o *oracle, ids int64) {
	for a := int64(0); a <= ids; a++ {
		all := o.recommend(a, 0)
		for _, limit := range []int{0, 1, 3} {
			want := all
			if limit > 0 {
				want = all[:min(limit, len(all))]
			}
			sameList(t, recommend(t, g, a, limit), want, "recommend %d, %d", a, limit)
		}
		sameList(t, friends(t, g, a), o.friends(a), "friends of %d", a)
		for b := int64(0); b <= ids; b++ {
			sameList(t, mutual(t, g, a, b), o.mutual(a, b), "mutual %d, %d", a, b)
		}
	}
}

func TestQueriesDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	g := small(t)
	ranked, ids := make([]Ranked, 0, 8), make([]int64, 0, 8)
	for name, query := range map[string]func(){
		"recommend": func() { ranked, _ = g.Recommend(ranked[:0], 1, 2) },
		"all":       func() { ranked, _ = g.Recommend(ranked[:0], 1, 0) },
		"mutual":    func() { ids, _ = g.Mutual(ids[:0], 1, 4) },
		"friends":   func() { ids, _ = g.Friends(ids[:0], 1) },
	} {
		if n := testing.AllocsPerRun(100, query); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func Example() {
	g := New()
	_, err := g.Apply([]Change{
		{Kind: AddUser, From: 1},
		{Kind: AddUser, From: 2},
		{Kind: AddUser, From: 3},
		{Kind: AddUser, From: 4},
		{Kind: Connect, From: 1, To: 2},
		{Kind: Connect, From: 1, To: 3},
		{Kind: Connect, From: 2, To: 4},
		{Kind: Connect, From: 3, To: 4},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ranked, _ := g.Recommend(nil, 1, 10)
	shared, _ := g.Mutual(nil, 1, 4)
	fmt.Println(ranked, shared)
	// Output: [{4 2}] [2 3]
}
