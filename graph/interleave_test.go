package graph

import (
	"math/rand/v2"
	"os"
	"testing"
)

// interleavings is how many random orders are tried.
func interleavings() int {
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		return 20_000
	}
	return 2_000
}

// TestAnyInterleavingEndsInTheSameGraph: the histories of all pairs and people,
// mixed at random, parts of them repeated from their beginning.
func TestAnyInterleavingEndsInTheSameGraph(t *testing.T) {
	for seed := range uint64(interleavings()) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		histories := drawHistories(rnd)
		o := newOracle()
		for _, h := range histories {
			o.apply(h...)
		}
		g := New()
		must(t, g, mix(rnd, histories)...)
		compareAll(t, g, o, 8)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// drawHistories returns what happens to each pair and each person, in order.
func drawHistories(rnd *rand.Rand) (histories [][]Change) {
	for a := int64(1); a <= 7; a++ {
		h := []Change{{Kind: AddUser, From: a}}
		if rnd.IntN(6) == 0 {
			h = append(h, Change{Kind: RemoveUser, From: a})
		}
		histories = append(histories, h)
		for b := a + 1; b <= 7; b++ {
			histories = append(histories, drawPair(rnd, a, b))
		}
	}
	return histories
}

func drawPair(rnd *rand.Rand, a, b int64) (h []Change) {
	for range rnd.IntN(4) {
		from, to := a, b
		if rnd.IntN(2) == 0 {
			from, to = b, a
		}
		h = append(h, Change{Connect, from, to})
		if rnd.IntN(3) == 0 {
			h = append(h, Change{Disconnect, from, to})
		}
	}
	return h
}

// mix merges histories at random. A history may begin again from its first change,
// as after a restart from an old checkpoint; it then runs to its end.
func mix(rnd *rand.Rand, histories [][]Change) (all []Change) {
	next := make([]int, len(histories))
	again := make([]int, len(histories))
	for range 10_000 {
		i := rnd.IntN(len(histories))
		if next[i] < len(histories[i]) {
			all = append(all, histories[i][next[i]])
			next[i]++
			if rnd.IntN(10) == 0 && again[i] < 2 {
				next[i] = 0
				again[i]++
			}
		}
		if done(next, histories) {
			return all
		}
	}
	for i, h := range histories {
		all = append(all, h[next[i]:]...)
	}
	return all
}

func done(next []int, histories [][]Change) bool {
	for i, h := range histories {
		if next[i] < len(h) {
			return false
		}
	}
	return true
}
