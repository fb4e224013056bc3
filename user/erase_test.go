package user_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/internal/keyring"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/user"
)

// registry is a log of people with their keys.
type registry struct {
	store  *eventstore.Store
	keys   *keyring.Keyring
	people *user.Service
	users  *readmodel.Users
	note   user.Note
	clear  func(context.Context) error
}

// register opens a new log of people; dir is where the keys are.
func register(t *testing.T, dir string) *registry {
	t.Helper()
	keys, err := keyring.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	driver := memory.New(memory.Options{Views: []eventstore.View{readmodel.UsersView(keys)}})
	store, err := eventstore.Open(t.Context(), driver, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = errors.Join(store.Close(), keys.Close()) })
	return &registry{store: store, keys: keys, people: user.NewService(store, keys), users: readmodel.NewUsers(store)}
}

// create makes people.
func (r *registry) create(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := r.people.Create(t.Context(), name, "", nil); err != nil {
			t.Fatal(err)
		}
	}
}

// start recovers, follows the log up to where it ends, and ends.
func (r *registry) start(t *testing.T) {
	t.Helper()
	eraser := user.NewEraser(user.EraserConfig{
		Store: r.store, Keys: r.keys, Service: r.people, Erased: r.users.Erased, Clear: r.clear,
		Save: func(n user.Note) error { r.note = n; return nil },
	}, r.note)
	after, err := eraser.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	runner := projection.New("erasing", r.store.Subscribe, eraser, after)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = runner.Run(ctx) })
	if err := runner.Wait(t.Context(), r.store.Position()); err != nil {
		t.Error(err)
	}
	stop()
	running.Wait()
}

