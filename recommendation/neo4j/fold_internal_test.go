package neo4j

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/decider"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/user"
)

// stored is what the statements of a batch leave in the database, without a database.
type stored struct {
	people  map[int64]user.User
	shown   map[int64]bool
	friends map[direction]int64 // since when
}

// users does what meet, name, show and erase do.
func (s *stored) users(fates map[int64]*fate) {
	for id, f := range fates {
		before := s.people[id]
		switch {
		case before.Erased:
			continue
		case f.user.Erased:
			s.people[id] = user.User{ID: id, Erased: true}
			delete(s.shown, id)
			continue
		case !before.LastModified.After(f.user.LastModified):
			s.people[id] = f.user
		}
		if f.created {
			s.shown[id] = true
		}
	}
}

// friendships does what befriend and part do.
func (s *stored) friendships(added, removed []map[string]any) {
	for _, row := range removed {
		delete(s.friends, direction{row["by"].(int64), row["to"].(int64)})
	}
	for _, row := range added {
		s.friends[direction{row["by"].(int64), row["to"].(int64)}] = row["at"].(int64)
	}
}

// drawPeople draws a part of a log of users: some are created, renamed and erased.
func drawPeople(t *rapid.T) (log []recommendation.Person) {
	last := map[int64]string{}
	for n := int64(1); n <= 30; n++ {
		id := rapid.Int64Range(1, 5).Draw(t, "id")
		created := time.Unix(id, 0)
		var e user.Event
		switch {
		case last[id] == "":
			e, last[id] = user.Created{FirstName: fmt.Sprint("C", n), Key: id}, "there"
		case last[id] == "gone":
			continue
		case rapid.IntRange(0, 5).Draw(t, "erase") == 0:
			e, last[id] = user.Erased{Key: id, CreatedAt: created}, "gone"
		default:
			e = user.Renamed{FirstName: fmt.Sprint("R", n), Key: id, CreatedAt: created}
		}
		at := time.Unix(100+n, 0)
		if _, first := e.(user.Created); first {
			at = created
		}
		log = append(log, recommendation.Person{ID: id, Event: decider.Recorded[user.Event]{Event: e, Number: id, Time: at}})
	}
	return log
}

// pieces cuts a log anywhere.
func pieces[E any](t *rapid.T, log []E) (cut [][]E) {
	for len(log) > 0 {
		n := rapid.IntRange(1, len(log)).Draw(t, "n")
		cut, log = append(cut, log[:n]), log[n:]
	}
	return cut
}

// TestABatchIsWhatItsEventsAreOneByOne, wherever the log is cut, and also when a part of it
// comes again.
func TestABatchIsWhatItsEventsAreOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawPeople(t)
		one := stored{people: map[int64]user.User{}, shown: map[int64]bool{}}
		for i := range log {
			one.users(foldPeople(log[i : i+1]))
		}
		many := stored{people: map[int64]user.User{}, shown: map[int64]bool{}}
		for _, piece := range pieces(t, log) {
			many.users(foldPeople(piece))
		}
		again := rapid.IntRange(0, len(log)-1).Draw(t, "again")
		many.users(foldPeople(log[again:]))
		if !maps.Equal(one.people, many.people) || !maps.Equal(one.shown, many.shown) {
			t.Fatalf("one by one %v, shown %v;\ntogether %v, shown %v", one.people, one.shown, many.people, many.shown)
		}
	})
}

// TestOfABatchTheLastWordAboutADirectionCounts.
func TestOfABatchTheLastWordAboutADirectionCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []recommendation.Friendship
		want := map[direction]int64{}
		for n := range int64(30) {
			by, to := rapid.Int64Range(1, 3).Draw(t, "by"), rapid.Int64Range(1, 3).Draw(t, "to")
			var e friend.Event = friend.Added{By: by, To: to}
			want[direction{by, to}] = 1000 * n
			if rapid.Bool().Draw(t, "part") {
				e = friend.Removed{By: by, To: to}
				delete(want, direction{by, to})
			}
			log = append(log, recommendation.Friendship{Event: decider.Recorded[friend.Event]{Event: e, Time: time.Unix(n, 0)}})
		}
		got := stored{friends: map[direction]int64{}}
		for _, piece := range pieces(t, log) {
			got.friendships(foldFriends(piece))
		}
		if !maps.Equal(got.friends, want) {
			t.Fatalf("got %v, want %v", got.friends, want)
		}
	})
}

// TestNoStatementIsAboutNobody: a batch of one kind asks the database for no more.
func TestNoStatementIsAboutNobody(t *testing.T) {
	var in batch
	in.add(meet, nil)
	in.add(erase, []map[string]any{{"id": int64(1)}})
	if !slices.EqualFunc(in.statements, []string{erase}, func(s statement, q string) bool { return s.query == q }) {
		t.Fatalf("got %v", in.statements)
	}
}
