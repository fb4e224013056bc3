package bench

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ensemble/graph"
)

// built returns the graph of a network.
func built(t rapid.TB, n *Network) *graph.Graph {
	t.Helper()
	g := graph.New()
	if err := n.Changes(func(part []graph.Change) error {
		_, err := g.Apply(part)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return g
}

// drawNetwork returns any small network, also with friendships that come twice.
func drawNetwork(t *rapid.T) *Network {
	people := rapid.IntRange(2, 30).Draw(t, "people")
	id := rapid.Int32Range(1, int32(people))
	return &Network{People: people, Pairs: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]int32 {
		a, b := id.Draw(t, "a"), id.Draw(t, "b")
		if a == b {
			b = a%int32(people) + 1
		}
		return [2]int32{a, b}
	}), 0, 100).Draw(t, "pairs")}
}

func TestThePlainGraphAnswersAsTheGraphDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		g, p := built(t, n), NewPlainGraph(NewLists(n.People, n.Pairs))
		for who := range int64(n.People) {
			for _, limit := range []int{0, 1, 3} {
				want, _ := g.Recommend(nil, who+1, limit)
				if got := p.Recommend(who+1, limit); !slices.Equal(got, want) {
					t.Fatalf("%d, limit %d: %v, want %v", who+1, limit, got, want)
				}
			}
			want, _ := g.Mutual(nil, 1, who+1)
			if got := p.Mutual(1, who+1); who > 0 && !slices.Equal(got, want) {
				t.Fatalf("1 and %d share %v, want %v", who+1, got, want)
			}
		}
	})
}

// TestListsHoldEveryFriendOnce: as a set of pairs does.
func TestListsHoldEveryFriendOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNetwork(t)
		sets := make([]map[int32]bool, n.People+1)
		for i := range sets {
			sets[i] = map[int32]bool{}
		}
		for _, p := range n.Pairs {
			sets[p[0]][p[1]], sets[p[1]][p[0]] = true, true
		}
		l := NewLists(n.People, n.Pairs)
		for id := range int64(n.People) {
			list, paths := l.Of(id+1), 0
			if len(list) != len(sets[id+1]) || !slices.IsSorted(list) {
				t.Fatalf("the friends of %d: %v, want %v", id+1, list, sets[id+1])
			}
			for _, friend := range list {
				paths += len(sets[friend])
			}
			if got := l.Paths(id + 1); got != paths {
				t.Fatalf("%d paths from %d, want %d", got, id+1, paths)
			}
			for other := range int64(n.People) {
				if got := l.Friends(id+1, other+1); got != sets[id+1][int32(other+1)] {
					t.Fatalf("%d and %d are friends: %v", id+1, other+1, got)
				}
			}
		}
	})
}

func TestReadingReadsTheListsOfAllFriends(t *testing.T) {
	l := NewLists(5, [][2]int32{{1, 2}, {2, 1}, {2, 3}, {1, 4}, {4, 5}})
	// The friends of 1 are 2, who has 1 and 3, and 4, who has 1 and 5.
	if paths, sum := l.Paths(1), l.Read(1); paths != 4 || sum != 1+3+1+5 {
		t.Errorf("%d paths, sum %d", paths, sum)
	}
	if l := NewLists(5, nil); l.Paths(3) != 0 || l.Read(3) != 0 {
		t.Error("somebody without friends has paths")
	}
}

// TestTheBestOfManyAreKept: a heap of ten over hundreds of candidates is what sorting
// all of them gives.
func TestTheBestOfManyAreKept(t *testing.T) {
	n := Generated(500)
	p := NewPlainGraph(NewLists(n.People, n.Pairs))
	for id := range int64(n.People) {
		all := slices.Clone(p.Recommend(id+1, 0))
		for _, limit := range []int{1, 2, 10, len(all) + 1} {
			want, got := all[:min(limit, len(all))], p.Recommend(id+1, limit)
			if !slices.Equal(got, want) {
				t.Fatalf("%d, limit %d: %v, want %v", id+1, limit, got, want)
			}
		}
	}
}

// TestHugePagesKeepWhatIsInAList: whatever its length, and where it begins.
func TestHugePagesKeepWhatIsInAList(t *testing.T) {
	for _, n := range []int{0, 1, 1_000, 524_288, 2_000_000} {
		list := make([]int32, n)
		hugePages(list)
		for i := range list {
			list[i] = int32(i)
		}
		hugePages(list[n/3:])
		for i := range list {
			if list[i] != int32(i) {
				t.Fatalf("%d of %d is %d", i, n, list[i])
			}
		}
	}
}
