// Package backendtest is the contract of a recommendation backend as a suite of
// tests: each subtest is one sentence of it. A backend passes the whole suite, or
// it is not one.
package backendtest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"ensemble/decider"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/user"
)

// Run runs the suite; open returns an empty backend, and rounds is how many random
// histories it has to bear: fewer for one that asks a server each time.
func Run(t *testing.T, rounds int, open func(t *testing.T) recommendation.Backend) {
	t.Run("the best come first, then the lowest id", func(t *testing.T) {
		w := example(t, open(t))
		w.want(t, "recommend 1: 4D×2 6F×2 5E×1", w.recommend(t, 1, 0))
		w.want(t, "recommend 1: 4D×2", w.recommend(t, 1, 1))
		w.want(t, "mutual 1 4: 2B 3C", w.mutual(t, 1, 4))
		w.want(t, "mutual 4 1: 2B 3C", w.mutual(t, 4, 1))
	})
	t.Run("people come with their names and times", func(t *testing.T) {
		w := example(t, open(t))
		for c, err := range w.backend.Recommend(t.Context(), 1, recommendation.Query{Limit: 1}) {
			want := user.User{ID: 4, FirstName: "D", LastName: "X", Key: 4, CreatedAt: at(4), LastModified: at(4)}
			if err != nil || c.User.User != want {
				t.Fatalf("got %+v, %v", c.User, err)
			}
		}
	})
	t.Run("who changes people while an answer is read waits for nobody", func(t *testing.T) {
		w := example(t, open(t))
		for c, err := range w.backend.Recommend(t.Context(), 1, recommendation.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			w.people(t, renamed(c.User.ID, "New", 100+c.User.ID), created(10+c.User.ID))
			w.friends(t, friend.Added{By: 10 + c.User.ID, To: 2})
		}
		for u, err := range w.backend.Mutual(t.Context(), 1, 4, 0) {
			if err != nil {
				t.Fatal(err)
			}
			w.people(t, renamed(u.ID, "New", 100+u.ID))
		}
		w.want(t, "recommend 1: 4New×2 6New×2 5New×1 14N×1 15O×1 16P×1", w.recommend(t, 1, 0))
		w.want(t, "mutual 1 4: 2New 3New", w.mutual(t, 1, 4))
	})
	t.Run("somebody who is not there gets nobody", func(t *testing.T) {
		w := example(t, open(t))
		for _, id := range []int64{0, -1, 77} {
			w.want(t, fmt.Sprintf("recommend %d:", id), w.recommend(t, id, 0))
			w.want(t, fmt.Sprintf("mutual %d 2:", id), w.mutual(t, id, 2))
			w.want(t, fmt.Sprintf("mutual 2 %d:", id), w.mutual(t, 2, id))
		}
		w.want(t, "mutual 2 2:", w.mutual(t, 2, 2))
	})
	t.Run("a friendship may come before its people", func(t *testing.T) {
		w := &world{backend: open(t)}
		w.friends(t, friend.Added{By: 1, To: 2}, friend.Added{By: 2, To: 3})
		w.people(t, created(1), created(3))
		w.want(t, "recommend 1:", w.recommend(t, 1, 0))
		w.people(t, created(2))
		w.want(t, "recommend 1: 3C×1", w.recommend(t, 1, 0))
	})
	t.Run("a new name is shown, an old one seen again is not", func(t *testing.T) {
		w := example(t, open(t))
		w.people(t, renamed(4, "Dora", 100))
		w.want(t, "recommend 1: 4Dora×2", w.recommend(t, 1, 1))
		w.people(t, created(4), renamed(4, "Dora", 100))
		w.want(t, "recommend 1: 4Dora×2", w.recommend(t, 1, 1))
	})
	t.Run("who is erased vanishes for ever", func(t *testing.T) {
		w := example(t, open(t))
		w.people(t, erased(2, 100))
		w.want(t, "recommend 1: 4D×1 6F×1", w.recommend(t, 1, 0))
		w.want(t, "mutual 1 4: 3C", w.mutual(t, 1, 4))
		w.want(t, "recommend 2:", w.recommend(t, 2, 0))
		w.people(t, created(2), renamed(2, "Bob", 50))
		w.want(t, "recommend 1: 4D×1 6F×1", w.recommend(t, 1, 0))
	})
	t.Run("a friendship that ended does not count", func(t *testing.T) {
		w := example(t, open(t))
		w.friends(t, friend.Removed{By: 2, To: 4, Row: 4})
		w.want(t, "recommend 1: 6F×2 4D×1 5E×1", w.recommend(t, 1, 0))
	})
	t.Run("an answer may be left at any person", func(t *testing.T) {
		w := example(t, open(t))
		for range w.backend.Recommend(t.Context(), 1, recommendation.Query{}) {
			break
		}
		for range w.backend.Mutual(t.Context(), 1, 4, 0) {
			break
		}
	})
	paging(t, open)
	batches(t, open)
	t.Run("any interleaving of both logs, with repetitions, ends in the same answers", func(t *testing.T) {
		interleave(t, rounds, open)
	})
}

