package chaos

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story is a small run that went well: two people, a friendship made and ended.
func story() *Ledger {
	l := NewLedger()
	for i, c := range []Command{
		{Key: "create-1"},
		{Key: "create-2"},
		{Key: "add", Kind: AddFriend, By: 2, To: 1},
		{Key: "again", Kind: AddFriend, By: 2, To: 1},
		{Key: "remove", Kind: RemoveFriend, By: 1, To: 2},
	} {
		l.Begin(c)
		switch i {
		case 0, 1:
			l.Succeeded(c, Answer{Changed: true, Position: int64(i + 1), Number: int64(i + 1)})
		case 2:
			l.Succeeded(c, Answer{Changed: true, Position: 1, Number: 1})
		case 3:
			l.Refused(c)
		case 4:
			l.Succeeded(c, Answer{Changed: true, Position: 2})
		}
	}
	return l
}

// users and friends are the logs of the story.
func users() []Event {
	return []Event{
		{Position: 1, Version: 1, Number: 1, Stream: "user-1", Type: "UserCreated", Time: time.Unix(1, 0)},
		{Position: 2, Version: 1, Number: 2, Stream: "user-2", Type: "UserCreated", Time: time.Unix(2, 0)},
	}
}

func friends() []Event {
	return []Event{
		{Position: 1, Version: 1, Number: 1, Stream: "friend-1:2", Type: "FriendAdded", Time: time.Unix(3, 0)},
		{Position: 2, Version: 2, Stream: "friend-1:2", Type: "FriendRemoved", Time: time.Unix(4, 0)},
	}
}

func sequence(events []Event) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// audit holds both logs against the ledger.
func auditBoth(t *testing.T, l *Ledger, u, f []Event) (violations []string) {
	t.Helper()
	for _, one := range []struct {
		log    string
		events []Event
	}{{userLog, u}, {friendLog, f}} { // in this order: friendships are held against who is erased
		found, err := l.Audit(one.log, sequence(one.events))
		if err != nil {
			t.Fatal(err)
		}
		violations = append(violations, found...)
	}
	return violations
}

func TestAStoryThatWentWellHasNoViolations(t *testing.T) {
	l := story()
	if v := auditBoth(t, l, users(), friends()); v != nil {
		t.Fatal(v)
	}
	if l.Position(userLog) != 2 || l.Position(friendLog) != 2 || l.Sent() != 5 {
		t.Fatalf("audited to %d and %d of %d", l.Position(userLog), l.Position(friendLog), l.Sent())
	}
	if v := auditBoth(t, l, nil, nil); v != nil {
		t.Fatalf("nothing new, but %v", v)
	}
	l.Restart()
	if v := auditBoth(t, l, users(), friends()); v != nil {
		t.Fatalf("from the first event again: %v", v)
	}
}

func TestTheLedgerCatches(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(l *Ledger, u, f []Event) ([]Event, []Event)
		says  string
	}{
		"a lost command": {func(_ *Ledger, u, f []Event) ([]Event, []Event) { return u[:1], f }, "lost: create-2"},
		"a doubled command": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			return append(u, Event{Position: 3, Version: 1, Number: 3, Stream: "user-3", Type: "UserCreated", Time: u[1].Time}), f
		}, "invented: nobody was answered with position 3"},
		"two answers for one event": {func(l *Ledger, u, f []Event) ([]Event, []Event) {
			l.Succeeded(Command{Key: "other"}, Answer{Changed: true, Position: 2, Number: 2})
			return u, f
		}, "both answered with position 2"},
		"another event than answered": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			f[0].Type = "FriendRemoved"
			return u, f
		}, "add was acknowledged as FriendAdded"},
		"another pair than answered": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			f[0].Stream, f[1].Stream = "friend-1:3", "friend-1:3"
			return u, f
		}, "friend-1:2"},
		"another number than answered": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			f[0].Number = 7
			return u, f
		}, "number 7"},
		"a gap in positions": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			u[1].Position = 3
			return u, f
		}, "follows position 1"},
		"a gap in versions": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			f[1].Version = 3
			return u, f
		}, "version 3 of friend-1:2 follows 1"},
		"a gap in numbers": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			u[1].Number = 5
			return u, f
		}, "number 5 follows 1"},
		"time that runs backwards": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			u[1].Time = time.Unix(0, 0)
			return u, f
		}, "time runs backwards"},
		"a command that was never answered": {func(l *Ledger, u, f []Event) ([]Event, []Event) {
			l.Begin(Command{Key: "open"})
			return u, f
		}, "not answered: open"},
	} {
		t.Run(name, func(t *testing.T) {
			l := story()
			u, f := c.spoil(l, users(), friends())
			if v := strings.Join(auditBoth(t, l, u, f), "\n"); !strings.Contains(v, c.says) {
				t.Fatalf("violations %q, want %q", v, c.says)
			}
		})
	}
}

