package friend_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/user"
)

// erasing is two logs whose people can be erased.
type erasing struct {
	users, friends *eventstore.Store
	people         *user.Service
	friendships    *friend.Service
	rows           *readmodel.Friends
}

type tb interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
	Context() context.Context
}

// open opens a log in memory; fail, if set, is asked before each commit.
func open(t tb, view eventstore.View, fail func() error) *eventstore.Store {
	t.Helper()
	var driver eventstore.Driver = memory.New(memory.Options{Views: []eventstore.View{view}})
	store, err := eventstore.Open(t.Context(), &flaky{driver, fail}, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// flaky is a driver whose commits may fail.
type flaky struct {
	eventstore.Driver
	fail func() error
}

func (f *flaky) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	if f.fail != nil {
		if err := f.fail(); err != nil {
			return nil, err
		}
	}
	return f.Driver.Commit(ctx, batch)
}

func newErasing(t tb, dir string, people int, fail func() error) *erasing {
	t.Helper()
	keys, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	e := &erasing{users: open(t, readmodel.UsersView(keys), nil), friends: open(t, readmodel.FriendView(), fail)}
	e.people = user.NewService(e.users, keys)
	e.friendships = friend.NewService(e.friends, readmodel.NewUsers(e.users))
	e.rows = readmodel.NewFriends(e.friends)
	for range people {
		if _, err := e.people.Create(t.Context(), "Ada", "", nil); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// follow runs an eraser after a position until the end of the test or until it is
// stopped. saved is told of each checkpoint.
func (e *erasing) follow(after eventstore.Position, saved func(eventstore.Position) error) (
	eraser *friend.Eraser, runner *projection.Runner, stop func() error,
) {
	eraser = friend.NewEraser(friend.EraserConfig{
		Service: e.friendships, Save: saved,
		Friendships: func(ctx context.Context, person, after int64, limit int) ([]friend.Friendship, error) {
			return e.rows.Of(ctx, person, readmodel.Both, after, min(limit, 3))
		},
	}, after)
	runner = projection.New("erasing", e.users.Subscribe, eraser, after)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	return eraser, runner, func() error { cancel(); return <-ended }
}

// left returns the friendships that there are with one of those who are erased.
func (e *erasing) left(t tb, erased []int64) (left []friend.Friendship) {
	t.Helper()
	for _, id := range erased {
		rows, err := e.rows.Of(context.Background(), id, readmodel.Both, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, rows...)
	}
	return left
}

func TestErasingEndsEachFriendshipByAnOrdinaryRemove(t *testing.T) {
	e := newErasing(t, t.TempDir(), 12, nil)
	for id := int64(2); id <= 12; id++ { // more than a page; both directions
		by, to := int64(1), id
		if id%2 == 0 {
			by, to = to, by
		}
		if _, err := e.friendships.Add(t.Context(), by, to, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.friendships.Add(t.Context(), 2, 3, nil); err != nil {
		t.Fatal(err)
	}
	eraser, runner, stop := e.follow(0, nil)
	defer stop()
	out, err := e.people.Erase(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Wait(t.Context(), out.Position); err != nil {
		t.Fatal(err)
	}
	if left := e.left(t, []int64{1}); len(left) > 0 {
		t.Fatalf("left: %v", left)
	}
	if left := e.left(t, []int64{2}); len(left) != 1 {
		t.Fatalf("friendships of others: %v", left)
	}
	if n, known := eraser.Removed(1); n != 11 || !known {
		t.Fatalf("removed %d, %v", n, known)
	}
	events, err := e.friends.ReadAll(t.Context(), 12, 100)
	if err != nil || len(events) != 11 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, event := range events {
		if decoded, err := friend.Decode(event); err != nil || decoded.(friend.Removed).Row == 0 {
			t.Fatalf("%+v, %v", decoded, err)
		}
	}
}

// TestAnAdditionThatBeganBeforeIsWaitedFor: it was told that both are there, then
// one is erased, then it commits.
func TestAnAdditionThatBeganBeforeIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		e := newErasing(t, dir, 2, func() error { <-gate; return nil })
		_, runner, stop := e.follow(0, nil)
		defer stop()
		added := make(chan error, 1)
		go func() {
			_, err := e.friendships.Add(context.Background(), 1, 2, nil)
			added <- err
		}()
		synctest.Wait() // at the gate
		out, err := e.people.Erase(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if runner.Position() >= out.Position {
			t.Fatal("the eraser did not wait")
		}
		close(gate)
		if err := errors.Join(<-added, runner.Wait(t.Context(), out.Position)); err != nil {
			t.Fatal(err)
		}
		if left := e.left(t, []int64{2}); len(left) > 0 || e.friends.Position() != 2 {
			t.Fatalf("left %v, %d events", left, e.friends.Position())
		}
	})
}

// TestErasingIsRightWhateverIsAdded: many add and remove while people are erased,
// and the eraser is stopped and started again from its last checkpoint.
func TestErasingIsRightWhateverIsAdded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const people = 8
		e := newErasing(rt, t.TempDir(), people, nil)
		seed := rapid.Uint64().Draw(rt, "seed")
		erased := rapid.Permutation([]int64{1, 2, 3, 4, 5, 6, 7, 8}).Draw(rt, "erased")[:rapid.IntRange(1, 5).Draw(rt, "how many")]
		restarts := rapid.IntRange(0, 3).Draw(rt, "restarts")
		var checkpoint atomic.Int64
		save := func(p eventstore.Position) error { checkpoint.Store(int64(p)); return nil }
		_, runner, stop := e.follow(0, save)
		var group sync.WaitGroup
		for w := range uint64(8) {
			group.Go(func() {
				rnd := rand.New(rand.NewPCG(seed, w))
				for range 60 {
					by, to := rnd.Int64N(people)+1, rnd.Int64N(people)+1
					if rnd.IntN(3) > 0 {
						_, _ = e.friendships.Add(context.Background(), by, to, nil)
					} else {
						_, _ = e.friendships.Remove(context.Background(), by, to, nil)
					}
				}
			})
		}
		var last eventstore.Position
		for i, id := range erased {
			out, err := e.people.Erase(context.Background(), id)
			if err != nil {
				rt.Fatal(err)
			}
			last = out.Position
			if i < restarts {
				if err := stop(); err != nil && !errors.Is(err, context.Canceled) {
					rt.Fatal(err)
				}
				_, runner, stop = e.follow(eventstore.Position(checkpoint.Load()), save)
			}
		}
		if err := runner.Wait(rt.Context(), last); err != nil {
			rt.Fatal(err)
		}
		settled := e.left(rt, erased)
		group.Wait()
		if left := e.left(rt, erased); len(left)+len(settled) > 0 {
			rt.Fatalf("erased %v: left %v, and later %v", erased, settled, left)
		}
		_ = stop()
	})
}

func TestABusyOrFullLogOnlyDelaysErasing(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var full atomic.Int32
		e := newErasing(t, dir, 2, func() error {
			if full.Add(-1) >= 0 {
				return fmt.Errorf("%w: for a while", eventstore.ErrFull)
			}
			return nil
		})
		if _, err := e.friendships.Add(t.Context(), 1, 2, nil); err != nil {
			t.Fatal(err)
		}
		full.Store(7)
		_, runner, stop := e.follow(0, nil)
		defer stop()
		out, err := e.people.Erase(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := runner.Wait(t.Context(), out.Position); err != nil {
			t.Fatal(err)
		}
		if left := e.left(t, []int64{2}); len(left) > 0 {
			t.Fatalf("left %v", left)
		}
	})
}

