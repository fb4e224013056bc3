package memory_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ensemble/decider"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	backendtest.Run(t, 2_000, func(*testing.T) recommendation.Backend { return memory.New() })
}

// star returns a backend in which person 1 is friends with 2, who has n friends
// more.
func star(t *testing.T, n int64) *memory.Backend {
	t.Helper()
	b := memory.New()
	var people []recommendation.Person
	events := []friend.Event{friend.Added{By: 1, To: 2}}
	for id := int64(1); id <= n+2; id++ {
		people = append(people, recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{
			Event: user.Created{FirstName: "A", Key: id}, Number: id, Time: time.Unix(id, 0),
		}})
		if id > 2 {
			events = append(events, friend.Added{By: id, To: 2})
		}
	}
	if err := errors.Join(b.ApplyUsers(t.Context(), people), b.ApplyFriends(t.Context(), backendtest.Friendships(events...))); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestALongAnswerEndsWithItsContext(t *testing.T) {
	b := star(t, 5000)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	for _, err := range b.Recommend(ctx, 1, recommendation.Query{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		if n++; n == 10 {
			cancel()
		}
	}
	if n > 2000 {
		t.Fatalf("%d people after the end", n)
	}
	cancel()
}

func TestStatsCountTheGraph(t *testing.T) {
	s := star(t, 10).Stats()
	if s.People != 12 || s.Friendships != 11 || s.Stubs != 0 {
		t.Fatalf("got %+v", s)
	}
}

// TestSomebodyErasedDuringAnAnswerIsLeftOut: the ranking and the names are two
// looks; nobody is shown without a name.
func TestSomebodyErasedDuringAnAnswerIsLeftOut(t *testing.T) {
	b := star(t, 300)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for range 50 {
				for c, err := range b.Recommend(context.Background(), 1, recommendation.Query{}) {
					if err != nil || c.User.FirstName != "A" {
						t.Errorf("got %+v, %v", c, err)
						return
					}
				}
			}
		})
	}
	for id := int64(3); id <= 302; id++ {
		err := b.ApplyUsers(t.Context(), []recommendation.Person{{ID: id, Event: decider.Recorded[user.Event]{Event: user.Erased{}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	for c := range b.Recommend(t.Context(), 1, recommendation.Query{}) {
		t.Fatalf("%+v is left", c)
	}
}