// world is a backend with words for what the tests do to it.
type world struct{ backend recommendation.Backend }

// example returns the network of the contract.
func example(t *testing.T, b recommendation.Backend) *world {
	t.Helper()
	w := &world{backend: b}
	for id := int64(1); id <= 6; id++ {
		w.people(t, created(id))
	}
	for _, p := range [][2]int64{{1, 2}, {2, 3}, {3, 1}, {2, 4}, {3, 4}, {2, 5}, {2, 6}, {3, 6}} {
		w.friends(t, friend.Added{By: p[0], To: p[1]})
	}
	return w
}

func (w *world) people(t *testing.T, people ...recommendation.Person) {
	t.Helper()
	if err := w.backend.ApplyUsers(t.Context(), people); err != nil {
		t.Fatal(err)
	}
}

func (w *world) friends(t *testing.T, events ...friend.Event) {
	t.Helper()
	w.happened(t, Friendships(events...)...)
}

func (w *world) happened(t *testing.T, events ...recommendation.Friendship) {
	t.Helper()
	if err := w.backend.ApplyFriends(t.Context(), events); err != nil {
		t.Fatal(err)
	}
}

func (w *world) want(t *testing.T, want, got string) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (w *world) recommend(t *testing.T, id int64, limit int) string {
	t.Helper()
	return fmt.Sprintf("recommend %d:", id) + w.query(t, id, recommendation.Query{Limit: limit})
}

func (w *world) mutual(t *testing.T, x, y int64) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "mutual %d %d:", x, y)
	for u, err := range w.backend.Mutual(t.Context(), x, y, 0) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, " %d%s", u.ID, u.FirstName)
		shown(t, u)
	}
	return b.String()
}

// shown fails if the JSON of a profile is not that of its user.
func shown(t *testing.T, p recommendation.Profile) {
	t.Helper()
	if want := recommendation.NewProfile(p.User).JSON; p.JSON != "" && p.JSON != want {
		t.Fatalf("%+v is shown as %s", p.User, p.JSON)
	}
}

// Friendships are events as a backend takes them in, without a time or a position.
func Friendships(events ...friend.Event) []recommendation.Friendship {
	happened := make([]recommendation.Friendship, len(events))
	for i, e := range events {
		happened[i].Event.Event = e
	}
	return happened
}

// at is the time of the n-th event.
func at(n int64) time.Time { return time.Unix(1_700_000_000+n, 0).UTC() }

func created(id int64) recommendation.Person {
	name := string(rune('A' + id - 1))
	return person(id, user.Created{FirstName: name, LastName: "X", Key: id}, id)
}

func renamed(id int64, name string, n int64) recommendation.Person {
	return person(id, user.Renamed{FirstName: name, LastName: "X", Key: id, CreatedAt: at(id)}, n)
}

func erased(id, n int64) recommendation.Person {
	return person(id, user.Erased{CreatedAt: at(id)}, n)
}

func person(id int64, e user.Event, n int64) recommendation.Person {
	return recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{Event: e, Number: id, Time: at(n)}}
}

// crowd is how many people the interleavings have.
const crowd = 6

// history is what happens in the two logs, in order.
type history struct {
	people  []recommendation.Person
	events  []friend.Event
	counted bool // events have positions; those of other systems don't
}

// friendships returns n events of the log of friendships after the first so many.
func (h *history) friendships(after, n int) []recommendation.Friendship {
	events := Friendships(h.events[after : after+n]...)
	for i := range events {
		events[i].Event.Time = at(int64(after + i))
		if h.counted {
			events[i].Position = eventstore.Position(after + i + 1)
		}
	}
	return events
}

