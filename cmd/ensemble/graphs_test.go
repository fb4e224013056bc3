package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"ensemble/client"
	"ensemble/internal/loadgen"
	"ensemble/wire"
)

// networks are the real networks that are loaded: the demonstration, and all three
// with ENSEMBLE_GRAPHS=all.
func networks(t *testing.T) map[string]*loadgen.Graph {
	t.Helper()
	demo, err := loadgen.Demo()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*loadgen.Graph{"ego-facebook": demo}
	if os.Getenv("ENSEMBLE_GRAPHS") != "all" {
		return all
	}
	for _, name := range []string{"github-social", "deezer-hu"} {
		path := filepath.Join("..", "..", "testdata", "graphs", name+".csv.gz")
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if all[name], err = loadgen.ReadGraph(file, path); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// answers is brute force over a network under the ids that the system gave.
type answers struct {
	lists   [][]int32 // by id, ascending
	weights []int32
}

func newAnswers(g *loadgen.Graph, ids []int64) *answers {
	a := &answers{lists: make([][]int32, len(ids)+1), weights: make([]int32, len(ids)+1)}
	for _, pair := range g.Friendships {
		x, y := ids[pair[0]], ids[pair[1]]
		a.lists[x] = append(a.lists[x], int32(y))
		a.lists[y] = append(a.lists[y], int32(x))
	}
	for _, list := range a.lists {
		slices.Sort(list)
	}
	return a
}

// ranked is a candidate by brute force.
type ranked struct{ id, weight int32 }

func (a *answers) recommend(id int64) (all []ranked) {
	clear(a.weights)
	for _, friend := range a.lists[id] {
		for _, other := range a.lists[friend] {
			a.weights[other]++
		}
	}
	a.weights[id] = 0
	for _, friend := range a.lists[id] {
		a.weights[friend] = 0
	}
	for other, weight := range a.weights {
		if weight > 0 {
			all = append(all, ranked{int32(other), weight})
		}
	}
	slices.SortFunc(all, func(x, y ranked) int {
		if x.weight != y.weight {
			return cmp.Compare(y.weight, x.weight)
		}
		return cmp.Compare(x.id, y.id)
	})
	return all
}

func (a *answers) mutual(x, y int64) (ids []int64) {
	for _, friend := range a.lists[x] {
		if _, found := slices.BinarySearch(a.lists[y], friend); found {
			ids = append(ids, int64(friend))
		}
	}
	return ids
}

// TestRealNetworksThroughTheGateway: the network goes in as commands; then the
// first ten recommendations of everybody, all recommendations of 500 people, and
// the mutual friends of the pairs returned are what brute force says.
func TestRealNetworksThroughTheGateway(t *testing.T) {
	for name, g := range networks(t) {
		t.Run(name, func(t *testing.T) {
			r := start(t, filepath.Join(t.TempDir(), "data"))
			transport := client.Transport(64)
			defer transport.CloseIdleConnections()
			c := client.New("http://"+r.edge, &http.Client{Transport: transport})
			ids := make([]int64, len(g.People))
			report, err := loadgen.Run(t.Context(), loadgen.Options{Client: c, Graph: g, Keys: "graphs-", IDs: ids})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range report.Phases {
				t.Logf("%d %s in %v", p.Done, p.Name, p.Took)
				if len(p.Errors) > 0 {
					t.Errorf("%s: %v", p.Name, p.Errors)
				}
			}
			dense(t, ids)
			waitForGraph(t, c, g, ids)
			compareAll(t, c, g, ids)
		})
	}
}

// dense checks that the ids are 1, 2, 3, … in some order.
func dense(t *testing.T, ids []int64) {
	t.Helper()
	for i, id := range slices.Sorted(slices.Values(ids)) {
		if id != int64(i+1) {
			t.Fatalf("the ids are not dense: %d is at %d", id, i)
		}
	}
}

// waitForGraph waits until the recommendations have seen the last friendship.
func waitForGraph(t *testing.T, c *client.Client, g *loadgen.Graph, ids []int64) {
	t.Helper()
	last := g.Friendships[len(g.Friendships)-1]
	a := newAnswers(g, ids)
	for t.Context().Err() == nil {
		got, err := c.Recommend(t.Context(), ids[last[0]], 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == len(a.recommend(ids[last[0]])) {
			return
		}
	}
}

// compareAll asks about everybody, 16 questions at once.
func compareAll(t *testing.T, c *client.Client, g *loadgen.Graph, ids []int64) {
	t.Helper()
	const askers = 16
	full := max(1, len(ids)/500)
	group, ctx := errgroup.WithContext(t.Context())
	for asker := range askers {
		group.Go(func() error {
			a := newAnswers(g, ids)
			for i := asker; i < len(ids); i += askers {
				if err := compareOne(ctx, c, a, ids[i], i%full == 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func compareOne(ctx context.Context, c *client.Client, a *answers, id int64, full bool) error {
	want := a.recommend(id)
	ten, err := c.Recommend(ctx, id, 10)
	if err != nil {
		return err
	}
	if !equal(ten, want[:min(10, len(want))]) {
		return fmt.Errorf("the first ten of %d are %v, want %v", id, ten, want[:min(10, len(want))])
	}
	if !full {
		return nil
	}
	all, err := c.Recommend(ctx, id, 0)
	if err != nil {
		return err
	}
	if !equal(all, want) {
		return fmt.Errorf("all of %d: %d candidates, want %d", id, len(all), len(want))
	}
	for _, r := range ten {
		shared, err := c.Mutual(ctx, id, r.User.ID)
		if err != nil {
			return err
		}
		got := make([]int64, len(shared))
		for i, u := range shared {
			got[i] = u.ID
		}
		if !slices.Equal(got, a.mutual(id, r.User.ID)) || len(got) != r.Weight {
			return fmt.Errorf("mutual friends of %d and %d: %v", id, r.User.ID, got)
		}
	}
	return nil
}

func equal(got []wire.Recommendation, want []ranked) bool {
	return slices.EqualFunc(got, want, func(r wire.Recommendation, w ranked) bool {
		return r.User.ID == int64(w.id) && r.Weight == int(w.weight)
	})
}
