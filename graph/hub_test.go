package graph

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
)

// onCores runs a test on several numbers of cores.
func onCores(t *testing.T, test func(t *testing.T, cores int)) {
	for _, cores := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(cores, " cores"), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			test(t, cores)
		})
	}
}

// dense returns a graph in which most are friends of most, who count apart.
func dense(t testing.TB, seed uint64) (*Graph, *plainGraph, *crowd) {
	c, g, p := newCrowd(seed, 60), New(), newPlainGraph()
	g.apart = 1
	changes := c.draw(6000)
	for _, id := range c.ids[:50] {
		changes = append(changes, Change{Kind: AddUser, From: id})
	}
	must(t, g, changes...)
	p.apply(changes...)
	return g, p, c
}

func TestCountingApartIsCountingTogether(t *testing.T) {
	onCores(t, func(t *testing.T, cores int) {
		for seed := range uint64(3 * soaking()) {
			g, p, c := dense(t, seed)
			for range 2 {
				holdAgainst(t, p, g, c.rnd)
			}
			if got := len(*g.readers.places.Load()); got != 1+cores {
				t.Fatalf("%d places were taken, want one for each core and the query's", got)
			}
		}
	})
}

// TestCountingApartNearTheEnd: the cores' counters start over at different times.
func TestCountingApartNearTheEnd(t *testing.T) {
	onCores(t, func(t *testing.T, _ int) {
		g, p, c := dense(t, 7)
		all := recommend(t, g, popular(p), 0)
		for i := range 100 {
			for _, r := range *g.readers.places.Load() {
				if i%10 == 0 && len(r.narrow.counts) > 0 {
					r.narrow.base = uint16(r.narrow.most() - c.rnd.IntN(60))
				}
			}
			same(t, "all", recommend(t, g, popular(p), 0), all)
		}
		same(t, "all", all, p.rank(popular(p), Query{}))
	})
}

// popular returns who has most friends of those who are there.
func popular(p *plainGraph) int64 {
	return slices.MaxFunc(p.people, func(a, b plainPerson) int { return len(p.friends(a.id)) - len(p.friends(b.id)) }).id
}

// TestCountingApartWithWideCounters: more friends than one core's narrow counters can
// count are counted in turns.
func TestCountingApartWithWideCounters(t *testing.T) {
	g, _, center := star(t, 40)
	g.apart = 1
	var want []Ranked
	for o := int64(1); o <= 40; o++ {
		want = append(want, Ranked{center + o, leaves / int(o)})
	}
	onCores(t, func(t *testing.T, cores int) {
		for range 2 {
			same(t, "all", recommend(t, g, center, 0), want)
			same(t, "ten", recommend(t, g, center, 10), want[:10])
			got, err := g.Rank(nil, center, Query{MinWeight: leaves / 4, After: want[1], Limit: 9})
			same(t, "from a third to a quarter", got, want[2:4])
			if err != nil || len(*g.readers.places.Load()) < 1+cores {
				t.Errorf("%d places, %v", len(*g.readers.places.Load()), err)
			}
		}
	})
}
