package recommendation_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/projection"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
)

// answers returns what the service says of everybody, as text.
func (s *system) answers(t *testing.T, people int64) string {
	t.Helper()
	var all string
	for id := int64(1); id <= people; id++ {
		for c, err := range s.service.Recommend(t.Context(), id, recommendation.Query{}) {
			all += fmt.Sprint(id, ":", c.User.ID, c.User.FirstName, " ", c.Weight, " ", err, "; ")
		}
	}
	return all
}

// run follows both logs until stop is called.
func (s *system) run(t *testing.T) (stop func()) {
	t.Helper()
	s.users = projection.New("users", s.userStore.Subscribe, s.service.Users(), 0)
	s.friends = projection.New("friends", s.friendStore.Subscribe, s.service.Friends(), 0)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, r := range []*projection.Runner{s.users, s.friends} {
		wg.Go(func() { _ = r.Run(ctx) })
	}
	return func() { cancel(); wg.Wait() }
}

// followers returns what feeds the service.
func (s *system) followers() recommendation.Followers {
	return recommendation.Followers{Users: s.users, Friends: s.friends}
}

// seen waits until the service has seen all that is in the logs.
func (s *system) seen(t *testing.T) {
	t.Helper()
	err := errors.Join(s.users.Wait(t.Context(), s.userStore.Position()), s.friends.Wait(t.Context(), s.friendStore.Position()))
	if err != nil {
		t.Fatal(err)
	}
}

// TestAGraphIsRebuiltBesideTheOneThatAnswers has people befriend each other during
// several rebuilds. No answer may be older than what was seen before, and in the
// end they are those of a graph that was never rebuilt.
func TestAGraphIsRebuiltBesideTheOneThatAnswers(t *testing.T) {
	s := newSystem(t)
	defer s.run(t)()
	const people = 40
	for i := range people {
		if _, err := s.people.Create(t.Context(), fmt.Sprint("P", i), "", nil); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { // a chain, whose second link makes 3 a candidate for 1, and so on
		for i := int64(1); i < people; i++ {
			if _, err := s.friendships.Add(t.Context(), i, i+1, nil); err != nil {
				t.Error(err)
				return
			}
			s.seen(t)
			for p := int64(1); p < i; p++ {
				if got := count(s.service.Recommend(t.Context(), p, recommendation.Query{})); got == 0 {
					t.Errorf("with %d friendships seen, nobody is recommended to %d", i, p)
				}
			}
		}
	})
	for range 20 {
		if err := s.service.Rebuild(t.Context(), memory.New(), s.followers(), func(_, _ eventstore.Position) {}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	s.seen(t)
	got := s.answers(t, people)
	s.service = recommendation.New(memory.New(), s.keys)
	s.follow(t)
	if want := s.answers(t, people); got != want || got == "" {
		t.Fatalf("got %s\nwant %s", got, want)
	}
}

// count returns how many items there are before an error.
func count[T any](items func(func(T, error) bool)) (n int) {
	for _, err := range items {
		if err != nil {
			return n
		}
		n++
	}
	return n
}

// failing is a backend that can't be filled.
type failing struct {
	recommendation.Backend
	err error
}

// ApplyUsers implements recommendation.Backend.
func (f failing) ApplyUsers(context.Context, []recommendation.Person) error { return f.err }

func TestARebuildThatFailsLeavesTheOldGraph(t *testing.T) {
	s := newSystem(t)
	defer s.run(t)()
	for _, name := range []string{"Ada", "Bob", "Eve"} {
		if _, err := s.people.Create(t.Context(), name, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range [][2]int64{{1, 2}, {2, 3}} {
		if _, err := s.friendships.Add(t.Context(), p[0], p[1], nil); err != nil {
			t.Fatal(err)
		}
	}
	s.seen(t)
	before := s.answers(t, 3)
	errFull := errors.New("no room")
	err := s.service.Rebuild(t.Context(), failing{memory.New(), errFull}, s.followers(), func(_, _ eventstore.Position) {})
	if !errors.Is(err, errFull) {
		t.Fatalf("got %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.service.Rebuild(canceled, memory.New(), s.followers(), func(_, _ eventstore.Position) {})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if after := s.answers(t, 3); after != before || before == "" {
		t.Fatalf("before %s, after %s", before, after)
	}
}

func TestOneGraphIsRebuiltAtATime(t *testing.T) {
	s := newSystem(t)
	defer s.run(t)()
	if _, err := s.people.Create(t.Context(), "Ada", "", nil); err != nil {
		t.Fatal(err)
	}
	s.seen(t)
	rebuild := func(progress func(_, _ eventstore.Position)) error {
		return s.service.Rebuild(t.Context(), memory.New(), s.followers(), progress)
	}
	err := rebuild(func(_, _ eventstore.Position) {
		if err := rebuild(func(_, _ eventstore.Position) {}); !errors.Is(err, eventstore.ErrRebuilding) {
			t.Errorf("the second got %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hooked is a backend that does something whenever people come in.
type hooked struct {
	recommendation.Backend
	before func()
}

// ApplyUsers implements recommendation.Backend.
func (h hooked) ApplyUsers(ctx context.Context, people []recommendation.Person) error {
	h.before()
	return h.Backend.ApplyUsers(ctx, people)
}

// TestBothFollowersAreHeldWhileAGraphTakesOver lets things happen at the two moments
// that matter: after the new graph has read the log, which it has to make up for, and
// while it takes over, which has to come afterwards.
func TestBothFollowersAreHeldWhileAGraphTakesOver(t *testing.T) {
	s := newSystem(t)
	defer s.run(t)()
	for _, name := range []string{"Ada", "Bob", "Eve"} {
		if _, err := s.people.Create(t.Context(), name, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	befriend := func(a, b int64) {
		if _, err := s.friendships.Add(t.Context(), a, b, nil); err != nil {
			t.Error(err)
		}
	}
	befriend(1, 2)
	s.seen(t)
	calls := 0
	fresh := hooked{memory.New(), func() {
		switch calls++; calls {
		case 1: // reading the log
			if _, err := s.people.Create(t.Context(), "Žofie", "", nil); err != nil {
				t.Error(err)
			}
			s.seen(t)
		case 2: // taking over: Žofie is made up for
			befriend(2, 3)
			befriend(2, 4)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // it can't move, however long one waits
			defer cancel()
			if err := s.friends.Wait(ctx, s.friendStore.Position()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("friendships were followed meanwhile: %v", err)
			}
		}
	}}
	if err := s.service.Rebuild(t.Context(), fresh, s.followers(), func(_, _ eventstore.Position) {}); err != nil {
		t.Fatal(err)
	}
	s.seen(t)
	if got := s.answers(t, 1); calls < 2 || got != "1:3Eve 1 <nil>; 1:4Žofie 1 <nil>; " {
		t.Fatalf("after %d calls: %s", calls, got)
	}
}
