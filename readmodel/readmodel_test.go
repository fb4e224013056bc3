package readmodel_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

func TestWhoWasCreatedIsFoundAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		o, err := w.people.Create(t.Context(), "Ada", "Lovelace", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.users.ByID(t.Context(), o.State.ID)
		want := readmodel.User{User: o.State, Version: 1}
		want.Key = 0 // views hold no keys
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
	})
}

func TestWhoWasRenamedIsFoundUnderTheNewName(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 1)
		o, err := w.people.Rename(t.Context(), 1, "Ada", "Lovelace")
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.users.ByID(t.Context(), 1)
		if err != nil || got.FirstName != "Ada" || got.Version != 2 ||
			!got.CreatedAt.Equal(o.State.CreatedAt) || !got.LastModified.Equal(o.State.LastModified) {
			t.Fatalf("got %+v, %v; the command was answered %+v", got, err, o.State)
		}
	})
}

func TestWhoIsNotThereIsNotFoundAndWhoIsErasedIsGone(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 3)
		w.erase(t, 2, 1)
		for id, want := range map[int64]error{0: user.ErrNotFound, 1: nil, 2: user.ErrErased, 3: nil, 4: user.ErrNotFound} {
			if _, err := w.users.ByID(t.Context(), id); !errors.Is(err, want) {
				t.Errorf("user %d: %v, want %v", id, err, want)
			}
		}
		missing, err := w.users.Missing(t.Context(), 4, 3, 2, 4, 1)
		if diff := cmp.Diff([]int64{2, 4}, missing); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestAListOfUsersBeginsAfterAnIDAndEndsAtALimit(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 6)
		w.erase(t, 3, 1)
		for _, c := range []struct {
			after int64
			limit int
			want  string
		}{{0, 100, "1A 2B 4D 5E 6F"}, {0, 2, "1A 2B"}, {2, 2, "4D 5E"}, {6, 2, ""}} {
			list, err := w.users.List(t.Context(), c.after, c.limit)
			var got []string
			for _, u := range list {
				got = append(got, fmt.Sprint(u.ID, u.FirstName))
			}
			if strings.Join(got, " ") != c.want || err != nil {
				t.Errorf("after %d, limit %d: %v, %v", c.after, c.limit, got, err)
			}
		}
	})
}

// list shows a person's friendships as "row:by-to".
func (w *world) list(t *testing.T, person int64, d readmodel.Direction, after int64, limit int) string {
	t.Helper()
	friends, err := w.friends.Of(t.Context(), person, d, after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range friends {
		all = append(all, fmt.Sprintf("%d:%d-%d", f.Row, f.By, f.To))
	}
	return strings.Join(all, " ")
}

func TestBothSidesSeeAFriendshipUnderTheSameRow(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 4)
		w.add(t, [2]int64{1, 2}, [2]int64{3, 1}, [2]int64{1, 4}, [2]int64{2, 3})
		for _, c := range []struct {
			person    int64
			direction readmodel.Direction
			after     int64
			limit     int
			want      string
		}{
			{1, readmodel.Both, 0, 0, "1:1-2 2:1-3 3:1-4"},
			{1, readmodel.Outgoing, 0, 0, "1:1-2 3:1-4"},
			{3, readmodel.Both, 0, 0, "2:3-1 4:3-2"},
			{1, readmodel.Both, 0, 2, "1:1-2 2:1-3"},
			{1, readmodel.Both, 2, 2, "3:1-4"},
			{1, readmodel.Outgoing, 0, 1, "1:1-2"},
			{9, readmodel.Both, 0, 0, ""},
		} {
			if got := w.list(t, c.person, c.direction, c.after, c.limit); got != c.want {
				t.Errorf("%+v: got %s", c, got)
			}
		}
	})
}

func TestARemovedFriendshipIsGoneForBoth(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 2)
		w.add(t, [2]int64{1, 2})
		if _, err := w.friendships.Remove(t.Context(), 2, 1, nil); err != nil {
			t.Fatal(err)
		}
		if a, b := w.list(t, 1, readmodel.Both, 0, 0), w.list(t, 2, readmodel.Both, 0, 0); a+b != "" {
			t.Fatalf("left: %s and %s", a, b)
		}
		if _, err := w.friends.ByRow(t.Context(), 1); !errors.Is(err, readmodel.ErrUnknownRow) {
			t.Fatalf("row 1: %v", err)
		}
		w.add(t, [2]int64{2, 1})
		got, err := w.friends.ByRow(t.Context(), 2)
		if err != nil || got.By != 2 || got.To != 1 || got.Row != 2 || got.CreatedAt.IsZero() {
			t.Fatalf("row 2: %+v, %v", got, err)
		}
	})
}

func TestAHubIsListedInFull(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		const degree = eventstore.MaxPage + 10
		var batch []eventstore.Write
		for i := int64(2); i < degree+2; i++ {
			e, err := friend.Encode(friend.Added{By: 1, To: i})
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, eventstore.Write{Stream: friend.Stream(1, i), Events: []eventstore.NewEvent{e}})
		}
		var group errgroup.Group
		group.SetLimit(1000) // so that commits are large
		for _, one := range batch {
			group.Go(func() error {
				_, err := w.friendStore.Append(t.Context(), one)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		friends, err := w.friends.Of(t.Context(), 1, readmodel.Both, 0, 0)
		if err != nil || len(friends) != degree {
			t.Fatalf("listed %d of %d, %v", len(friends), degree, err)
		}
	})
}

func TestForeignEventsStopAView(t *testing.T) {
	foreign := eventstore.Event{Type: "SomethingElse", Stream: user.Stream(1)}
	if _, err := readmodel.UsersView(&plainKeys{}).Rows(foreign); !errors.Is(err, user.ErrForeign) {
		t.Errorf("users: %v", err)
	}
	if _, err := readmodel.FriendView().Rows(foreign); !errors.Is(err, friend.ErrForeign) {
		t.Errorf("friends: %v", err)
	}
	renamed := eventstore.Event{Type: "UserRenamed", Stream: eventstore.Stream{Category: "user", ID: "x"}, Data: []byte(`{"key":1,"sealed":"MXwwOg=="}`)}
	if _, err := readmodel.UsersView(&plainKeys{}).Rows(renamed); err == nil {
		t.Error("a stream without a person has rows")
	}
}
