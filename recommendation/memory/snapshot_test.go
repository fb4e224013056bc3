package memory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/decider"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/recommendation"
	"ensemble/recommendation/backendtest"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// ring returns real keys.
func ring(t *testing.T) *keyring.Keyring {
	t.Helper()
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	return keys
}

// failer is a test, or one that rapid draws.
type failer interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// written returns a snapshot.
func written(t failer, b *memory.Backend, keys user.Keys) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := b.WriteSnapshot(&out, []byte("user:7, friend:9"), keys); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read reads a snapshot.
func read(data []byte, keys *keyring.Keyring) (*memory.Backend, error) {
	b, meta, err := memory.ReadSnapshot(bytes.NewReader(data), int64(len(data)), keys.InOrder)
	if err == nil && string(meta) != "user:7, friend:9" {
		return nil, fmt.Errorf("the meta is %q", meta)
	}
	return b, err
}

// asked returns all that a backend says about people up to an id, as text.
func asked(t failer, b *memory.Backend, people int64) string {
	t.Helper()
	var said strings.Builder
	for id := int64(1); id <= people; id++ {
		for c, err := range b.Recommend(t.Context(), id, recommendation.Query{Explain: true}) {
			fmt.Fprintf(&said, "%d: %d %q %q %s %d %v %v; ", id, c.User.ID, c.User.FirstName, c.User.LastName, c.User.LastModified, c.Weight, c.Shared, err)
		}
		for other := id + 1; other <= people; other++ {
			for u, err := range b.Mutual(t.Context(), id, other, 0) {
				fmt.Fprintf(&said, "%d and %d: %d %q %v; ", id, other, u.ID, u.FirstName, err)
			}
		}
	}
	return said.String()
}

// history is two logs, as two domains would have decided them.
type history struct {
	people  []recommendation.Person
	friends []friend.Event
}

// townPeople is how many people a drawn history has at most.
const townPeople = 7

// drawHistory draws what happens to few people, so that much of it happens to the same.
func drawHistory(t *rapid.T, keys []int64) (h history) {
	names := map[int64]string{} // of who is there
	now, last := int64(1_000_000), int64(0)
	for range rapid.IntRange(0, 60).Draw(t, "steps") {
		now += rapid.Int64Range(0, 2).Draw(t, "pause") // two things may happen at once
		id := rapid.Int64Range(1, townPeople).Draw(t, "id")
		at := func(e user.Event, id int64) {
			h.people = append(h.people, recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{Event: e, Number: id, Time: time.UnixMicro(now).UTC()}})
		}
		switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
		case kind < 2 && last < townPeople:
			last++
			names[last] = fmt.Sprint("first of ", last)
			at(user.Created{FirstName: names[last], LastName: "L", Key: keys[last]}, last)
		case kind == 2 && names[id] != "":
			names[id] += "'"
			at(user.Renamed{FirstName: names[id], Key: keys[id]}, id)
		case kind == 3 && names[id] != "":
			delete(names, id)
			at(user.Erased{Key: keys[id]}, id)
		case kind < 7:
			if other := rapid.Int64Range(1, townPeople).Draw(t, "other"); other != id {
				h.friends = append(h.friends, friend.Added{By: id, To: other})
			}
		default:
			if len(h.friends) > 0 {
				if e, ok := h.friends[rapid.IntRange(0, len(h.friends)-1).Draw(t, "which")].(friend.Added); ok {
					h.friends = append(h.friends, friend.Removed{By: e.By, To: e.To})
				}
			}
		}
	}
	return h
}

// first returns the first of each two.
func first[A, B any](both iter.Seq2[A, B]) iter.Seq[A] {
	return func(yield func(A) bool) {
		for a := range both {
			if !yield(a) {
				return
			}
		}
	}
}

// follower applies a history to a backend, a piece at a time.
type follower struct {
	t              failer
	history        history
	backend        *memory.Backend
	users, friends int // how much is applied
}

// move applies some more of both logs.
func (f *follower) move(users, friends int) {
	f.t.Helper()
	ctx := f.t.Context()
	users, friends = min(users, len(f.history.people)-f.users), min(friends, len(f.history.friends)-f.friends)
	err := errors.Join(
		f.backend.ApplyFriends(ctx, backendtest.Friendships(f.history.friends[f.friends:f.friends+friends]...)),
		f.backend.ApplyUsers(ctx, f.history.people[f.users:f.users+users]),
	)
	if err != nil {
		f.t.Fatal(err)
	}
	f.users, f.friends = f.users+users, f.friends+friends
}

