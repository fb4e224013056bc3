package recommendation_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
	"ensemble/wire"
)

// published returns all events of a log as its feed has them.
func published(t *testing.T, store *eventstore.Store, data func([]byte, eventstore.Event) ([]byte, error)) []eventstore.Event {
	t.Helper()
	events, err := store.ReadAll(t.Context(), 0, eventstore.MaxPage)
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		e := &events[i]
		text := wire.AppendEvent(nil, e, [16]byte{1}, func(dst []byte) []byte {
			dst, err = data(dst, *e)
			return dst
		})
		var p wire.Event
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if *e, _, err = p.Recorded(); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

// TestAFeedAndALogMakeTheSameGraph, whatever happened to people and between them, erasures
// included: a feed shows no name of somebody erased, and no key.
func TestAFeedAndALogMakeTheSameGraph(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSystem(t)
		const people = 6
		for range people {
			if _, err := s.people.Create(t.Context(), "Ada", "L", nil); err != nil {
				rt.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 25).Draw(rt, "commands") {
			a, b := rapid.Int64Range(1, people).Draw(rt, "a"), rapid.Int64Range(1, people).Draw(rt, "b")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				_, _ = s.people.Erase(t.Context(), a)
			case 1:
				_, _ = s.people.Rename(t.Context(), a, fmt.Sprint("Eve", b), "")
			case 2:
				_, _ = s.friendships.Remove(t.Context(), a, b, nil)
			default:
				_, _ = s.friendships.Add(t.Context(), a, b, nil)
			}
		}
		s.follow(t)
		afar := recommendation.NewPublished(memory.New())
		friends := published(t, s.friendStore, func(dst []byte, e eventstore.Event) ([]byte, error) {
			event, err := friend.Decode(e)
			return wire.AppendFriendData(dst, event, e.Number), err
		})
		users := published(t, s.userStore, func(dst []byte, e eventstore.Event) ([]byte, error) {
			event, err := user.Decode(s.keys, e)
			if err != nil {
				return nil, err
			}
			id, err := user.PersonOf(e.Stream)
			return wire.AppendUserData(dst, id, event, e.Time), err
		})
		if len(friends) > 0 {
			if err := afar.Friends().Apply(t.Context(), friends); err != nil {
				rt.Fatal(err)
			}
		}
		if err := afar.Users().Apply(t.Context(), users); err != nil {
			rt.Fatal(err)
		}
		if near, far := texts(t, s.service, people), texts(t, afar, people); near != far {
			rt.Fatalf("from the logs:\n%s\nfrom the feeds:\n%s", near, far)
		}
	})
}

// texts returns what a service answers about everybody, to the byte.
func texts(t *testing.T, s *recommendation.Service, people int64) (all string) {
	t.Helper()
	for a := int64(1); a <= people; a++ {
		for c, err := range s.Recommend(t.Context(), a, recommendation.Query{}) {
			all += fmt.Sprintln(a, c.User.Text(), c.Weight, err)
		}
		for b := int64(1); b <= people; b++ {
			for p, err := range s.Mutual(t.Context(), a, b, 0) {
				all += fmt.Sprintln(a, b, p.Text(), err)
			}
		}
	}
	return all
}

// TestAnEventThatIsNotPublishedSoStopsTheProjection: what a log stores is not what a feed
// says, and taking one for the other would make nameless people.
func TestAnEventThatIsNotPublishedSoStopsTheProjection(t *testing.T) {
	s := newSystem(t)
	if _, err := s.people.Create(t.Context(), "Ada", "L", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.people.Create(t.Context(), "Eve", "L", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.friendships.Add(t.Context(), 1, 2, nil); err != nil {
		t.Fatal(err)
	}
	afar := recommendation.NewPublished(memory.New())
	for name, c := range map[string]struct {
		store *eventstore.Store
		apply func([]eventstore.Event) error
	}{
		"people":      {s.userStore, func(e []eventstore.Event) error { return afar.Users().Apply(t.Context(), e) }},
		"friendships": {s.friendStore, func(e []eventstore.Event) error { return afar.Friends().Apply(t.Context(), e) }},
	} {
		events, err := c.store.ReadAll(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.apply(events); err == nil {
			t.Errorf("%s as they are stored were taken for published ones", name)
		}
	}
}
