package recommendation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"ensemble/eventstore"
	logs "ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is the domain over logs in memory, followed by the service.
type system struct {
	userStore, friendStore *eventstore.Store
	people                 *user.Service
	friendships            *friend.Service
	keys                   *keyring.Keyring
	service                *recommendation.Service
	users, friends         *projection.Runner
}

func newSystem(t *testing.T) *system {
	t.Helper()
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	open := func(view eventstore.View) *eventstore.Store {
		store, err := eventstore.Open(t.Context(), logs.New(logs.Options{Views: []eventstore.View{view}}), eventstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	s := &system{userStore: open(readmodel.UsersView(keys)), friendStore: open(readmodel.FriendView()), keys: keys}
	s.people = user.NewService(s.userStore, keys)
	s.friendships = friend.NewService(s.friendStore, readmodel.NewUsers(s.userStore))
	s.service = recommendation.New(memory.New(), keys)
	return s
}

// follow runs both projections until they have seen everything there is.
func (s *system) follow(t *testing.T) {
	t.Helper()
	s.users = projection.New("users", s.userStore.Subscribe, s.service.Users(), 0)
	s.friends = projection.New("friends", s.friendStore.Subscribe, s.service.Friends(), 0)
	for store, r := range map[*eventstore.Store]*projection.Runner{s.userStore: s.users, s.friendStore: s.friends} {
		head, err := store.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		if err := r.Wait(ctx, head.Position); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestCommandsBecomeRecommendations(t *testing.T) {
	s := newSystem(t)
	for _, name := range []string{"Ada", "Bob", "Eve", "Žofie"} {
		if _, err := s.people.Create(t.Context(), name, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range [][2]int64{{1, 2}, {2, 3}, {3, 4}, {2, 4}} {
		if _, err := s.friendships.Add(t.Context(), p[0], p[1], nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.people.Rename(t.Context(), 3, "Eva", "X"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // following again from the first event changes nothing
		s.follow(t)
		var got string
		for c, err := range s.service.Recommend(t.Context(), 1, recommendation.Query{}) {
			got += fmt.Sprint(c.User.FirstName, " ", c.Weight, " ", err, "; ")
		}
		if got != "Eva 1 <nil>; Žofie 1 <nil>; " {
			t.Fatalf("got %s", got)
		}
		got = ""
		for u, err := range s.service.Mutual(t.Context(), 1, 3, 0) {
			got += fmt.Sprint(u.FirstName, " ", err, "; ")
		}
		if got != "Bob <nil>; " {
			t.Fatalf("got %s", got)
		}
	}
}

func TestAForeignEventStopsTheProjection(t *testing.T) {
	s := newSystem(t)
	for name, c := range map[string]struct {
		p     projection.Projection
		event eventstore.Event
		want  error
	}{
		"another type in the log of users":       {s.service.Users(), eventstore.Event{Type: "FriendAdded", Stream: user.Stream(1)}, user.ErrForeign},
		"another stream in the log of users":     {s.service.Users(), eventstore.Event{Type: "UserErased", Stream: friend.Stream(1, 2)}, user.ErrForeign},
		"another type in the log of friendships": {s.service.Friends(), eventstore.Event{Type: "UserErased"}, friend.ErrForeign},
	} {
		if err := c.p.Apply(t.Context(), []eventstore.Event{c.event}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
