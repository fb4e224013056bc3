package readmodel_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
)

// network is the whole social network by brute force: people and rows in slices,
// answers looked for from the beginning each time.
type network struct {
	people []person
	rows   []row
	last   int64               // row
	keys   map[string]answered // by log and idempotency key
	events [2]int              // in the logs of users and friends
}

type person struct {
	first, last string
	version     int
	erased      bool
}

type row struct{ id, by, to int64 }

// answered is what a key was used for, and the answer.
type answered struct{ command, answer string }

// command is one random step.
type command struct {
	kind        string
	a, b        int64
	first, last string
	key         byte // 0: none
}

func (c command) String() string { return fmt.Sprint(c.kind, c.a, c.b, c.first, "/", c.last) }

// scope is where a key is known: each log has its own.
func (c command) scope() string { return fmt.Sprint(c.kind == "create", c.key) }

// answer says what the network answers to a command, and changes it.
func (n *network) answer(c command) string {
	if c.key == 0 {
		return n.decide(c)
	}
	if before, used := n.keys[c.scope()]; used {
		if before.command != c.String() {
			return "key reused"
		}
		if n.gone(c, before.answer) {
			return "erased"
		}
		return before.answer
	}
	answer := n.decide(c)
	if answer != "self" {
		n.keys[c.scope()] = answered{c.String(), answer}
	}
	return answer
}

// gone says whether an answer is not given again, because it is about somebody who
// was erased since.
func (n *network) gone(c command, answer string) bool {
	success := strings.HasPrefix(answer, "row") || strings.HasPrefix(answer, "already") || answer == "removed"
	return c.kind != "create" && success && (n.find(c.a).erased || n.find(c.b).erased)
}

func (n *network) decide(c command) string {
	switch c.kind {
	case "create":
		if strings.TrimSpace(c.first) == "" {
			return "invalid"
		}
		n.people = append(n.people, person{first: c.first, last: c.last, version: 1})
		n.events[0]++
		return fmt.Sprint("user ", len(n.people))
	case "rename":
		return n.rename(c)
	case "erase":
		return n.erase(c)
	case "add":
		return n.add(c)
	}
	return n.remove(c)
}

func (n *network) rename(c command) string {
	p := n.find(c.a)
	switch {
	case p == nil:
		return "not found"
	case p.erased:
		return "erased"
	case strings.TrimSpace(c.first) == "":
		return "invalid"
	case p.first != c.first || p.last != c.last:
		p.first, p.last = c.first, c.last
		p.version++
		n.events[0]++
	}
	return fmt.Sprint("user ", c.a, " ", p.version)
}

func (n *network) erase(c command) string {
	p := n.find(c.a)
	switch {
	case p == nil:
		return "not found"
	case p.erased:
		return "erased"
	}
	*p = person{version: p.version + 1, erased: true}
	n.events[0]++
	return fmt.Sprint("erased ", c.a, " ", p.version)
}

func (n *network) add(c command) string {
	if c.a == c.b {
		return "self"
	}
	for _, r := range n.rows {
		if r.by == c.a && r.to == c.b {
			return "exists"
		}
		if r.by == c.b && r.to == c.a {
			return fmt.Sprint("already row ", r.id)
		}
	}
	var missing []int64
	for _, id := range []int64{min(c.a, c.b), max(c.a, c.b)} {
		if p := n.find(id); p == nil || p.erased {
			missing = append(missing, id)
		}
	}
	if missing != nil {
		return fmt.Sprint("missing ", missing)
	}
	n.last++
	n.rows = append(n.rows, row{n.last, c.a, c.b})
	n.events[1]++
	return fmt.Sprint("row ", n.last)
}

func (n *network) remove(c command) string {
	if c.a == c.b {
		return "self"
	}
	for i, r := range n.rows {
		if min(r.by, r.to) == min(c.a, c.b) && max(r.by, r.to) == max(c.a, c.b) {
			n.rows = slices.Delete(n.rows, i, i+1)
			n.events[1]++
			return "removed"
		}
	}
	return "not friends"
}