// half records that somebody was erased, and crashes before the key is destroyed.
func (r *registry) half(t *testing.T, id, key int64) {
	t.Helper()
	event, err := user.Encode(r.keys, user.Erased{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.store.Append(t.Context(), eventstore.Write{
		Stream: user.Stream(id), Expected: eventstore.Any, Events: []eventstore.NewEvent{event},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// state says who is there, who is erased, and whose key is destroyed.
func (r *registry) state(t *testing.T, people int64) (state []string) {
	t.Helper()
	destroyed, err := r.keys.Destroyed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := int64(1); id <= people; id++ {
		u, err := r.users.ByID(t.Context(), id)
		if err != nil {
			u.FirstName = err.Error()
		}
		state = append(state, u.FirstName)
	}
	return append(state, fmt.Sprint(destroyed))
}

const gone = "the user was erased"

func TestErasedMeansThatTheEventIsThereAndTheKeyIsNot(t *testing.T) {
	r := register(t, t.TempDir())
	r.create(t, "Ada", "Eve")
	out, err := r.people.Erase(t.Context(), 1)
	if err != nil || out.Position != 3 || out.State.FirstName != "" || !out.State.Erased {
		t.Fatalf("%+v, %v", out, err)
	}
	if diff := cmp.Diff([]string{gone, "Eve", "[1]"}, r.state(t, 2)); diff != "" {
		t.Fatal(diff)
	}
	if mute, err := r.people.Mute(1); err != nil || !mute {
		t.Fatalf("mute: %v, %v", mute, err)
	}
	if mute, err := r.people.Mute(2); err != nil || mute {
		t.Fatalf("the other's key: %v, %v", mute, err)
	}
	for id, want := range map[int64]error{1: user.ErrErased, 9: user.ErrNotFound} {
		if _, err := r.people.Erase(t.Context(), id); !errors.Is(err, want) {
			t.Errorf("erase %d: %v", id, err)
		}
		if _, err := r.people.Rename(t.Context(), id, "Bob", ""); !errors.Is(err, want) {
			t.Errorf("rename %d: %v", id, err)
		}
	}
}

// TestACrashBetweenEventAndKeyIsMended, at the next start and while following.
func TestACrashBetweenEventAndKeyIsMended(t *testing.T) {
	r := register(t, t.TempDir())
	r.create(t, "Ada", "Eve", "Bob")
	r.half(t, 2, 2)
	r.start(t)
	want := []string{"Ada", gone, "Bob", "[2]"}
	if diff := cmp.Diff(want, r.state(t, 3)); diff != "" {
		t.Fatal(diff)
	}
	r.start(t)
	if diff := cmp.Diff(want, r.state(t, 3)); diff != "" || r.store.Position() != 4 {
		t.Fatal(diff, r.store.Position())
	}
}

// TestAnOlderLogThatKnowsTheErasedErasesThemAgain: the keys are newer than the log.
func TestAnOlderLogThatKnowsTheErasedErasesThemAgain(t *testing.T) {
	r := register(t, t.TempDir())
	r.create(t, "Ada", "Eve", "Bob")
	if _, err := r.people.Rename(t.Context(), 3, "Bo", ""); err != nil {
		t.Fatal(err)
	}
	stray, err := r.keys.New(t.Context()) // of somebody whom this log does not know
	if err != nil {
		t.Fatal(err)
	}
	if err := r.keys.Destroy(t.Context(), 1, 3, stray); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	if diff := cmp.Diff([]string{gone, "Eve", gone, "[1 3 4]"}, r.state(t, 3)); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff([]int64{stray}, r.note.Strays); diff != "" {
		t.Fatal(diff)
	}
	for range 2 { // and only once
		r.start(t)
		if r.store.Position() != 6 {
			t.Fatalf("the log has %d events", r.store.Position())
		}
	}
	if err := r.keys.Destroy(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	r.start(t) // a note about other keys hides nothing
	if diff := cmp.Diff([]string{gone, gone, gone, "[1 2 3 4]"}, r.state(t, 3)); diff != "" {
		t.Fatal(diff)
	}
}

// TestANoteAboutAnotherLogIsNotTrusted: it was restored since.
func TestANoteAboutAnotherLogIsNotTrusted(t *testing.T) {
	r := register(t, t.TempDir())
	r.create(t, "Ada")
	if err := r.keys.Destroy(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	cleared := 0
	r.clear = func(context.Context) error { cleared++; return nil }
	r.note = user.Note{Log: [16]byte{1}, Cleared: 100, Strays: []int64{1}}
	r.start(t)
	if diff := cmp.Diff([]string{gone, "[1]"}, r.state(t, 1)); diff != "" || cleared != 1 || r.note.Cleared != 2 {
		t.Fatal(diff, cleared, r.note)
	}
	r.start(t)
	if cleared != 1 {
		t.Fatalf("files without anything to clear were cleared %d times", cleared)
	}
}

// TestFilesAreClearedAsSoonAsNobodyIsInTheWay: readers for a moment, a full disk for
// longer; other errors stop the projection.
func TestFilesAreClearedAsSoonAsNobodyIsInTheWay(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := register(t, dir)
		r.create(t, "Ada")
		var tries atomic.Int32
		r.clear = func(context.Context) error {
			switch tries.Add(1) {
			case 1, 2, 3:
				return eventstore.ErrBusy
			case 4:
				return eventstore.ErrFull
			}
			return nil
		}
		r.half(t, 1, 1)
		r.start(t)
		if tries.Load() != 5 || r.note.Cleared != 2 || time.Since(r.note.ClearedAt) > time.Minute {
			t.Fatalf("%d tries, %+v", tries.Load(), r.note)
		}
		broken := errors.New("the disk is gone")
		eraser := user.NewEraser(user.EraserConfig{
			Store: r.store, Keys: r.keys, Service: r.people, Erased: r.users.Erased,
			Clear: func(context.Context) error { return broken },
		}, user.Note{})
		events, err := r.store.ReadAll(t.Context(), 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := eraser.Apply(t.Context(), events); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
	})
}

// TestOfAHundredWhoEraseOneSucceeds, while others rename: there is one event, and
// nobody is told of a key.
func TestOfAHundredWhoEraseOneSucceeds(t *testing.T) {
	r := register(t, t.TempDir())
	r.create(t, "Ada")
	var erased, late atomic.Int32
	var group sync.WaitGroup
	for i := range 100 {
		group.Go(func() {
			_, err := r.people.Erase(context.Background(), 1)
			switch {
			case err == nil:
				erased.Add(1)
			case errors.Is(err, user.ErrErased):
				late.Add(1)
			default:
				t.Error(err)
			}
		})
		group.Go(func() {
			if _, err := r.people.Rename(context.Background(), 1, fmt.Sprint("Ada ", i), ""); err != nil && !errors.Is(err, user.ErrErased) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if erased.Load() != 1 || late.Load() != 99 {
		t.Fatalf("%d erased, %d came late", erased.Load(), late.Load())
	}
	events, err := r.store.ReadAll(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if last := events[len(events)-1]; last.Type != "UserErased" {
		t.Fatalf("the last event is %s", last.Type)
	}
}

// TestARepeatedCreateAboutSomebodyErasedHasNoName: the outcome comes from the log.
func TestARepeatedCreateAboutSomebodyErasedHasNoName(t *testing.T) {
	r := register(t, t.TempDir())
	key := &eventstore.Key{Hash: [16]byte{1}}
	if _, err := r.people.Create(t.Context(), "Ada", "Byron", key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.people.Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	var out decider.Outcome[user.User]
	out, err := r.people.Create(t.Context(), "Ada", "Byron", key)
	if err != nil || !out.Replayed || out.State.FirstName+out.State.LastName != "" {
		t.Fatalf("%+v, %v", out, err)
	}
}
