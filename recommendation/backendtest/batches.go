package backendtest

import (
	"fmt"
	"strings"
	"testing"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/recommendation"
)

// batches tests the sentences about what comes in together.
func batches(t *testing.T, open func(t *testing.T) recommendation.Backend) {
	t.Run("nothing is a batch, too", func(t *testing.T) {
		w := example(t, open(t))
		w.people(t)
		w.friends(t)
		w.want(t, "recommend 1: 4D×2 6F×2 5E×1", w.recommend(t, 1, 0))
	})
	t.Run("of a batch the last word about a pair counts", func(t *testing.T) {
		w := example(t, open(t))
		w.friends(t, friend.Removed{By: 2, To: 4}, friend.Added{By: 2, To: 4}, friend.Removed{By: 2, To: 5},
			friend.Added{By: 1, To: 6}, friend.Removed{By: 1, To: 6})
		w.want(t, "recommend 1: 4D×2 6F×2", w.recommend(t, 1, 0))
	})
	t.Run("a batch may be somebody's whole life", func(t *testing.T) {
		w := example(t, open(t))
		w.people(t, created(7), renamed(7, "Gina", 50), erased(7, 60), created(8), renamed(8, "Hal", 50), created(9))
		w.friends(t, friend.Added{By: 7, To: 2}, friend.Added{By: 8, To: 2}, friend.Added{By: 9, To: 8})
		w.want(t, "recommend 1: 4D×2 6F×2 5E×1 8Hal×1", w.recommend(t, 1, 0))
		w.want(t, "recommend 2: 9I×1", w.recommend(t, 2, 0))
	})
	t.Run("two are friends while either direction is there", func(t *testing.T) {
		w := example(t, open(t))
		w.friends(t, friend.Added{By: 2, To: 1})
		w.want(t, "recommend 1: 4D×2 6F×2 5E×1", w.recommend(t, 1, 0)) // 2 counts once
		w.friends(t, friend.Removed{By: 1, To: 2})
		w.want(t, "recommend 1: 4D×2 6F×2 5E×1", w.recommend(t, 1, 0))
		w.friends(t, friend.Removed{By: 2, To: 1})
		w.want(t, "recommend 1: 2B×1 4D×1 6F×1", w.recommend(t, 1, 0))
	})
	t.Run("positions change nothing", func(t *testing.T) {
		w := example(t, open(t))
		people := []recommendation.Person{renamed(4, "Dora", 100), created(7)}
		events := Friendships(friend.Added{By: 7, To: 2}, friend.Removed{By: 2, To: 5})
		for i := range 2 {
			people[i].Position, events[i].Position = eventstore.Position(i+1), eventstore.Position(i+1)
			events[i].Event.Time = at(int64(i))
		}
		for range 2 { // the second time from an older checkpoint
			w.people(t, people...)
			w.happened(t, events...)
			w.want(t, "recommend 1: 4Dora×2 6F×2 7G×1", w.recommend(t, 1, 0))
		}
	})
	t.Run("a list is as long as it is", func(t *testing.T) { long(t, &world{backend: open(t)}) })
}

// long has more people than a backend looks up at once.
func long(t *testing.T, w *world) {
	t.Helper()
	const people = 333
	var all []recommendation.Person
	var events []friend.Event
	for id := int64(1); id <= people; id++ {
		all = append(all, created(id))
		if id > 3 { // 1 and 2 know all of them; 3 knows 1
			events = append(events, friend.Added{By: id % 2 * id, To: 1}, friend.Added{By: 2, To: id})
		}
	}
	for i := range events {
		if a, ok := events[i].(friend.Added); ok && a.By == 0 {
			events[i] = friend.Added{By: 1, To: int64(i/2 + 4)}
		}
	}
	w.people(t, all...)
	w.friends(t, append(events, friend.Added{By: 3, To: 1})...)
	var previous int64 = 3
	for u, err := range w.backend.Mutual(t.Context(), 1, 2, 0) {
		if err != nil || u.ID != previous+1 {
			t.Fatalf("%d comes after %d, %v", u.ID, previous, err)
		}
		previous = u.ID
	}
	if previous != people {
		t.Fatalf("the last is %d", previous)
	}
	var want, got strings.Builder
	for id := 4; id <= people; id++ {
		fmt.Fprintf(&want, " %d×1", id)
	}
	for c, err := range w.backend.Recommend(t.Context(), 3, recommendation.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, " %d×%d", c.User.ID, c.Weight)
	}
	if got.String() != want.String() {
		t.Fatalf("got %s", got.String())
	}
}