// meanwhile is keys that let something happen whenever a name is sealed: in the middle
// of writing the people.
type meanwhile struct {
	user.Keys
	happens func()
}

// Seal implements [user.Keys].
func (m meanwhile) Seal(id int64, plain []byte) ([]byte, error) {
	m.happens()
	return m.Keys.Seal(id, plain)
}

// TestASnapshotAndTheEventsAfterItsPositionsAreTheWholeHistory: positions are noted, more
// happens, a snapshot is written while still more happens, the system ends, and a new one
// reads the snapshot and follows from the positions. However often that is done and
// whenever, it answers as one that has followed both logs from their beginning.
func TestASnapshotAndTheEventsAfterItsPositionsAreTheWholeHistory(t *testing.T) {
	keys := ring(t)
	var ids []int64
	for range townPeople + 1 {
		id, err := keys.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, ids)
		some := func(name string) int { return rapid.IntRange(0, 12).Draw(t, name) }
		f := &follower{t: t, history: h, backend: memory.New()}
		for range rapid.IntRange(1, 4).Draw(t, "restarts") {
			f.move(some("users"), some("friends"))
			users, friends := f.users, f.friends // noted
			f.move(some("users before"), some("friends before"))
			data := written(t, f.backend, meanwhile{keys.InOrder(), func() { f.move(some("users during")/6, some("friends during")/6) }})
			b, err := read(data, keys)
			if err != nil {
				t.Fatal(err)
			}
			f = &follower{t: t, history: h, backend: b, users: users, friends: friends}
			for id := int64(1); id <= townPeople; id++ { // at every moment each weight is the length of a list
				for c := range b.Recommend(t.Context(), id, recommendation.Query{}) {
					if n := len(slices.Collect(first(b.Mutual(t.Context(), id, c.User.ID, 0)))); n != c.Weight {
						t.Fatalf("%d and %d share %d friends, the weight is %d", id, c.User.ID, n, c.Weight)
					}
				}
			}
		}
		f.move(len(h.people), len(h.friends))
		plain := &follower{t: t, history: h, backend: memory.New()}
		plain.move(len(h.people), len(h.friends))
		if got, want := asked(t, f.backend, townPeople), asked(t, plain.backend, townPeople); got != want {
			t.Fatalf("with snapshots %s\nwithout %s", got, want)
		}
		if got, want := f.backend.Stats(), plain.backend.Stats(); got.People != want.People || got.Erased != want.Erased || got.Friendships != want.Friendships {
			t.Fatalf("with snapshots %+v, without %+v", got, want)
		}
	})
}

