package backendtest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ensemble/friend"
	"ensemble/recommendation"
)

// paging tests the sentences about parts of lists.
func paging(t *testing.T, open func(t *testing.T) recommendation.Backend) {
	t.Run("a query is a part of the whole list, in its order", func(t *testing.T) {
		w := example(t, open(t)) // 1 gets 4 with weight 2, 6 with 2, 5 with 1
		for _, c := range []struct {
			sentence string
			query    recommendation.Query
			want     string
		}{
			{"after the first", recommendation.Query{After: recommendation.Rank{ID: 4, Weight: 2}}, " 6F×2 5E×1"},
			{"after a place that nobody has", recommendation.Query{After: recommendation.Rank{ID: 5, Weight: 2}}, " 6F×2 5E×1"},
			{"after all of a weight", recommendation.Query{After: recommendation.Rank{ID: 99, Weight: 2}, Limit: 1}, " 5E×1"},
			{"before all of a weight", recommendation.Query{After: recommendation.Rank{ID: 0, Weight: 2}, Limit: 1}, " 4D×2"},
			{"after the last", recommendation.Query{After: recommendation.Rank{ID: 5, Weight: 1}}, ""},
			{"only the strong", recommendation.Query{MinWeight: 2}, " 4D×2 6F×2"},
			{"the rest of the strong", recommendation.Query{MinWeight: 2, After: recommendation.Rank{ID: 4, Weight: 2}}, " 6F×2"},
			{"nobody is that strong", recommendation.Query{MinWeight: 3}, ""},
		} {
			if got := w.query(t, 1, c.query); got != c.want {
				t.Errorf("%s: got%s, want%s", c.sentence, got, c.want)
			}
		}
	})
	t.Run("an explanation names the shared friends, lowest first", func(t *testing.T) {
		w := example(t, open(t))
		w.want(t, " 4D×2[2 3] 6F×2[2 3] 5E×1[2]", w.query(t, 1, recommendation.Query{Explain: true}))
		w.people(t, erased(2, 100))
		w.want(t, " 4D×1[3] 6F×1[3]", w.query(t, 1, recommendation.Query{Explain: true}))
	})
	t.Run("an explanation names ten at most", func(t *testing.T) {
		w := &world{backend: open(t)}
		for id := int64(14); id >= 1; id-- {
			w.people(t, created(id))
			if id > 2 {
				w.friends(t, friend.Added{By: 1, To: id}, friend.Added{By: id, To: 2})
			}
		}
		w.want(t, " 2B×12[3 4 5 6 7 8 9 10 11 12]", w.query(t, 1, recommendation.Query{Explain: true}))
	})
	t.Run("mutual friends go on after an id", func(t *testing.T) { mutualAfter(t, example(t, open(t))) })
	t.Run("a page is full although people are erased while it is read", func(t *testing.T) {
		full(t, &world{backend: open(t)})
	})
}

func mutualAfter(t *testing.T, w *world) {
	t.Helper()
	for after, want := range map[int64]string{0: "2 3", 1: "2 3", 2: "3", 3: "", 9: ""} {
		var got []string
		for u, err := range w.backend.Mutual(t.Context(), 1, 4, after) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(u.ID))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("after %d: %v, not %s", after, got, want)
		}
	}
}

// full erases those who follow the first candidate while the page is read.
func full(t *testing.T, w *world) {
	t.Helper()
	w.people(t, created(1), created(2))
	w.friends(t, friend.Added{By: 1, To: 2})
	for id := int64(3); id <= 12; id++ {
		w.people(t, created(id))
		w.friends(t, friend.Added{By: 2, To: id})
	}
	var got []int64
	for c, err := range w.backend.Recommend(t.Context(), 1, recommendation.Query{Limit: 3}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, c.User.ID); len(got) == 1 {
			w.people(t, erased(4, 100), erased(5, 100), erased(6, 100))
		}
	}
	// A backend may answer as of its beginning, or leave out who has gone since.
	if !slices.Equal(got, []int64{3, 4, 5}) && !slices.Equal(got, []int64{3, 7, 8}) {
		t.Fatalf("the page has %v", got)
	}
}

// query writes a list of candidates down.
func (w *world) query(t *testing.T, id int64, q recommendation.Query) string {
	t.Helper()
	var b strings.Builder
	for c, err := range w.backend.Recommend(t.Context(), id, q) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, " %d%s×%d", c.User.ID, c.User.FirstName, c.Weight)
		shown(t, c.User)
		if q.Explain {
			fmt.Fprint(&b, c.Shared)
		} else if c.Shared != nil {
			t.Fatalf("explained without being asked: %v", c.Shared)
		}
	}
	return b.String()
}

func drawQuery(rnd *rand.Rand) recommendation.Query {
	return recommendation.Query{
		Limit: rnd.IntN(4), MinWeight: rnd.IntN(4), Explain: rnd.IntN(2) == 0,
		After: recommendation.Rank{ID: rnd.Int64N(crowd + 2), Weight: rnd.IntN(4)},
	}
}

// query is world.query by brute force.
func (m *model) query(id int64, q recommendation.Query) string {
	var ranks []recommendation.Rank
	for other := int64(1); other <= crowd; other++ {
		r := recommendation.Rank{ID: other, Weight: len(m.shared(id, other))}
		if r.Weight > 0 && !m.are(id, other) && r.Weight >= q.MinWeight &&
			(q.After == recommendation.Rank{} || better(q.After, r) < 0) {
			ranks = append(ranks, r)
		}
	}
	slices.SortFunc(ranks, better)
	if q.Limit > 0 {
		ranks = ranks[:min(q.Limit, len(ranks))]
	}
	var b strings.Builder
	for _, r := range ranks {
		fmt.Fprintf(&b, " %d%s×%d", r.ID, m.names[r.ID], r.Weight)
		if q.Explain {
			fmt.Fprint(&b, m.shared(id, r.ID))
		}
	}
	return b.String()
}

// better orders ranks: the higher weight first, then the lower id.
func better(a, b recommendation.Rank) int {
	return cmp.Or(cmp.Compare(b.Weight, a.Weight), cmp.Compare(a.ID, b.ID))
}
