package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// system is one that keeps its promises: it knows who is there and who is friends,
// writes logs as the real one does, and tells a ledger of its answers.
type system struct {
	ledger   *Ledger
	logs     map[string][]Event
	versions map[string]int64 // by stream
	numbers  map[string]int64 // by log
	people   map[int64]bool   // false once erased
	friends  map[[2]int64]bool
	commands int
}

func newSystem() *system {
	return &system{
		ledger: NewLedger(), logs: map[string][]Event{}, versions: map[string]int64{}, numbers: map[string]int64{},
		people: map[int64]bool{}, friends: map[[2]int64]bool{},
	}
}

// write appends an event and returns the answer that names it.
func (s *system) write(log, kind, stream string, numbered bool) Answer {
	s.versions[stream]++
	e := Event{
		Position: int64(len(s.logs[log]) + 1), Version: s.versions[stream], Stream: stream, Type: kind,
		Time: time.Unix(int64(s.commands), 0),
	}
	if numbered {
		s.numbers[log]++
		e.Number = s.numbers[log]
	}
	s.logs[log] = append(s.logs[log], e)
	return Answer{Changed: true, Position: e.Position, Number: e.Number}
}

// do carries a command out; ok is false if it is refused.
func (s *system) do(c Command) (a Answer, ok bool) {
	pair := [2]int64{min(c.By, c.To), max(c.By, c.To)}
	stream := fmt.Sprintf("friend-%d:%d", pair[0], pair[1])
	switch c.Kind {
	case CreateUser:
		id := s.numbers[userLog] + 1
		s.people[id] = true
		return s.write(userLog, "UserCreated", fmt.Sprintf("user-%d", id), true), true
	case AddFriend:
		if s.friends[pair] || c.By == c.To || !s.people[c.By] || !s.people[c.To] {
			return Answer{}, false
		}
		s.friends[pair] = true
		return s.write(friendLog, friendAdded, stream, true), true
	case RemoveFriend:
		if !s.friends[pair] {
			return Answer{}, false
		}
		delete(s.friends, pair)
		return s.write(friendLog, friendRemoved, stream, false), true
	case EraseUser:
		return s.erase(c.By)
	}
	return Answer{}, false
}

// erase takes somebody out, with the friendships they have.
func (s *system) erase(who int64) (a Answer, ok bool) {
	if !s.people[who] {
		return Answer{}, false
	}
	s.people[who] = false
	a = s.write(userLog, userErased, fmt.Sprintf("user-%d", who), false)
	pairs := slices.SortedFunc(maps.Keys(s.friends), func(x, y [2]int64) int { return slices.Compare(x[:], y[:]) })
	for _, pair := range pairs {
		if pair[0] == who || pair[1] == who {
			delete(s.friends, pair)
			s.write(friendLog, friendRemoved, fmt.Sprintf("friend-%d:%d", pair[0], pair[1]), false)
		}
	}
	return a, true
}

// anyCommand draws a command about few people, so that pairs collide.
func (s *system) anyCommand(t *rapid.T, kinds ...Kind) Command {
	s.commands++
	who := rapid.Int64Range(1, 6)
	return Command{
		Key: fmt.Sprintf("key-%d", s.commands), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
		By: who.Draw(t, "by"), To: who.Draw(t, "to"),
	}
}

// step sends a command; its answer may come twice, as to one that is sent again.
func (s *system) step(t *rapid.T, kinds ...Kind) {
	c := s.anyCommand(t, kinds...)
	s.ledger.Begin(c)
	a, ok := s.do(c)
	for range rapid.IntRange(1, 2).Draw(t, "answers") {
		switch {
		case ok:
			s.ledger.Succeeded(c, a)
		case c.Kind == EraseUser && !s.people[c.By] && c.By <= s.numbers[userLog]:
			s.ledger.Gone(c)
		default:
			s.ledger.Refused(c)
		}
	}
}

// audit holds what was written since the last audit against the ledger.
func (s *system) audit(t *rapid.T) (violations []string) {
	for _, log := range []string{userLog, friendLog} { // users first: erasures are known from them
		found, err := s.ledger.Audit(log, sequence(s.logs[log][s.ledger.Position(log):]))
		if err != nil {
			t.Fatal(err)
		}
		violations = append(violations, found...)
	}
	return violations
}

// TestAnHonestSystemIsNeverAccused: whatever is asked, whenever it is audited, and
// from the first event again.
func TestAnHonestSystemIsNeverAccused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSystem()
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			s.step(t, CreateUser, AddFriend, AddFriend, RemoveFriend, EraseUser)
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0:
				s.ledger.Restart()
				fallthrough
			case 1:
				if v := s.audit(t); v != nil {
					t.Fatalf("accused of %q", v)
				}
			}
		}
		if v := s.audit(t); v != nil {
			t.Fatalf("accused of %q", v)
		}
		if n := s.ledger.Sent(); n != s.commands || len(s.ledger.Open()) != 0 {
			t.Fatalf("%d sent, %d noted, open: %v", s.commands, n, s.ledger.Open())
		}
		for _, id := range s.ledger.Erased() {
			if s.people[id] {
				t.Fatalf("user %d has to be erased and was never said to be", id)
			}
		}
	})
}

