package bench

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/graph"
)

// large is a network of 20,000 people, which takes a moment.
var large = sync.OnceValue(func() *Network { return Generated(20_000) })

// degreesOf returns how many friends everybody has, ascending.
func degreesOf(n *Network) []int {
	degrees := make([]int, n.People+1)
	for _, p := range n.Pairs {
		degrees[p[0]]++
		degrees[p[1]]++
	}
	degrees = degrees[1:]
	slices.Sort(degrees)
	return degrees
}

// TestDegreesAreLognormal: of a lognormal with a mean of 100 and a sigma of 1 the
// median is 61, one in a hundred has more than 621, and somebody of 20,000 has about
// as many as there may be.
func TestDegreesAreLognormal(t *testing.T) {
	const people = 20_000
	degrees := degreesOf(large())
	mean := 0.0
	for _, d := range degrees {
		mean += float64(d) / people
	}
	for name, c := range map[string]struct{ got, low, high float64 }{
		"mean":       {mean, 98, 102},
		"median":     {float64(degrees[people/2]), 58, 64},
		"percentile": {float64(degrees[people*99/100]), 570, 670},
		"most":       {float64(degrees[people-1]), 1_500, mostDegree},
		"least":      {float64(degrees[0]), 0, 5},
	} {
		if c.got < c.low || c.got > c.high {
			t.Errorf("%s: %.1f, want %.0f to %.0f", name, c.got, c.low, c.high)
		}
	}
}

func TestNobodyHasMoreFriendsThanTheLimit(t *testing.T) {
	for _, n := range []*Network{Generated(1), Generated(2), Generated(5), Generated(50), Generated(1_000), large()} {
		people := n.People
		degrees := degreesOf(n)
		// Who meets half of their community by chance may have a few more than drawn.
		if most := degrees[people-1]; most > mostDegree || most > people/2+1 {
			t.Errorf("%d of %d people are friends of one", most, people)
		}
	}
}

// TestFriendshipsAreDistinct: nobody is their own friend, no two are friends twice,
// and everybody exists.
func TestFriendshipsAreDistinct(t *testing.T) {
	for _, n := range []*Network{Generated(1), Generated(2), Generated(3), Generated(10), Generated(300), Generated(5_000)} {
		people := n.People
		seen := map[[2]int32]bool{}
		for _, p := range n.Pairs {
			a, b := min(p[0], p[1]), max(p[0], p[1])
			if a == b || a < 1 || int(b) > people || seen[[2]int32{a, b}] {
				t.Fatalf("%d people: %v is no friendship, or was one before", people, p)
			}
			seen[[2]int32{a, b}] = true
		}
	}
}

func TestMostFriendsAreOfTheSameCommunity(t *testing.T) {
	const people = 20_000
	n := large()
	sizes, within := map[int32]int{}, 0
	for _, c := range n.community[1:] {
		sizes[c]++
	}
	for _, p := range n.Pairs {
		if n.community[p[0]] == n.community[p[1]] {
			within++
		}
	}
	share := float64(within) / float64(len(n.Pairs))
	if share < 0.6 || share > 0.75 || share != n.Inside() {
		t.Errorf("%.2f of the friendships are within communities, and Inside says %.2f", share, n.Inside())
	}
	small := 0
	for c, size := range sizes {
		if size > largest {
			t.Errorf("community %d has %d people", c, size)
		}
		if size < smallest {
			small++ // the last one is what is left
		}
	}
	if small > 1 || len(sizes) < people/largest {
		t.Errorf("%d communities, %d of them too small", len(sizes), small)
	}
}

// TestIDsSayNothing: who has the next id is of the same community, or a friend, as
// rarely as anybody; the oldest have no more friends than the others, and what comes
// first among the friendships is no community.
func TestIDsSayNothing(t *testing.T) {
	const people = 20_000
	n := large()
	together, alike := 0, 0
	for id := 2; id <= people; id++ {
		if n.community[id] == n.community[id-1] {
			together++
		}
	}
	lists := NewLists(people, n.Pairs)
	early, late := 0, 0
	for id := range int64(people) {
		if friends := len(lists.Of(id + 1)); id < people/2 {
			early += friends
		} else {
			late += friends
		}
	}
	for i := 1; i < 20_000; i++ {
		if n.community[n.Pairs[i][0]] == n.community[n.Pairs[i-1][0]] {
			alike++
		}
	}
	if together > people/4 || alike > 20_000/4 {
		t.Errorf("%d neighbours by id and %d by friendship are of one community", together, alike)
	}
	if r := float64(early) / float64(late); r < 0.95 || r > 1.05 {
		t.Errorf("the first half has %.2f times the friends of the second", r)
	}
}

func TestANetworkIsTheSameInEveryRun(t *testing.T) {
	for _, people := range []int{1, 100, 5_000} {
		a, b := Generated(people), Generated(people)
		if !slices.Equal(a.Pairs, b.Pairs) || !slices.Equal(a.community, b.community) {
			t.Errorf("%d people: not the same twice", people)
		}
	}
	if first := fmt.Sprint(Generated(1_000).Pairs[:3]); first != firstPairs {
		t.Errorf("another network than ever: %s; numbers of before can't be compared", first)
	}
}

// firstPairs begin the network of a thousand people.
const firstPairs = "[[963 588] [215 172] [518 72]]"