// TestAnAdditionOfUnknownOutcomeKeepsTheCheckpoint: the next start has to look again.
func TestAnAdditionOfUnknownOutcomeKeepsTheCheckpoint(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		e := newErasing(t, dir, 2, func() error {
			if broken.Load() {
				return eventstore.ErrUnknown
			}
			return nil
		})
		var saved atomic.Int64
		_, _, stop := e.follow(0, func(p eventstore.Position) error { saved.Store(int64(p)); return nil })
		broken.Store(true)
		if _, err := e.friendships.Add(t.Context(), 1, 2, nil); !errors.Is(err, eventstore.ErrUnknown) {
			t.Fatalf("got %v", err)
		}
		if _, err := e.people.Erase(t.Context(), 2); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := stop(); !errors.Is(err, context.Canceled) || saved.Load() != 0 {
			t.Fatalf("stopped with %v, saved %d", err, saved.Load())
		}
	})
}

// TestAnAdditionWhoseAnswerWasLostIsWaitedForUntilALaterOneIsInTheLog: the database was
// away, and nobody knows whether it has the addition; what is appended later proves that
// it has by now, or never will.
func TestAnAdditionWhoseAnswerWasLostIsWaitedForUntilALaterOneIsInTheLog(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		e := newErasing(t, dir, 5, func() error {
			if away.Load() {
				return errors.Join(eventstore.ErrUnknown, eventstore.ErrAway)
			}
			return nil
		})
		if _, err := e.friendships.Add(t.Context(), 2, 3, nil); err != nil {
			t.Fatal(err)
		}
		_, runner, stop := e.follow(0, nil)
		defer stop()
		away.Store(true)
		for range 2 {
			if _, err := e.friendships.Add(t.Context(), 1, 2, nil); !errors.Is(err, eventstore.ErrUnknown) {
				t.Fatalf("got %v", err)
			}
		}
		away.Store(false)
		out, err := e.people.Erase(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		for what, add := range map[string]func() error{
			"nothing":            func() error { return nil },
			"what is refused":    func() error { _, err := e.friendships.Add(t.Context(), 4, 4, nil); return err },
			"what is not needed": func() error { _, err := e.friendships.Add(t.Context(), 3, 2, nil); return err },
		} {
			_ = add()
			synctest.Wait()
			if runner.Position() >= out.Position {
				t.Fatalf("%s has ended the waiting", what)
			}
		}
		if _, err := e.friendships.Add(t.Context(), 4, 5, nil); err != nil {
			t.Fatal(err)
		}
		if err := runner.Wait(t.Context(), out.Position); err != nil {
			t.Fatal(err)
		}
		if left := e.left(t, []int64{2}); len(left) > 0 {
			t.Fatalf("left %v", left)
		}
	})
}