// renumbered makes the positions of a log dense again, as who hides something would.
func renumbered(events []Event) []Event {
	versions := map[string]int64{}
	for i := range events {
		versions[events[i].Stream]++
		events[i].Position, events[i].Version = int64(i+1), versions[events[i].Stream]
	}
	return events
}

// crimes are what a log may do to its events, at one of them.
func crimes() map[string]func(events []Event, at int) []Event {
	return map[string]func(events []Event, at int) []Event{
		"lose one":                   func(e []Event, at int) []Event { return slices.Delete(e, at, at+1) },
		"lose one and hide it":       func(e []Event, at int) []Event { return renumbered(slices.Delete(e, at, at+1)) },
		"lose the end":               func(e []Event, at int) []Event { return e[:at] },
		"double one":                 func(e []Event, at int) []Event { return slices.Insert(e, at, e[at]) },
		"double one and hide it":     func(e []Event, at int) []Event { return renumbered(slices.Insert(e, at, e[at])) },
		"skip a position":            func(e []Event, at int) []Event { e[at].Position++; return e },
		"skip a version":             func(e []Event, at int) []Event { e[at].Version++; return e },
		"give another number":        func(e []Event, at int) []Event { e[at].Number += 1000; return e },
		"tell of another stream":     func(e []Event, at int) []Event { e[at].Stream += "9"; return e },
		"tell of another thing":      func(e []Event, at int) []Event { e[at].Type = "Renamed"; return e },
		"go back in time":            func(e []Event, at int) []Event { e[at].Time = time.Time{}.Add(-1); return e },
		"make up one in the end":     func(e []Event, _ int) []Event { return renumbered(append(e, e[0])) },
		"tell the first as the last": func(e []Event, _ int) []Event { return renumbered(append(e[1:], e[0])) },
	}
}

// TestNoCrimeGoesUnseen: any one of them, in either log, after any honest run in
// which nobody was erased (whose friendships may end unasked).
func TestNoCrimeGoesUnseen(t *testing.T) {
	crimes := crimes()
	names := slices.Sorted(maps.Keys(crimes))
	rapid.Check(t, func(t *rapid.T) {
		s := newSystem()
		for range rapid.IntRange(2, 40).Draw(t, "commands") {
			s.step(t, CreateUser, AddFriend, RemoveFriend)
		}
		log := rapid.SampledFrom([]string{userLog, friendLog}).Draw(t, "log")
		if len(s.logs[log]) == 0 {
			return
		}
		before := slices.Clone(s.logs[log])
		at := rapid.IntRange(0, len(before)-1).Draw(t, "at")
		crime := rapid.SampledFrom(names).Draw(t, "crime")
		s.logs[log] = crimes[crime](slices.Clone(before), at)
		if slices.Equal(before, s.logs[log]) {
			return // one event has no other order
		}
		violations := s.audit(t)
		if len(violations) == 0 {
			t.Fatalf("%s at %d of the %s log is not seen:\n%v\n%v", crime, at, log, before, s.logs[log])
		}
		for _, v := range violations {
			if strings.Contains(v, "%!") {
				t.Errorf("badly put: %s", v)
			}
		}
	})
}

// TestAnErasureIsNotForgotten: whoever was said to be erased and has an event of it
// missing, or a friendship left, is named.
func TestAnErasureIsNotForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSystem()
		for range 6 {
			s.step(t, CreateUser)
		}
		for range rapid.IntRange(1, 30).Draw(t, "commands") {
			s.step(t, AddFriend, RemoveFriend, EraseUser)
		}
		erased := s.ledger.Erased()
		if len(erased) == 0 {
			return
		}
		who := rapid.SampledFrom(erased).Draw(t, "who")
		log, kind, says := userLog, userErased, fmt.Sprintf("user %d was said to be erased", who)
		if rapid.Bool().Draw(t, "keeps a friend") {
			log, kind, says = friendLog, friendRemoved, fmt.Sprintf("user %d is erased and has the friendship", who)
		}
		at := lastOf(s.logs[log], kind, who)
		if at < 0 {
			return // had no friends
		}
		s.logs[log] = renumbered(slices.Delete(s.logs[log], at, at+1))
		if v := strings.Join(s.audit(t), "\n"); !strings.Contains(v, says) {
			t.Fatalf("%q, want %q", v, says)
		}
	})
}

// lastOf returns where the last event of a type about somebody is, -1 if nowhere.
func lastOf(events []Event, kind string, who int64) int {
	for i, e := range slices.Backward(events) {
		if e.Type == kind && slices.Contains(peopleOf(e.Stream), who) {
			return i
		}
	}
	return -1
}