func (n *network) find(id int64) *person {
	if id < 1 || id > int64(len(n.people)) {
		return nil
	}
	return &n.people[id-1]
}

// perform sends a command to the real thing and puts its answer in the model's
// words.
func (w *world) perform(ctx context.Context, c command) string {
	var key *eventstore.Key
	if c.key != 0 {
		key = &eventstore.Key{Hash: [16]byte{c.key}}
		copy(key.Fingerprint[:], fmt.Sprintf("%x", hash(c.String())))
	}
	switch c.kind {
	case "create":
		o, err := w.people.Create(ctx, c.first, c.last, key)
		return say(err, func() string { return fmt.Sprint("user ", o.State.ID) })
	case "rename":
		o, err := w.people.Rename(ctx, c.a, c.first, c.last)
		return say(err, func() string { return fmt.Sprint("user ", c.a, " ", o.Version) })
	case "erase":
		o, err := w.people.Erase(ctx, c.a)
		return say(err, func() string { return fmt.Sprint("erased ", c.a, " ", o.Version) })
	case "add":
		o, err := w.friendships.Add(ctx, c.a, c.b, key)
		return say(err, func() string {
			if o.Changed {
				return fmt.Sprint("row ", o.State.Rows[0].Row)
			}
			return fmt.Sprint("already row ", o.State.Rows[0].Row)
		})
	}
	_, err := w.friendships.Remove(ctx, c.a, c.b, key)
	return say(err, func() string { return "removed" })
}

func say(err error, success func() string) string {
	if unknown, ok := errors.AsType[*friend.UnknownUsersError](err); ok {
		return fmt.Sprint("missing ", unknown.Missing)
	}
	if _, ok := errors.AsType[*user.InvalidError](err); ok {
		return "invalid"
	}
	for known, words := range map[error]string{
		user.ErrNotFound: "not found", user.ErrErased: "erased", friend.ErrSelf: "self", friend.ErrExists: "exists",
		friend.ErrNotFriends: "not friends", decider.ErrKeyReused: "key reused",
	} {
		if errors.Is(err, known) {
			return words
		}
	}
	if err != nil {
		return err.Error()
	}
	return success()
}

func hash(s string) (h uint32) {
	for _, c := range []byte(s) {
		h = h*31 + uint32(c)
	}
	return h
}

func drawCommand(t *rapid.T) command {
	c := command{kind: rapid.SampledFrom([]string{"create", "create", "rename", "add", "add", "add", "remove", "remove", "erase"}).Draw(t, "kind")}
	switch c.kind {
	case "create", "rename":
		c.first = rapid.SampledFrom([]string{"Ada", "Žofie", "李", " "}).Draw(t, "first")
		c.last = rapid.SampledFrom([]string{"", "X"}).Draw(t, "last")
	}
	if c.kind != "create" {
		c.a = rapid.Int64Range(1, 5).Draw(t, "a")
	}
	if c.kind == "add" || c.kind == "remove" {
		c.b = rapid.Int64Range(1, 5).Draw(t, "b")
	}
	if c.kind != "rename" && c.kind != "erase" && rapid.Bool().Draw(t, "keyed") {
		c.key = byte(rapid.IntRange(1, 6).Draw(t, "key"))
	}
	return c
}

// TestTheNetworkAnswersAsBruteForceDoes: random commands, retries and reused keys,
// erasures in between; every answer, every read model and both logs.
func TestTheNetworkAnswersAsBruteForceDoes(t *testing.T) {
	for driver := range drivers() {
		t.Run(driver, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				w := newWorld(rt, t.TempDir(), driver)
				n := &network{keys: map[string]answered{}}
				for range rapid.IntRange(1, 40).Draw(rt, "commands") {
					c := drawCommand(rt)
					want := n.answer(c)
					if got := w.perform(rt.Context(), c); got != want {
						rt.Fatalf("%+v: got %q, want %q", c, got, want)
					}
				}
				w.compare(rt, n)
			})
		})
	}
}

