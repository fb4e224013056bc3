package memory_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/decider"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// created, renamed and erased are what happens to a person.
func created(id int64, name string, at int64) recommendation.Person {
	return happened(id, user.Created{FirstName: name, Key: id}, at)
}

func happened(id int64, e user.Event, at int64) recommendation.Person {
	return recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{Event: e, Number: id, Time: time.Unix(at, 0)}}
}

// TestReadersSeeAWholeGraphWhileItGrowsAndShrinks: no answer holds somebody without a
// name, the person who asks, a friend, or somebody who was erased before it began.
func TestReadersSeeAWholeGraphWhileItGrowsAndShrinks(t *testing.T) {
	const people = 60
	b := memory.New()
	for id := int64(1); id <= people; id++ {
		if err := b.ApplyUsers(t.Context(), []recommendation.Person{created(id, "A", id)}); err != nil {
			t.Fatal(err)
		}
	}
	var gone [people + 1]atomic.Bool // erased for good
	stop := make(chan struct{})
	var group sync.WaitGroup
	for reader := range int64(3) {
		group.Go(func() {
			for id := reader%people + 1; ; id = id%people + 1 {
				select {
				case <-stop:
					return
				default:
				}
				var before [people + 1]bool
				for i := range before {
					before[i] = gone[i].Load()
				}
				last := int(1 << 30)
				for c, err := range b.Recommend(context.Background(), id, recommendation.Query{}) {
					if err != nil || c.User.FirstName == "" || c.User.ID == id || before[c.User.ID] || c.Weight < 1 || c.Weight > last {
						t.Errorf("for %d: %+v after weight %d, erased %v, %v", id, c, last, before[c.User.ID], err)
						return
					}
					last = c.Weight
				}
				previous := int64(0)
				for u, err := range b.Mutual(context.Background(), id, id%people+1, 0) {
					if err != nil || u.FirstName == "" || u.ID <= previous || before[u.ID] {
						t.Errorf("mutual of %d: %+v after %d, %v", id, u, previous, err)
						return
					}
					previous = u.ID
				}
			}
		})
	}
	for step := range int64(3000) {
		x, y := step*7%people+1, step*step%people+1
		var err error
		switch {
		case x == y:
		case step%5 == 4:
			err = b.ApplyFriends(t.Context(), backendtest.Friendships(friend.Removed{By: x, To: y}))
		case step%300 == 299:
			err = b.ApplyUsers(t.Context(), []recommendation.Person{happened(x, user.Erased{}, 10_000+step)})
			gone[x].Store(true)
		default:
			err = b.ApplyFriends(t.Context(), backendtest.Friendships(friend.Added{By: x, To: y}))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	group.Wait()
}

// TestSomebodyErasedInTheMiddleOfAListIsNotShownFurtherOn, and the rest of the list is:
// not who would be next, nor who was fetched ahead, nor who is far behind.
func TestSomebodyErasedInTheMiddleOfAListIsNotShownFurtherOn(t *testing.T) {
	b := star(t, 100)
	erased := []int64{13, 14, 20, 34, 50, 51, 99}
	shown := map[int64]bool{}
	for c, err := range b.Recommend(t.Context(), 1, recommendation.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if shown[c.User.ID] = true; len(shown) == 10 {
			for _, id := range erased {
				if err := b.ApplyUsers(t.Context(), []recommendation.Person{happened(id, user.Erased{}, 1000)}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for id := int64(3); id <= 102; id++ {
		if want := !slices.Contains(erased, id); shown[id] != want {
			t.Errorf("person %d is shown: %v", id, shown[id])
		}
	}
}

// TestALogThatIsFollowedAgainChangesNothing: names that were changed since stay, and who
// is erased stays erased.
func TestALogThatIsFollowedAgainChangesNothing(t *testing.T) {
	b := star(t, 3)
	history := []recommendation.Person{
		created(3, "A", 3), happened(3, user.Renamed{FirstName: "New"}, 100),
		created(4, "A", 4), happened(4, user.Erased{}, 101),
	}
	for from := range history {
		if err := b.ApplyUsers(t.Context(), history); err != nil {
			t.Fatal(err)
		}
		if err := b.ApplyUsers(t.Context(), history[from:]); err != nil {
			t.Fatal(err)
		}
		names := map[int64]string{}
		for c, err := range b.Recommend(t.Context(), 1, recommendation.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			names[c.User.ID] = c.User.FirstName
		}
		if len(names) != 2 || names[3] != "New" || names[5] != "A" {
			t.Fatalf("followed again from %d: %v", from, names)
		}
	}
}
