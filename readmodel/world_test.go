package readmodel_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plainKeys seal nothing: the key's id stands before the text.
type plainKeys struct {
	mu        sync.Mutex
	last      int64
	destroyed map[int64]bool
}

func (k *plainKeys) New(context.Context) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	return k.last, nil
}

func (k *plainKeys) Seal(id int64, plain []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%d|%s", id, plain), nil
}

func (k *plainKeys) Open(id int64, sealed []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed[id] {
		return nil, user.ErrKeyDestroyed
	}
	return sealed[len(fmt.Sprintf("%d|", id)):], nil
}

func (k *plainKeys) Destroy(_ context.Context, ids ...int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		k.destroyed[id] = true
	}
	return nil
}

func (k *plainKeys) Destroyed(context.Context) ([]int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.destroyed)), nil
}

// world is the domain over two logs.
type world struct {
	userStore, friendStore *eventstore.Store
	people                 *user.Service
	friendships            *friend.Service
	users                  *readmodel.Users
	friends                *readmodel.Friends
}

// cleaner is what a world needs of a test.
type cleaner interface {
	Helper()
	Fatal(args ...any)
	Context() context.Context
	Cleanup(f func())
}

// drivers are the logs that the tests run on.
func drivers() map[string]func(t cleaner, dir, name string, view eventstore.View) eventstore.Driver {
	return map[string]func(t cleaner, dir, name string, view eventstore.View) eventstore.Driver{
		"memory": func(_ cleaner, _, _ string, view eventstore.View) eventstore.Driver {
			return memory.New(memory.Options{Views: []eventstore.View{view}})
		},
		"sqlite": func(t cleaner, dir, name string, view eventstore.View) eventstore.Driver {
			log, err := sqlite.Open(t.Context(), filepath.Join(dir, name+".db"), sqlite.Options{Views: []eventstore.View{view}})
			if err != nil {
				t.Fatal(err)
			}
			return log
		},
	}
}

// newWorld returns an empty world on a driver.
func newWorld(t cleaner, dir, driver string) *world {
	t.Helper()
	keys := &plainKeys{destroyed: map[int64]bool{}}
	open := func(name string, view eventstore.View) *eventstore.Store {
		store, err := eventstore.Open(t.Context(), drivers()[driver](t, dir, name, view),
			eventstore.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	}
	w := &world{userStore: open("user", readmodel.UsersView(keys)), friendStore: open("friend", readmodel.FriendView())}
	w.users, w.friends = readmodel.NewUsers(w.userStore), readmodel.NewFriends(w.friendStore)
	w.people = user.NewService(w.userStore, keys)
	w.friendships = friend.NewService(w.friendStore, w.users)
	return w
}

// onEach runs a test on every driver.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	for driver := range drivers() {
		t.Run(driver, func(t *testing.T) { test(t, newWorld(t, t.TempDir(), driver)) })
	}
}

// create makes people named A, B, C and so on.
func (w *world) create(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if _, err := w.people.Create(t.Context(), string(rune('A'+i)), "X", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// add makes friendships, given as pairs.
func (w *world) add(t *testing.T, pairs ...[2]int64) {
	t.Helper()
	for _, p := range pairs {
		if _, err := w.friendships.Add(t.Context(), p[0], p[1], nil); err != nil {
			t.Fatal(err)
		}
	}
}

// erase records that somebody was erased, past the service.
func (w *world) erase(t *testing.T, id int64, version eventstore.Version) {
	t.Helper()
	e, err := user.Encode(&plainKeys{}, user.Erased{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.userStore.Append(t.Context(), eventstore.Write{
		Stream: user.Stream(id), Expected: version, Events: []eventstore.NewEvent{e},
	})
	if err != nil {
		t.Fatal(err)
	}
}
