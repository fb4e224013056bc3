package friend

import (
	"context"
	"errors"
	"slices"
	"testing"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
)

// everybodyUpTo knows the people 1 to n.
type everybodyUpTo int64

var errAway = errors.New("the service of users is away")

// Missing implements Users; nobody has an id below 1, and 0 people means away.
func (n everybodyUpTo) Missing(_ context.Context, ids ...int64) (missing []int64, err error) {
	if n == 0 {
		return nil, errAway
	}
	for _, id := range ids {
		if id < 1 || id > int64(n) {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	return missing, nil
}

func newService(t *testing.T, users Users) (*Service, *eventstore.Store) {
	t.Helper()
	store, err := eventstore.Open(t.Context(), memory.New(memory.Options{}), eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return NewService(store, users), store
}

func key(hash byte) *eventstore.Key { return &eventstore.Key{Hash: [16]byte{hash}} }

func TestAFriendshipHasOneRowForBoth(t *testing.T) {
	s, store := newService(t, everybodyUpTo(3))
	added, err := s.Add(t.Context(), 2, 1, nil)
	if err != nil || !added.Changed || added.State.Rows[0].Row != 1 || added.State.Rows[0].By != 2 {
		t.Fatalf("%+v, %v", added, err)
	}
	back, err := s.Add(t.Context(), 1, 2, nil)
	if err != nil || back.Changed || back.State.Rows[0] != added.State.Rows[0] || back.Position != added.Position {
		t.Fatalf("%+v, %v", back, err)
	}
	if _, err := s.Add(t.Context(), 2, 1, nil); !errors.Is(err, ErrExists) {
		t.Fatalf("again: %v", err)
	}
	if store.Position() != 1 {
		t.Fatalf("the log has %d events", store.Position())
	}
}

func TestRowsAreNeverGivenTwice(t *testing.T) {
	s, _ := newService(t, everybodyUpTo(3))
	for want := int64(1); want <= 3; want++ {
		o, err := s.Add(t.Context(), 1, 2, nil)
		if err != nil || o.State.Rows[0].Row != want {
			t.Fatalf("row %d is %+v, %v", want, o.State, err)
		}
		if _, err := s.Remove(t.Context(), 2, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func TestUnknownPeopleAreNamed(t *testing.T) {
	s, store := newService(t, everybodyUpTo(3))
	_, err := s.Add(t.Context(), 9, 7, nil)
	unknown, ok := errors.AsType[*UnknownUsersError](err)
	if !ok || !slices.Equal(unknown.Missing, []int64{7, 9}) || store.Position() != 0 {
		t.Fatalf("got %v", err)
	}
}

func TestWhenUsersAreAwayNothingIsDecided(t *testing.T) {
	s, store := newService(t, everybodyUpTo(0))
	if _, err := s.Add(t.Context(), 1, 2, key(1)); !errors.Is(err, errAway) {
		t.Fatalf("got %v", err)
	}
	if _, found, err := store.Outcome(t.Context(), key(1).Hash); found || err != nil {
		t.Fatalf("the key was used: %v, %v", found, err)
	}
	if _, err := s.Add(t.Context(), 1, 1, nil); !errors.Is(err, ErrSelf) {
		t.Fatalf("yourself needs no answer from elsewhere: %v", err)
	}
}

func TestARefusalIsAnsweredTheSameAgain(t *testing.T) {
	for name, c := range map[string]struct {
		command func(*Service) (decider.Outcome[State], error)
		want    error
	}{
		"unknown":     {func(s *Service) (decider.Outcome[State], error) { return s.Add(t.Context(), 1, 7, key(1)) }, errUnknownUsers},
		"not friends": {func(s *Service) (decider.Outcome[State], error) { return s.Remove(t.Context(), 1, 2, key(2)) }, ErrNotFriends},
	} {
		s, _ := newService(t, everybodyUpTo(3))
		if o, err := c.command(s); !errors.Is(err, c.want) || o.Replayed {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		if _, err := s.Add(t.Context(), 1, 2, nil); err != nil && !errors.Is(err, ErrExists) {
			t.Fatal(err)
		}
		if o, err := c.command(s); !errors.Is(err, c.want) || !o.Replayed {
			t.Errorf("%s again: %+v, %v", name, o, err)
		}
	}
}

func TestSelfIsRefusedAndLeavesTheKeyFree(t *testing.T) {
	s, store := newService(t, everybodyUpTo(3))
	for _, command := range []func() (decider.Outcome[State], error){
		func() (decider.Outcome[State], error) { return s.Add(t.Context(), 1, 1, key(1)) },
		func() (decider.Outcome[State], error) { return s.Remove(t.Context(), 1, 1, key(1)) },
	} {
		if _, err := command(); !errors.Is(err, ErrSelf) {
			t.Fatalf("got %v", err)
		}
	}
	if _, found, err := store.Outcome(t.Context(), key(1).Hash); found || err != nil {
		t.Fatalf("the key was used: %v, %v", found, err)
	}
}
