package graph

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// crowded returns a small graph in which many share friends, and its oracle.
func crowded(t *rapid.T) (*Graph, *oracle) {
	g, o := New(), newOracle()
	change := rapid.Custom(func(t *rapid.T) Change {
		kind := rapid.SampledFrom([]Kind{Connect, Connect, Connect, Connect, Disconnect, RemoveUser}).Draw(t, "kind")
		return Change{Kind: kind, From: rapid.Int64Range(1, 9).Draw(t, "from"), To: rapid.Int64Range(1, 9).Draw(t, "to")}
	})
	changes := rapid.SliceOfN(change, 10, 40).Draw(t, "changes")
	for id := range int64(9) {
		changes = append(changes, Change{Kind: AddUser, From: id + 1})
	}
	must(t, g, changes...)
	o.apply(changes...)
	return g, o
}

func TestAQueryIsAPartOfTheWholeRanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, o := crowded(t)
		who := rapid.Int64Range(1, 9).Draw(t, "who")
		q := Query{
			Limit:     rapid.IntRange(-1, 6).Draw(t, "limit"),
			MinWeight: rapid.IntRange(-1, 5).Draw(t, "min"),
			After:     Ranked{ID: rapid.Int64Range(0, 10).Draw(t, "after"), Weight: rapid.IntRange(0, 6).Draw(t, "weight")},
		}
		want := slices.DeleteFunc(o.recommend(who, 0), func(r Ranked) bool {
			return r.Weight < q.MinWeight || q.After != Ranked{} && compare(r, q.After) <= 0
		})
		if q.Limit > 0 {
			want = want[:min(q.Limit, len(want))]
		}
		got, err := g.Rank(nil, who, q)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%+v for %d: %v\n%s", q, who, err, diff)
		}
	})
}

func TestPagesOfAnySizeAreTheWholeRanking(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, o := crowded(t)
		who := rapid.Int64Range(1, 9).Draw(t, "who")
		var all []Ranked
		for q := (Query{Limit: 1}); ; q.After = all[len(all)-1] {
			q.Limit = rapid.IntRange(1, 4).Draw(t, "limit")
			page, err := g.Rank(nil, who, q)
			if err != nil {
				t.Fatal(err)
			}
			if all = append(all, page...); len(page) < q.Limit {
				break
			}
		}
		if diff := cmp.Diff(o.recommend(who, 0), all, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
