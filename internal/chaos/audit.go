package chaos

import (
	"fmt"
	"iter"
	"time"
)

// audit is how far a log was held against the ledger.
type audit struct {
	position int64
	versions map[string]int64
	number   int64
	time     time.Time
	erased   map[int64]bool
	friends  map[string]int // friendships of each pair
	gone     map[string]int // events of commands that were answered with 410
}

// newAudit returns an audit before the first event.
func newAudit() *audit {
	return &audit{versions: map[string]int64{}, erased: map[int64]bool{}, friends: map[string]int{}, gone: map[string]int{}}
}

// Position returns up to where a log was audited.
func (l *Ledger) Position(log string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.logs[log].position
}

// Audit holds the events of a log that follow the last audit against the answers,
// and returns what does not fit. All commands have to be answered before.
func (l *Ledger) Audit(log string, events iter.Seq2[Event, error]) (violations []string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	violations, l.doubled = l.doubled, nil
	for _, c := range l.open {
		violations = append(violations, "not answered: "+c.Key)
	}
	a := l.logs[log]
	for e, err := range events {
		if err != nil {
			return violations, fmt.Errorf("read the %s log: %w", log, err)
		}
		violations = append(violations, a.dense(log, e)...)
		violations = append(violations, l.belongs(log, e)...)
	}
	for position, entry := range l.answers[log] {
		if !entry.matched {
			violations = append(violations, fmt.Sprintf("lost: %s was acknowledged at position %d of the %s log, which ends at %d",
				entry.command.Key, position, log, a.position))
			entry.matched = true // say it once
		}
	}
	return append(violations, l.erasures(log)...), nil
}

// Restart makes the next audits begin at the first event again.
func (l *Ledger) Restart() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for log := range l.logs {
		l.logs[log] = newAudit()
		for _, entry := range l.answers[log] {
			entry.matched = false
		}
	}
}

// dense checks an event's numbers against those before it.
func (a *audit) dense(log string, e Event) (violations []string) {
	bad := func(format string, args ...any) {
		violations = append(violations, fmt.Sprintf("%s log, position %d: ", log, e.Position)+fmt.Sprintf(format, args...))
	}
	if e.Position != a.position+1 {
		bad("follows position %d", a.position)
	}
	if e.Version != a.versions[e.Stream]+1 {
		bad("version %d of %s follows %d", e.Version, e.Stream, a.versions[e.Stream])
	}
	if e.Number != 0 && e.Number != a.number+1 {
		bad("number %d follows %d", e.Number, a.number)
	}
	if e.Time.Before(a.time) {
		bad("time runs backwards")
	}
	a.position, a.versions[e.Stream], a.time = e.Position, e.Version, e.Time
	a.number = max(a.number, e.Number)
	return violations
}

// belongs checks that an event is the effect of exactly one answered command.
func (l *Ledger) belongs(log string, e Event) (violations []string) {
	violations = l.logs[log].took(e)
	entry, ok := l.answers[log][e.Position]
	if !ok && l.explained(log, e) {
		return violations
	}
	if !ok {
		return append(violations, fmt.Sprintf("invented: nobody was answered with position %d of the %s log (%s %s)",
			e.Position, log, e.Type, e.Stream))
	}
	entry.matched = true
	if want := entry.command.event(entry.number); want.Type != e.Type || want.Stream != e.Stream || want.Number != e.Number {
		return append(violations, fmt.Sprintf("%s was acknowledged as %s %s number %d at position %d of the %s log, which has %s %s number %d",
			entry.command.Key, want.Type, want.Stream, want.Number, e.Position, log, e.Type, e.Stream, e.Number))
	}
	return violations
}

// event returns the event that a command leads to.
func (c Command) event(number int64) Event {
	pair := fmt.Sprintf("friend-%d:%d", min(c.By, c.To), max(c.By, c.To))
	switch c.Kind {
	case CreateUser:
		return Event{Type: "UserCreated", Stream: fmt.Sprintf("user-%d", number), Number: number}
	case AddFriend:
		return Event{Type: friendAdded, Stream: pair, Number: number}
	case RemoveFriend:
		return Event{Type: friendRemoved, Stream: pair}
	case EraseUser:
		return Event{Type: userErased, Stream: fmt.Sprintf("user-%d", c.By)}
	}
	return Event{}
}
