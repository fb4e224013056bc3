package friend_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
)

var errCrash = errors.New("the power is gone")

// crashing counts the steps of an eraser, and ends everything at one of them: before it,
// or after it was done and before anybody heard.
type crashing struct {
	taken, at int // at 0: never
	after     bool
}

func (c *crashing) step(do func() error) error {
	if c.at > 0 && c.taken >= c.at {
		return errCrash
	}
	if c.taken++; c.taken != c.at {
		return do()
	}
	if c.after {
		_ = do()
	}
	return errCrash
}

// crashingLog is a log whose commits are steps. It outlives its store.
type crashingLog struct {
	eventstore.Driver
	*crashing
}

func (l crashingLog) Commit(ctx context.Context, batch []eventstore.Write) (r []eventstore.Result, err error) {
	err = l.step(func() error {
		r, err = l.Driver.Commit(ctx, batch)
		return err
	})
	return r, err
}

func (crashingLog) Close() error { return nil }

// ending is two logs that outlive every crash, and the checkpoint that was kept.
type ending struct {
	t          *rapid.T
	users      *eventstore.Store
	people     *user.Service
	friends    eventstore.Driver
	checkpoint eventstore.Position
	pairs      map[[2]int64]bool
	erased     map[int64]bool
}

// opened opens the log of friendships as a process does, for as long as do runs.
func (e *ending) opened(c *crashing, do func(store *eventstore.Store, service *friend.Service)) {
	store, err := eventstore.Open(e.t.Context(), crashingLog{e.friends, c}, eventstore.Options{})
	if err != nil {
		e.t.Fatal(err)
	}
	do(store, friend.NewService(store, readmodel.NewUsers(e.users)))
	_ = store.Close()
}

// erase has an eraser follow the log of people from the checkpoint to its end, so many
// events at a time.
func (e *ending) erase(c *crashing, page int) (err error) {
	e.opened(c, func(store *eventstore.Store, service *friend.Service) {
		rows := readmodel.NewFriends(store)
		eraser := friend.NewEraser(friend.EraserConfig{
			Service: service,
			Save: func(p eventstore.Position) error {
				return c.step(func() error { e.checkpoint = p; return nil })
			},
			Friendships: func(ctx context.Context, person, after int64, _ int) (list []friend.Friendship, err error) {
				err = c.step(func() error {
					list, err = rows.Of(ctx, person, readmodel.Both, after, 2)
					return err
				})
				return list, err
			},
		}, e.checkpoint)
		for after := e.checkpoint; err == nil; {
			var events []eventstore.Event
			if events, err = e.users.ReadAll(e.t.Context(), after, page); err != nil || len(events) == 0 {
				return
			}
			after = events[len(events)-1].Position
			err = eraser.Apply(e.t.Context(), events)
		}
	})
	return err
}

// settled fails unless exactly the friendships are there that are between people who
// are, and each that is gone ended once.
func (e *ending) settled() {
	want := 0
	for pair := range e.pairs {
		if !e.erased[pair[0]] && !e.erased[pair[1]] {
			want++
		}
	}
	e.opened(new(crashing), func(store *eventstore.Store, _ *friend.Service) {
		events, err := store.ReadAll(e.t.Context(), 0, eventstore.MaxPage)
		if err != nil {
			e.t.Fatal(err)
		}
		left, ended := map[int64]eventstore.Stream{}, map[int64]bool{}
		for _, event := range events {
			decoded, err := friend.Decode(event)
			if err != nil {
				e.t.Fatal(err)
			}
			switch d := decoded.(type) {
			case friend.Added:
				left[event.Number] = event.Stream
			case friend.Removed:
				if ended[d.Row] {
					e.t.Fatalf("friendship %d ended twice", d.Row)
				}
				ended[d.Row] = true
				delete(left, d.Row)
			}
		}
		if len(left) != want {
			e.t.Fatalf("%d friendships are left, not %d: %v, erased are %v", len(left), want, left, e.erased)
		}
		for id := range e.erased {
			if list, err := readmodel.NewFriends(store).Of(e.t.Context(), id, readmodel.Both, 0, 100); err != nil || len(list) > 0 {
				e.t.Fatalf("person %d still has %v, %v", id, list, err)
			}
		}
	})
}

