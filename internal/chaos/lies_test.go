package chaos

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// history is a run that went well, with its ledger and its logs.
type history struct {
	ledger  *Ledger
	answers []given // in the order in which they were given
	logs    map[string][]Event
}

// given is one answer.
type given struct {
	command Command
	answer  Answer
}

// drawHistory makes up a run of people and friendships that went well.
func drawHistory(t *rapid.T) *history {
	h := &history{ledger: NewLedger(), logs: map[string][]Event{}}
	people, rows, friends, versions := int64(0), int64(0), map[string]bool{}, map[string]int64{}
	for i := range rapid.IntRange(4, 40).Draw(t, "commands") {
		c := Command{Key: fmt.Sprint("k", i)}
		if people >= 2 && rapid.IntRange(0, 2).Draw(t, "kind") > 0 {
			c.Kind, c.By = AddFriend, rapid.Int64Range(1, people).Draw(t, "by")
			c.To = c.By%people + 1
			if friends[c.event(0).Stream] {
				c.Kind = RemoveFriend
			}
		}
		log := c.Kind.log()
		a := Answer{Changed: true, Position: int64(len(h.logs[log]) + 1)}
		switch c.Kind {
		case CreateUser:
			people++
			a.Number = people
		case AddFriend:
			rows++
			a.Number = rows
		case RemoveFriend, EraseUser:
		}
		e := c.event(a.Number)
		friends[e.Stream] = c.Kind == AddFriend
		versions[e.Stream]++
		e.Position, e.Version, e.Time = a.Position, versions[e.Stream], time.Unix(int64(1000+i), 0)
		h.logs[log] = append(h.logs[log], e)
		h.answers = append(h.answers, given{c, a})
		h.ledger.Begin(c)
		h.ledger.Succeeded(c, a)
	}
	return h
}

// audit holds the logs, as they are now, against the ledger.
func (h *history) audit(t *rapid.T) []string {
	var all []string
	for _, log := range []string{userLog, friendLog} {
		v, err := h.ledger.Audit(log, sequence(h.logs[log]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v...)
	}
	return all
}

// TestNoLieGetsPastTheLedger: one lie of any kind, at any place of any history, is told;
// the same history without it is not accused.
func TestNoLieGetsPastTheLedger(t *testing.T) {
	lies := map[string]func(h *history, log string, at int){
		"an event is lost": func(h *history, log string, at int) {
			h.logs[log] = slices.Delete(h.logs[log], at, at+1)
		},
		"the tail is lost": func(h *history, log string, at int) { h.logs[log] = h.logs[log][:at] },
		"an event is there twice": func(h *history, log string, at int) {
			h.logs[log] = slices.Insert(h.logs[log], at, h.logs[log][at])
		},
		"a command was done twice": func(h *history, log string, at int) {
			e := h.logs[log][at]
			e.Position, e.Version = int64(len(h.logs[log])+1), e.Version+100
			h.logs[log] = append(h.logs[log], e)
		},
		"an event was invented": func(h *history, log string, _ int) {
			h.logs[log] = append(h.logs[log], Event{
				Position: int64(len(h.logs[log]) + 1), Version: 1, Stream: "friend-8:9", Type: "FriendRemoved", Time: time.Unix(1<<30, 0),
			})
		},
		"a version is wrong":    func(h *history, log string, at int) { h.logs[log][at].Version++ },
		"a number is wrong":     func(h *history, log string, at int) { h.logs[log][at].Number += 1000 },
		"a stream is another":   func(h *history, log string, at int) { h.logs[log][at].Stream += "0" },
		"a type is another":     func(h *history, log string, at int) { h.logs[log][at].Type = "UserErased" },
		"a position is another": func(h *history, log string, at int) { h.logs[log][at].Position += 1000 },
		"a replay answers another number": func(h *history, _ string, at int) {
			g := h.answers[at%len(h.answers)]
			g.answer.Number += 5
			h.ledger.Succeeded(g.command, g.answer)
		},
		"a replay answers another position": func(h *history, _ string, at int) {
			g := h.answers[at%len(h.answers)]
			g.answer.Position += 1000
			h.ledger.Succeeded(g.command, g.answer)
		},
		"another command claims the position": func(h *history, _ string, at int) {
			g := h.answers[at%len(h.answers)]
			g.command.Key = "somebody else"
			h.ledger.Succeeded(g.command, g.answer)
		},
		"a command was never answered": func(h *history, _ string, _ int) { h.ledger.Begin(Command{Key: "open"}) },
		"time runs backwards": func(h *history, log string, at int) {
			h.logs[log][at].Time = time.Unix(1<<30, 0) // all that follow are before it
			h.logs[log] = append(h.logs[log], Event{Position: int64(len(h.logs[log]) + 1)})
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := drawHistory(t)
				if v := h.audit(t); len(v) > 0 {
					t.Fatalf("a history that went well is accused: %v", v)
				}
				h.ledger.Restart()
				log := rapid.SampledFrom([]string{userLog, friendLog}).Draw(t, "log")
				if len(h.logs[log]) == 0 {
					log = userLog
				}
				lie(h, log, rapid.IntRange(0, len(h.logs[log])-1).Draw(t, "at"))
				v := h.audit(t)
				if len(v) == 0 {
					t.Fatal("nothing was noticed")
				}
				if strings.Contains(name, "backwards") && !slices.ContainsFunc(v, func(s string) bool { return strings.Contains(s, "time runs backwards") }) {
					t.Fatalf("time is not mentioned: %v", v)
				}
			})
		})
	}
}

// TestEventsThatAreSwappedAreNoticed even when each of them alone is one that was
// acknowledged.
func TestEventsThatAreSwappedAreNoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		log := h.logs[userLog]
		a := rapid.IntRange(0, len(log)-1).Draw(t, "a")
		b := rapid.IntRange(0, len(log)-1).Draw(t, "b")
		if a == b {
			t.Skip("the same")
		}
		log[a], log[b] = log[b], log[a]
		log[a].Position, log[b].Position = int64(a+1), int64(b+1) // renumbered, to hide it
		if v := h.audit(t); len(v) == 0 {
			t.Fatal("nothing was noticed")
		}
	})
}