// farewell is the story of somebody who was erased: 2, with a friendship that ended
// with it, and one that came late and was not told.
func farewell() (l *Ledger, u, f []Event) {
	l = NewLedger()
	for i, c := range []Command{{Key: "create-1"}, {Key: "create-2"}, {Key: "create-3"}} {
		l.Begin(c)
		l.Succeeded(c, Answer{Changed: true, Position: int64(i + 1), Number: int64(i + 1)})
		u = append(u, Event{Position: int64(i + 1), Version: 1, Number: int64(i + 1), Stream: "user-" + string(rune('1'+i)), Type: "UserCreated"})
	}
	erase := Command{Key: "erase", Kind: EraseUser, By: 2}
	late := Command{Key: "late", Kind: AddFriend, By: 2, To: 3}
	add := Command{Key: "add", Kind: AddFriend, By: 1, To: 2}
	for _, c := range []Command{erase, late, add} {
		l.Begin(c)
	}
	l.Succeeded(add, Answer{Changed: true, Position: 1, Number: 1})
	l.Succeeded(erase, Answer{Changed: true, Position: 4})
	l.Gone(erase) // sent again
	l.Gone(late)  // it happened before the kill, nobody was told
	u = append(u, Event{Position: 4, Version: 2, Stream: "user-2", Type: "UserErased"})
	return l, u, []Event{
		{Position: 1, Version: 1, Number: 1, Stream: "friend-1:2", Type: "FriendAdded"},
		{Position: 2, Version: 1, Number: 2, Stream: "friend-2:3", Type: "FriendAdded"},
		{Position: 3, Version: 2, Stream: "friend-2:3", Type: "FriendRemoved"},
		{Position: 4, Version: 2, Stream: "friend-1:2", Type: "FriendRemoved"},
	}
}

func TestTheLedgerCatchesAnErasureThatWentWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(l *Ledger, u, f []Event) ([]Event, []Event)
		want  string // "": nothing is wrong
	}{
		"nothing went wrong": {func(_ *Ledger, u, f []Event) ([]Event, []Event) { return u, f }, ""},
		"an audit from the first event": {func(l *Ledger, u, f []Event) ([]Event, []Event) {
			_, _ = l.Audit(userLog, sequence(u))
			_, _ = l.Audit(friendLog, sequence(f))
			l.Restart()
			return u, f
		}, ""},
		"an acknowledged erasure is lost": {func(_ *Ledger, u, f []Event) ([]Event, []Event) { return u[:3], f }, "lost: erase"},
		"an erasure that somebody was told of is lost": {func(l *Ledger, u, f []Event) ([]Event, []Event) {
			l.Gone(Command{Key: "other", Kind: EraseUser, By: 3})
			return u, f
		}, "lost: user 3 was said to be erased"},
		"erased twice": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			return append(u, Event{Position: 5, Version: 3, Stream: "user-2", Type: "UserErased"}), f
		}, "user 2 was erased again"},
		"somebody else erased": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			return append(u, Event{Position: 5, Version: 2, Stream: "user-1", Type: "UserErased"}), f
		}, "invented"},
		"a friendship is left": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			return u, f[:3]
		}, "user 2 is erased and has the friendship friend-1:2"},
		"a late friendship that nobody asked for": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			return u, append(f, Event{Position: 5, Version: 3, Number: 3, Stream: "friend-2:3", Type: "FriendAdded"})
		}, "invented"},
		"a friendship of others that nobody ended": {func(_ *Ledger, u, f []Event) ([]Event, []Event) {
			f[3].Stream = "friend-1:3"
			return u, f
		}, "invented"},
	} {
		t.Run(name, func(t *testing.T) {
			l, u, f := farewell()
			u, f = c.spoil(l, u, f)
			violations := auditBoth(t, l, u, f)
			if got := strings.Join(violations, "\n"); !strings.Contains(got, c.want) || c.want == "" && got != "" {
				t.Fatalf("it says %q, not %q", got, c.want)
			}
		})
	}
}

func TestAnAnswerThatComesTwiceIsOne(t *testing.T) {
	l := story()
	l.Succeeded(Command{Key: "create-1"}, Answer{Changed: true, Position: 1, Number: 1})
	if v := auditBoth(t, l, users(), friends()); v != nil {
		t.Fatal(v)
	}
}

func TestOpenCommandsAreThoseWithoutAnAnswer(t *testing.T) {
	l := story()
	if open := l.Open(); len(open) != 0 {
		t.Fatalf("open %v", open)
	}
	c := Command{Key: "late", Kind: AddFriend, By: 1, To: 2}
	l.Begin(c)
	if open := l.Open(); len(open) != 1 || open[0] != c {
		t.Fatalf("open %v", open)
	}
	l.Succeeded(c, Answer{}) // nothing changed
	if open := l.Open(); len(open) != 0 {
		t.Fatalf("open %v", open)
	}
}

func TestALogThatCanNotBeReadIsAnError(t *testing.T) {
	broken := errors.New("damaged")
	_, err := story().Audit(userLog, func(yield func(Event, error) bool) { yield(Event{}, broken) })
	if !errors.Is(err, broken) {
		t.Fatalf("got %v", err)
	}
}