// TestWhoIsErasedIsMissingWhateverACacheSays: another process may ask over a cache.
func TestWhoIsErasedIsMissingWhateverACacheSays(t *testing.T) {
	e := newErasing(t, t.TempDir(), 2, nil)
	e.friendships = friend.NewService(e.friends, everybody{})
	_, runner, stop := e.follow(0, nil)
	defer stop()
	key := &eventstore.Key{Hash: [16]byte{1}}
	if _, err := e.friendships.Add(t.Context(), 1, 2, key); err != nil {
		t.Fatal(err)
	}
	out, err := e.people.Erase(t.Context(), 2)
	if err == nil {
		err = runner.Wait(t.Context(), out.Position)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.friendships.Add(t.Context(), 1, 2, nil)
	if unknown, ok := errors.AsType[*friend.UnknownUsersError](err); !ok || len(unknown.Missing) != 1 || unknown.Missing[0] != 2 {
		t.Fatalf("added: %v", err)
	}
	if o, err := e.friendships.Add(t.Context(), 1, 2, key); !errors.Is(err, user.ErrErased) || !o.Replayed {
		t.Fatalf("repeated: %+v, %v", o, err)
	}
}

// everybody is a cache that has not heard of any erasure.
type everybody struct{}

func (everybody) Missing(context.Context, ...int64) ([]int64, error) { return nil, nil }