// compare holds the read models and the logs against the network.
func (w *world) compare(t *rapid.T, n *network) {
	for id := int64(1); id <= int64(len(n.people))+1; id++ {
		p, got := n.find(id), ""
		u, err := w.users.ByID(t.Context(), id)
		got = say(err, func() string { return fmt.Sprint(u.FirstName, "/", u.LastName, " ", u.Version) })
		want := "not found"
		switch {
		case p != nil && p.erased:
			want = "erased"
		case p != nil:
			want = fmt.Sprint(p.first, "/", p.last, " ", p.version)
		}
		if got != want {
			t.Fatalf("user %d is %q, want %q", id, got, want)
		}
		w.compareFriends(t, n, id)
	}
	w.dense(t, w.userStore, n.events[0])
	w.dense(t, w.friendStore, n.events[1])
}

func (w *world) compareFriends(t *rapid.T, n *network, id int64) {
	var want []string
	for _, r := range n.rows {
		switch id {
		case r.by:
			want = append(want, fmt.Sprint(r.id, ":", r.to))
		case r.to:
			want = append(want, fmt.Sprint(r.id, ":", r.by))
		}
	}
	friends, err := w.friends.Of(t.Context(), id, readmodel.Both, 0, 0)
	var got []string
	for _, f := range friends {
		got = append(got, fmt.Sprint(f.Row, ":", f.To))
	}
	if !slices.Equal(got, want) || err != nil {
		t.Fatalf("friends of %d: %v, want %v, %v", id, got, want, err)
	}
}

// dense checks that a log has so many events with dense positions, versions and
// numbers.
func (w *world) dense(t interface{ Fatalf(string, ...any) }, store *eventstore.Store, events int) {
	versions, number := map[eventstore.Stream]eventstore.Version{}, int64(0)
	page, err := store.ReadAll(context.Background(), 0, eventstore.MaxPage)
	if err != nil || len(page) != events {
		t.Fatalf("the log has %d events, want %d, %v", len(page), events, err)
	}
	for i, e := range page {
		versions[e.Stream]++
		if e.Number != 0 {
			number++
		}
		if e.Position != eventstore.Position(i+1) || e.Version != versions[e.Stream] || e.Number != 0 && e.Number != number {
			t.Fatalf("event %d is not dense: %+v", i, e)
		}
	}
}

// TestRaces: a hundred at once on one pair, one user and one key.
func TestRaces(t *testing.T) {
	race := func(w *world, c func(i int) command) map[string]int {
		var mu sync.Mutex
		answers := map[string]int{}
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				answer := w.perform(context.Background(), c(i))
				mu.Lock()
				defer mu.Unlock()
				answers[answer]++
			})
		}
		group.Wait()
		return answers
	}
	check := func(t *testing.T, got, want map[string]int) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("answers %v, want %v", got, want)
		}
	}
	onEach(t, func(t *testing.T, w *world) {
		w.create(t, 3)
		check(t, race(w, func(int) command { return command{kind: "add", a: 1, b: 2} }),
			map[string]int{"row 1": 1, "exists": 99})
		answers := race(w, func(i int) command { return command{kind: "add", a: 2 + int64(i%2), b: 3 - int64(i%2)} })
		if answers["row 2"] != 1 || answers["already row 2"] != 50 || answers["exists"] != 49 {
			t.Fatalf("both directions at once: %v", answers)
		}
		check(t, race(w, func(int) command { return command{kind: "remove", a: 1, b: 2} }),
			map[string]int{"removed": 1, "not friends": 99})
		check(t, race(w, func(int) command { return command{kind: "add", a: 1, b: 3, key: 7} }),
			map[string]int{"row 3": 100})
		check(t, race(w, func(int) command { return command{kind: "create", first: "Eve", key: 8} }),
			map[string]int{"user 4": 100})
		w.dense(t, w.userStore, 4)
		w.dense(t, w.friendStore, 4)
		var renames atomic.Int64
		race(w, func(i int) command {
			renames.Add(1)
			return command{kind: "rename", a: 1, first: fmt.Sprint("N", i)}
		})
		w.dense(t, w.userStore, 4+100)
	})
}