// TestWhoComesAndIsRenamedWhileASnapshotIsWrittenIsThereAfterwards: they are in the table
// of people and not in the graph; their creation, seen again, is older than their name.
func TestWhoComesAndIsRenamedWhileASnapshotIsWrittenIsThereAfterwards(t *testing.T) {
	keys := ring(t)
	var ids []int64
	for range 4 {
		id, err := keys.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	b := memory.New()
	apply := func(b *memory.Backend, people ...recommendation.Person) {
		if err := b.ApplyUsers(t.Context(), people); err != nil {
			t.Fatal(err)
		}
	}
	apply(b, happened(1, user.Created{FirstName: "A", Key: ids[0]}, 1), happened(2, user.Created{FirstName: "B", Key: ids[1]}, 2))
	// Friendships that wait for their person; one block has them all, in the order of ids.
	if err := b.ApplyFriends(t.Context(), backendtest.Friendships(friend.Added{By: 1, To: 2}, friend.Added{By: 2, To: 3})); err != nil {
		t.Fatal(err)
	}
	later := []recommendation.Person{happened(3, user.Created{FirstName: "C", Key: ids[2]}, 3), happened(3, user.Renamed{FirstName: "Cleo", Key: ids[2]}, 4)}
	after := bytes.Buffer{}
	apply(b, later...) // after the positions, and known to the table
	if err := b.WriteSnapshot(&after, []byte("user:7, friend:9"), keys.InOrder()); err != nil {
		t.Fatal(err)
	}
	// The graph of the moment before: person 3 is a stub there.
	before := memory.New()
	apply(before, happened(1, user.Created{FirstName: "A", Key: ids[0]}, 1), happened(2, user.Created{FirstName: "B", Key: ids[1]}, 2))
	if err := before.ApplyFriends(t.Context(), backendtest.Friendships(friend.Added{By: 1, To: 2}, friend.Added{By: 2, To: 3})); err != nil {
		t.Fatal(err)
	}
	read, err := read(memory.Spliced(t, written(t, before, keys.InOrder()), after.Bytes()), keys)
	if err != nil {
		t.Fatal(err)
	}
	apply(read, later...)
	if got := asked(t, read, 3); !strings.Contains(got, `1: 3 "Cleo"`) {
		t.Fatalf("got %s", got)
	}
}

// people returns a backend in which person 1 has n friends of friends, with real keys.
func people(t *testing.T, keys *keyring.Keyring, n int64) *memory.Backend {
	t.Helper()
	b := memory.New()
	var all []recommendation.Person
	events := []friend.Event{friend.Added{By: 1, To: 2}}
	for id := int64(1); id <= n+2; id++ {
		key, err := keys.New(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{
			Event: user.Created{FirstName: "Ada-" + fmt.Sprint(id), LastName: "Žofie", Key: key}, Number: id, Time: time.Unix(id, 7000).UTC(),
		}})
		if id > 2 {
			events = append(events, friend.Added{By: id, To: 2})
		}
	}
	if err := errors.Join(b.ApplyUsers(t.Context(), all), b.ApplyFriends(t.Context(), backendtest.Friendships(events...))); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestALargeSnapshotIsReadOnAllCores: several blocks, the last of them not full.
func TestALargeSnapshotIsReadOnAllCores(t *testing.T) {
	keys := ring(t)
	b := people(t, keys, 9000)
	if err := b.ApplyUsers(t.Context(), []recommendation.Person{happened(5000, user.Erased{}, 99_999)}); err != nil {
		t.Fatal(err)
	}
	data := written(t, b, keys.InOrder())
	if bytes.Contains(data, []byte("Ada-")) || bytes.Contains(data, []byte("Žofie")) {
		t.Error("a name can be read in the file")
	}
	again, err := read(data, keys)
	if err != nil {
		t.Fatal(err)
	}
	list := func(b *memory.Backend) (all []recommendation.Candidate) {
		for c, err := range b.Recommend(t.Context(), 1, recommendation.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		return all
	}
	want, got := list(b), list(again)
	if len(want) != 8999 || len(got) != len(want) {
		t.Fatalf("%d people, and %d before", len(got), len(want))
	}
	for i := range want {
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			t.Fatalf("%+v was %+v", got[i], want[i])
		}
	}
}

// TestASnapshotThatIsDamagedIsRefused wherever a bit flips, and wherever it is cut.
func TestASnapshotThatIsDamagedIsRefused(t *testing.T) {
	keys := ring(t)
	good := written(t, people(t, keys, 5), keys.InOrder())
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if _, err := read(bad, keys); !errors.Is(err, memory.ErrSnapshot) {
			t.Fatalf("bit %d of byte %d flipped: %v", i%8, i, err)
		}
	}
	for n := range good {
		if _, err := read(good[:n], keys); !errors.Is(err, memory.ErrSnapshot) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := read(append(bytes.Clone(good), 0), keys); !errors.Is(err, memory.ErrSnapshot) {
		t.Fatalf("with a byte more: %v", err)
	}
}

// TestWhatIsNoSnapshotOfOursIsRefusedWithTheReason, which an operator reads.
func TestWhatIsNoSnapshotOfOursIsRefusedWithTheReason(t *testing.T) {
	keys, others := ring(t), ring(t)
	b := people(t, keys, 3)
	people(t, others, 3)
	good := written(t, b, keys.InOrder())
	newer := bytes.Clone(good)
	newer[7] = '2'
	for name, c := range map[string]struct {
		data []byte
		keys *keyring.Keyring
		says string
	}{
		"nothing":                {nil, keys, "cut short"},
		"another file":           {bytes.Repeat([]byte("x"), 1000), keys, `it begins with "xxxxxxxx"`},
		"a newer format":         {newer, keys, "a newer one has written it"},
		"other people's keys":    {good, others, "open the name of"},
		"no keys for its people": {good, ring(t), "there is no such key"},
		"half":                   {good[:len(good)/2], keys, "it has no foot"},
	} {
		_, err := read(c.data, c.keys)
		if !errors.Is(err, memory.ErrSnapshot) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := memory.ReadMeta(bytes.NewReader(newer), int64(len(newer))); !errors.Is(err, memory.ErrSnapshot) {
		t.Errorf("the meta of a newer format: %v", err)
	}
}

// TestASnapshotForgetsWhoseKeyIsDestroyed: whether that was before it was written or
// after, nobody without a key is shown or counted, and the event that erases them, which
// may come later, changes nothing any more.
func TestASnapshotForgetsWhoseKeyIsDestroyed(t *testing.T) {
	for _, when := range []string{"before it is written", "before it is read"} {
		keys := ring(t)
		b := people(t, keys, 3) // 1 and 2 are friends, 3 to 5 are friends of 2
		if when == "before it is written" {
			if err := keys.Destroy(t.Context(), 2, 4); err != nil {
				t.Fatal(err)
			}
		}
		data := written(t, b, keys.InOrder())
		if err := keys.Destroy(t.Context(), 2, 4); err != nil {
			t.Fatal(err)
		}
		again, err := read(data, keys)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		for range 2 {
			if got := asked(t, again, 5); got != "" {
				t.Errorf("destroyed %s: without 2 nobody shares a friend, but %s", when, got)
			}
			if s := again.Stats(); s.People != 3 || s.Erased != 2 {
				t.Errorf("destroyed %s: %+v", when, s)
			}
			if err := again.ApplyUsers(t.Context(), []recommendation.Person{happened(2, user.Erased{}, 100), happened(4, user.Erased{}, 100)}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// narrow fails after so many bytes, as a full disk does.
type narrow int

// Write implements io.Writer.
func (n *narrow) Write(b []byte) (int, error) {
	if *n -= narrow(len(b)); *n < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

// TestASnapshotThatCanNotBeWrittenSaysSo at whichever byte.
func TestASnapshotThatCanNotBeWrittenSaysSo(t *testing.T) {
	keys := ring(t)
	b := people(t, keys, 5)
	for room := range len(written(t, b, keys.InOrder())) {
		n := narrow(room)
		if err := b.WriteSnapshot(&n, []byte("user:7, friend:9"), keys.InOrder()); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
	}
	if err := b.WriteSnapshot(&bytes.Buffer{}, make([]byte, memory.MaxMeta+1), keys); err == nil {
		t.Error("too much meta was written")
	}
	none := memory.New()
	if err := none.ApplyUsers(t.Context(), []recommendation.Person{happened(1, user.Created{FirstName: "A", Key: 1 << 40}, 1)}); err != nil {
		t.Fatal(err)
	}
	if err := none.WriteSnapshot(&bytes.Buffer{}, nil, keys.InOrder()); err == nil || !strings.Contains(err.Error(), "seal the name of 1") {
		t.Errorf("with a key that there is not: %v", err)
	}
}

// TestAnswersAreGivenWhileASnapshotIsWritten, and events applied.
func TestAnswersAreGivenWhileASnapshotIsWritten(t *testing.T) {
	keys := ring(t)
	b := people(t, keys, 5000)
	rnd := rand.New(rand.NewPCG(1, 2))
	asked := 0
	during := meanwhile{keys.InOrder(), func() {
		if asked++; asked%500 != 0 {
			return
		}
		n := 0
		for _, err := range b.Recommend(t.Context(), 1, recommendation.Query{Limit: 10}) {
			if err != nil {
				t.Error(err)
			}
			n++
		}
		if n != 10 {
			t.Errorf("%d people", n)
		}
		if err := b.ApplyFriends(t.Context(), backendtest.Friendships(friend.Added{By: 3 + rnd.Int64N(5000), To: 1 << 30})); err != nil {
			t.Error(err)
		}
	}}
	if _, err := read(written(t, b, during), keys); err != nil || asked < 5000 {
		t.Fatalf("after %d names: %v", asked, err)
	}
}