// TestWhereverEndingFriendshipsIsInterruptedTheNextStartEndsThem draws networks and who
// is erased from them, and ends the eraser before or after any of its steps, several
// times over.
func TestWhereverEndingFriendshipsIsInterruptedTheNextStartEndsThem(t *testing.T) {
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	rapid.Check(t, func(rt *rapid.T) {
		const people = 7
		e := &ending{t: rt, pairs: map[[2]int64]bool{}, erased: map[int64]bool{}}
		e.users = open(rt, readmodel.UsersView(keys), nil)
		e.people = user.NewService(e.users, keys)
		e.friends = memory.New(memory.Options{Views: []eventstore.View{readmodel.FriendView()}})
		for range people {
			if _, err := e.people.Create(rt.Context(), "Ada", "", nil); err != nil {
				rt.Fatal(err)
			}
		}
		e.opened(new(crashing), func(_ *eventstore.Store, service *friend.Service) {
			for range rapid.IntRange(0, 14).Draw(rt, "friendships") {
				by, to := rapid.Int64Range(1, people).Draw(rt, "by"), rapid.Int64Range(1, people).Draw(rt, "to")
				if _, err := service.Add(rt.Context(), by, to, nil); err == nil {
					e.pairs[[2]int64{min(by, to), max(by, to)}] = true
				}
			}
		})
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			id := rapid.Int64Range(1, people).Draw(rt, "erased")
			if _, err := e.people.Erase(rt.Context(), id); err != nil && !errors.Is(err, user.ErrErased) {
				rt.Fatal(err)
			}
			e.erased[id] = true
			before := e.checkpoint
			c := &crashing{at: rapid.IntRange(0, 8).Draw(rt, "crash"), after: rapid.Bool().Draw(rt, "after")}
			err := e.erase(c, rapid.IntRange(1, 4).Draw(rt, "page"))
			if err == nil != (c.at == 0 || c.taken < c.at) {
				rt.Fatalf("interrupted at step %d of %d it says %v", c.at, c.taken, err)
			}
			if e.checkpoint < before {
				rt.Fatalf("the checkpoint went back from %d to %d", before, e.checkpoint)
			}
		}
		if err := e.erase(new(crashing), 100); err != nil {
			rt.Fatalf("nobody interrupts it, and it says %v", err)
		}
		e.settled()
		again := new(crashing)
		if err := e.erase(again, 100); err != nil || again.taken > 0 {
			rt.Fatalf("the next start takes %d steps, %v", again.taken, err)
		}
	})
}

// TestTheCountOfEndedFriendshipsIsThatOfTheLog, however they are shared out over pages
// and whoever of the two is erased.
func TestTheCountOfEndedFriendshipsIsThatOfTheLog(t *testing.T) {
	for _, friends := range []int{0, 1, 2, 3, 7} {
		t.Run(fmt.Sprint(friends), func(t *testing.T) {
			e := newErasing(t, t.TempDir(), friends+2, nil)
			for id := int64(2); id <= int64(friends+1); id++ {
				if _, err := e.friendships.Add(t.Context(), id, 1, nil); err != nil {
					t.Fatal(err)
				}
			}
			eraser, runner, stop := e.follow(0, nil)
			defer stop()
			if _, known := eraser.Removed(1); known {
				t.Fatal("it knows of an erasure that was not")
			}
			var last eventstore.Position
			for _, id := range []int64{1, 2} {
				out, err := e.people.Erase(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				last = out.Position
			}
			if err := runner.Wait(t.Context(), last); err != nil {
				t.Fatal(err)
			}
			if n, known := eraser.Removed(1); int(n) != friends || !known {
				t.Errorf("of person 1 ended %d, %v", n, known)
			}
			if n, known := eraser.Removed(2); n != 0 || !known {
				t.Errorf("of person 2 ended %d, %v", n, known)
			}
			if removed := int(e.friends.Position()) - friends; removed != friends {
				t.Errorf("the log has %d ends", removed)
			}
		})
	}
}
