package graph

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestRadixSortSortsKeysOfAnyWidth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for width := 1; width <= 64; width++ {
		for _, n := range []int{0, 1, 2, 33, 1000} {
			keys := make([]uint64, n)
			for i := range keys {
				keys[i] = rnd.Uint64() >> (64 - width)
				if rnd.IntN(4) == 0 {
					keys[i] = keys[rnd.IntN(i+1)]
				}
			}
			want := slices.Sorted(slices.Values(keys))
			if got := radixSort(keys, make([]uint64, n), width); !slices.Equal(got, want) {
				t.Fatalf("%d keys of %d bits: %x, want %x", n, width, got, want)
			}
		}
	}
}

// TestFullRankingsWithIDsOfAnySize: one person's friends share many candidates with
// ids of so many bits. With all 63 and any weights they are sorted by comparing.
func TestFullRankingsWithIDsOfAnySize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 9))
	for width := 8; width <= 63; width += 5 {
		var changes []Change
		for id := int64(1); id <= 6; id++ {
			changes = append(changes, Change{Kind: AddUser, From: id})
			changes = append(changes, Change{Connect, 1, id})
		}
		widest := 0
		for n := range 150 {
			id := max(10, rnd.Int64()>>(63-width))
			if n == 0 {
				id = math.MaxInt64 >> (63 - width)
			}
			widest = max(widest, bits.Len64(uint64(id)))
			changes = append(changes, Change{Kind: AddUser, From: id})
			for f := range int64(1 + rnd.IntN(5)) {
				changes = append(changes, Change{Connect, id, 2 + f})
			}
		}
		g, p := New(), newPlainGraph(changes...)
		must(t, g, changes...)
		for _, limit := range []int{0, 65, 100, 1000} {
			same(t, "ranking", recommend(t, g, 1, limit), p.rank(1, Query{Limit: limit}))
		}
		if widest != width || len(p.rank(1, Query{})) < 65 {
			t.Fatalf("ids of %d bits, %d candidates", widest, len(p.rank(1, Query{})))
		}
	}
}

// TestAFullRankingIsAppended: what dst held before stays where it is, whatever the
// limit.
func TestAFullRankingIsAppended(t *testing.T) {
	g, head := small(t), []Ranked{{99, 9}, {98, 1}}
	for _, limit := range []int{0, 65, math.MaxInt} {
		got, err := g.Recommend(slices.Clone(head), 1, limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "appended", got, append(slices.Clone(head), recommend(t, g, 1, 0)...))
	}
}