func TestANetworkIsBuiltPartByPart(t *testing.T) {
	n := &Network{People: 1_500, Pairs: make([][2]int32, 700)}
	for i := range n.Pairs {
		n.Pairs[i] = [2]int32{int32(i) + 1, int32(i) + 2}
	}
	var sizes []int
	var all []graph.Change
	if err := n.Changes(func(part []graph.Change) error {
		sizes, all = append(sizes, len(part)), append(all, part...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{1_000, 1_000, 200}, sizes); diff != "" {
		t.Error(diff)
	}
	for i, c := range all {
		want := graph.Change{Kind: graph.AddUser, From: int64(i) + 1}
		if i >= 1_500 {
			want = graph.Change{Kind: graph.Connect, From: int64(i) - 1_499, To: int64(i) - 1_498}
		}
		if c != want {
			t.Fatalf("change %d is %+v, want %+v", i, c, want)
		}
	}
}

func TestBuildingEndsWithItsFirstError(t *testing.T) {
	broken := errors.New("broken")
	for people, pairs := range map[int]int{10: 0, 1_000: 0, 1_001: 5, 5: 2_000} {
		n := &Network{People: people, Pairs: make([][2]int32, pairs)}
		for fails := 1; fails <= (people+pairs+999)/1_000; fails++ {
			calls := 0
			err := n.Changes(func([]graph.Change) error {
				if calls++; calls == fails {
					return broken
				}
				return nil
			})
			if !errors.Is(err, broken) || calls != fails {
				t.Errorf("%d people, %d pairs: %d calls, %v", people, pairs, calls, err)
			}
		}
	}
}

// TestCommunitiesAreAllThePlaces: one behind the other, of sizes that are allowed,
// whatever the number of people; small ones are as frequent as large ones.
func TestCommunitiesAreAllThePlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(1, 60_000).Draw(t, "people")
		m := &making{rnd: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
		m.drawCommunities(people)
		if first, last := m.borders[0], m.borders[len(m.borders)-1]; first != 0 || last != people {
			t.Fatalf("from %d to %d", first, last)
		}
		high, low := min(largest, people/4+1), min(smallest, people/4+1)
		for c := range len(m.borders) - 1 {
			from, to := m.borders[c], m.borders[c+1]
			if size := to - from; size > high || size < low-1 && to != people {
				t.Fatalf("community %d has %d people, want %d to %d", c, size, low, high)
			}
			for i := from; i < to; i++ {
				if m.community[i] != int32(c) {
					t.Fatalf("place %d is of community %d, want %d", i, m.community[i], c)
				}
			}
		}
	})
}

// TestPopularPeopleKnowEachOther: within a community who is to have many friends is
// found among the friends of others more often than by chance, and nobody knows much
// more than half of it.
func TestPopularPeopleKnowEachOther(t *testing.T) {
	const people = 600
	source := rand.NewPCG(5, 5)
	m := &making{
		source: source, rnd: rand.New(source), borders: []int{0, people},
		degree: make([]int32, people), have: make([]int32, people),
	}
	for i := range m.degree {
		m.degree[i] = 50
		if i < 20 {
			m.degree[i] = 2_000 // more than there are people
		}
	}
	m.befriendInside()
	popular := 0
	for _, p := range m.pairs {
		if p[0] < 20 && p[1] < 20 {
			popular++
		}
	}
	if all := 20 * 19 / 2; popular < all*9/10 {
		t.Errorf("%d of %d pairs of the most popular", popular, all)
	}
	if most := slices.Max(m.have); most > people*6/10 || most < people*3/10 {
		t.Errorf("somebody has %d friends of %d people", most, people)
	}
	sum := int32(0)
	for _, n := range m.have {
		sum += n
	}
	if int(sum) != 2*len(m.pairs) {
		t.Errorf("%d halves of %d friendships", sum, len(m.pairs))
	}
}

// TestEveryOrderIsAsLikely: of three, each of the six orders comes a thousand times
// among six thousand, give or take what chance takes.
func TestEveryOrderIsAsLikely(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	orders := map[string]int{}
	for range 6_000 {
		list := []byte("abc")
		shuffle(rnd, list)
		orders[string(list)]++
	}
	for order, n := range orders {
		if n < 850 || n > 1_150 {
			t.Errorf("%s comes %d times", order, n)
		}
	}
	if len(orders) != 6 {
		t.Errorf("%v", orders)
	}
}

// TestTheGraphHasTheFriendshipsOfItsNetwork: as a set of pairs says.
func TestTheGraphHasTheFriendshipsOfItsNetwork(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		g := built(t, n)
		friends := map[[2]int64]bool{}
		for _, p := range n.Pairs {
			friends[[2]int64{int64(p[0]), int64(p[1])}] = true
			friends[[2]int64{int64(p[1]), int64(p[0])}] = true
		}
		found := 0
		for id := range int64(n.People) {
			list, _ := g.Friends(nil, id+1)
			for _, friend := range list {
				if found++; !friends[[2]int64{id + 1, friend}] {
					t.Fatalf("%d and %d are no friends", id+1, friend)
				}
			}
		}
		if s := g.Stats(); found != len(friends) || s.People != n.People {
			t.Fatalf("%d halves, want %d; %+v", found, len(friends), s)
		}
	})
}
