package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ensemble/client"
	"ensemble/wire"
)

// all reads a list to its end.
func all[T any](t *testing.T, list iter.Seq2[T, error]) (items []T) {
	t.Helper()
	for item, err := range list {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

// hub makes n people of whom 1 and 2 are friends with 3, 4 and 5, and 3 with
// everybody.
func hub(t *testing.T, n int64) *client.Client {
	t.Helper()
	s, c := connect(t)
	for range n {
		if _, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
			t.Fatal(err)
		}
	}
	pairs := [][2]int64{{1, 3}, {1, 4}, {1, 5}, {2, 3}, {2, 4}, {2, 5}}
	for id := int64(4); id <= n; id++ {
		pairs = append(pairs, [2]int64{3, id})
	}
	for _, p := range pairs {
		if _, _, err := c.AddFriend(t.Context(), p[0], p[1], ""); err != nil {
			t.Fatal(err)
		}
	}
	s.Settle(t)
	return c
}

func TestListsPageByPage(t *testing.T) {
	c := hub(t, 20)
	ctx := t.Context()
	whole, err := c.Friends(ctx, 3)
	if err != nil || len(whole) != 19 {
		t.Fatalf("%d friends, %v", len(whole), err)
	}
	ranked, err := c.Recommend(ctx, 1, 0)
	if err != nil || len(ranked) != 16 {
		t.Fatalf("%d recommendations, %v", len(ranked), err)
	}
	for _, size := range []int{0, 1, 3, 19, 1000} {
		var ids []int64
		for _, u := range all(t, c.EachUser(ctx, size)) {
			ids = append(ids, u.ID)
		}
		if len(ids) != 20 || !slices.IsSorted(ids) {
			t.Errorf("people by %d: %v", size, ids)
		}
		if got := all(t, c.EachFriend(ctx, 3, size)); !slices.Equal(got, whole) {
			t.Errorf("friends by %d: %v", size, got)
		}
		if got := all(t, c.EachMutual(ctx, 1, 2, size)); len(got) != 3 || got[2].ID != 5 {
			t.Errorf("mutual friends by %d: %v", size, got)
		}
		got := all(t, c.EachRecommendation(ctx, 1, client.Query{Limit: size}))
		if fmt.Sprint(got) != fmt.Sprint(ranked) {
			t.Errorf("recommendations by %d: %v", size, got)
		}
	}
	if got := all(t, c.StreamRecommendations(ctx, 1, client.Query{})); fmt.Sprint(got) != fmt.Sprint(ranked) {
		t.Errorf("streamed: %v", got)
	}
	best, err := c.RecommendBy(ctx, 1, client.Query{MinWeight: 2, Explain: true})
	if err != nil || len(best) != 1 || best[0].User.ID != 2 || !slices.Equal(best[0].MutualFriends, []int64{3, 4, 5}) {
		t.Errorf("the best are %+v, %v", best, err)
	}
	if some, err := c.Users(ctx, 3); err != nil || len(some) != 3 {
		t.Errorf("%v, %v", some, err)
	}
}

func TestALoopMayBeLeft(t *testing.T) {
	c := hub(t, 10)
	for _, list := range []iter.Seq2[wire.Recommendation, error]{
		c.EachRecommendation(t.Context(), 1, client.Query{Limit: 1}), c.StreamRecommendations(t.Context(), 1, client.Query{}),
	} {
		for r, err := range list {
			if err != nil || r.User.ID != 2 {
				t.Errorf("%+v, %v", r, err)
			}
			break
		}
	}
}

func TestUsersByIDTakesAnyNumber(t *testing.T) {
	c := hub(t, 10)
	ids := []int64{7, 7, 3}
	for id := int64(2000); id > 10; id-- {
		ids = append(ids, id)
	}
	users, err := c.UsersByID(t.Context(), append(ids, 9)...)
	if err != nil || len(users) != 3 || users[0].ID != 3 || users[2].ID != 9 {
		t.Errorf("%+v, %v", users, err)
	}
	if users, err := c.UsersByID(t.Context()); err != nil || len(users) != 0 {
		t.Errorf("nobody is %+v, %v", users, err)
	}
	var problem *client.ProblemError
	if _, err := c.UsersByID(t.Context(), 0); !errors.As(err, &problem) || problem.Slug() != wire.InvalidID {
		t.Errorf("id 0: %v", err)
	}
}

// A list that ends with an error says so as its last item.
func TestListsThatBreak(t *testing.T) {
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "cursor") {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		if r.Header.Get("Accept") == "application/x-ndjson" {
			fmt.Fprintln(w, `{"weight":1}`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Link", `</elsewhere>; rel="prev", </user/v1/users?ids=1,2&cursor=x>; rel="next"`)
		fmt.Fprint(w, `[{"weight":1}]`)
	}))
	for name, list := range map[string]iter.Seq2[wire.Recommendation, error]{
		"page by page": c.EachRecommendation(t.Context(), 1, client.Query{}),
		"streamed":     c.StreamRecommendations(t.Context(), 1, client.Query{}),
	} {
		items, errs := 0, 0
		for r, err := range list {
			if err == nil && r.Weight == 1 && errs == 0 {
				items++
			} else if err != nil {
				errs++
			}
		}
		if items != 1 || errs != 1 {
			t.Errorf("%s: %d items and %d errors", name, items, errs)
		}
	}
}

func TestLinksToElsewhereAreNotFollowed(t *testing.T) {
	for _, link := range []string{
		`<http://evil.example/>; rel="next"`, `<//evil.example/>; rel="next"`, `</x>; rel="prev"`, `</x`, `<`, `rel="next"`, `,,,`, `</x>, rel="next"`,
	} {
		c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/user/v1/users" {
				t.Errorf("%s was followed to %s", link, r.URL)
			}
			w.Header().Set("Link", link)
			fmt.Fprint(w, `[{"id":1}]`)
		}))
		if got := all(t, c.EachUser(t.Context(), 5)); len(got) != 1 {
			t.Errorf("%s: %v", link, got)
		}
	}
}

func ExampleClient_EachUser() {
	c := client.New("http://127.0.0.1:9000", nil)
	for u, err := range c.EachUser(context.Background(), 100) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(u.ID, u.FirstName)
	}
}