func drawHistory(rnd *rand.Rand) (h history) {
	h.counted = rnd.IntN(2) == 0
	defer func() {
		for i := range h.people {
			if h.counted {
				h.people[i].Position = eventstore.Position(i + 1)
			}
		}
	}()
	n := int64(10)
	for id := int64(1); id <= crowd; id++ {
		h.people = append(h.people, created(id))
	}
	for range 6 {
		n++
		id := rnd.Int64N(crowd) + 1
		if rnd.IntN(4) == 0 {
			h.people = append(h.people, erased(id, n))
		} else {
			h.people = append(h.people, renamed(id, fmt.Sprint("N", n), n))
		}
	}
	rows := map[[2]int64]friend.Removed{}
	for row := range int64(20) {
		a, b := rnd.Int64N(crowd)+1, rnd.Int64N(crowd)+1
		pair := [2]int64{min(a, b), max(a, b)}
		if old, there := rows[pair]; there {
			h.events = append(h.events, old)
			delete(rows, pair)
		} else if a != b {
			h.events = append(h.events, friend.Added{By: a, To: b})
			rows[pair] = friend.Removed{By: a, To: b, Row: row}
		}
	}
	return h
}

func interleave(t *testing.T, rounds int, open func(t *testing.T) recommendation.Backend) {
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		rounds *= 10
	}
	for seed := range uint64(rounds) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		h := drawHistory(rnd)
		w := &world{backend: open(t)}
		w.mix(t, rnd, h)
		m := modelOf(h)
		for id := int64(1); id <= crowd; id++ {
			w.want(t, m.recommend(id), w.recommend(t, id, 0))
			q := drawQuery(rnd)
			w.want(t, m.query(id, q), w.query(t, id, q))
			for other := int64(1); other <= crowd; other++ {
				w.want(t, m.mutual(id, other), w.mutual(t, id, other))
			}
		}
	}
}

// mix feeds the logs in random pieces; each begins again from its first event now
// and then, as after a restart, and runs to its end.
func (w *world) mix(t *testing.T, rnd *rand.Rand, h history) {
	t.Helper()
	people, events := 0, 0
	for restarts := 0; people < len(h.people) || events < len(h.events); {
		if n := min(rnd.IntN(5), len(h.people)-people); n > 0 {
			w.people(t, h.people[people:people+n]...)
			people += n
		}
		if n := min(rnd.IntN(5), len(h.events)-events); n > 0 {
			w.happened(t, h.friendships(events, n)...)
			events += n
		}
		if restarts < 2 && rnd.IntN(10) == 0 {
			restarts++
			people, events = 0, 0
		}
	}
}

// model is the end of a history by brute force.
type model struct {
	names   map[int64]string
	friends map[[2]int64]bool
}

func modelOf(h history) *model {
	m := &model{names: map[int64]string{}, friends: map[[2]int64]bool{}}
	gone := map[int64]bool{}
	for _, p := range h.people {
		switch e := p.Event.Event.(type) {
		case user.Created:
			m.names[p.ID] = e.FirstName
		case user.Renamed:
			m.names[p.ID] = e.FirstName
		case user.Erased:
			gone[p.ID] = true
		}
	}
	for id := range gone {
		delete(m.names, id)
	}
	for _, event := range h.events {
		switch e := event.(type) {
		case friend.Added:
			m.friends[[2]int64{min(e.By, e.To), max(e.By, e.To)}] = true
		case friend.Removed:
			delete(m.friends, [2]int64{min(e.By, e.To), max(e.By, e.To)})
		}
	}
	return m
}

func (m *model) are(a, b int64) bool { return m.friends[[2]int64{min(a, b), max(a, b)}] }

func (m *model) shared(a, b int64) (ids []int64) {
	if m.names[a] == "" || m.names[b] == "" || a == b {
		return nil
	}
	for id := int64(1); id <= crowd; id++ {
		if m.names[id] != "" && m.are(id, a) && m.are(id, b) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (m *model) mutual(a, b int64) string {
	var text strings.Builder
	fmt.Fprintf(&text, "mutual %d %d:", a, b)
	for _, id := range m.shared(a, b) {
		fmt.Fprintf(&text, " %d%s", id, m.names[id])
	}
	return text.String()
}

func (m *model) recommend(id int64) string {
	return fmt.Sprintf("recommend %d:", id) + m.query(id, recommendation.Query{})
}
