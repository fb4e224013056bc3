package chaos

import (
	"fmt"
	"sync"
	"time"
)

// Kind is what a command does.
type Kind uint8

// The kinds of commands.
const (
	CreateUser Kind = iota
	AddFriend
	RemoveFriend
	EraseUser // By
)

// Command is one command of the load.
type Command struct {
	Key    string // idempotency key, its own
	Kind   Kind
	By, To int64
}

// Answer is what a command was answered with success: the log it wrote to, where,
// and the number it was given.
type Answer struct {
	Changed  bool  // the command led to an event
	Position int64 // of its last event
	Number   int64 // the user's id, or the row of the friendship
}

// Event is an event as the log has it.
type Event struct {
	Position, Version, Number int64
	Stream, Type              string
	Time                      time.Time
}

// entry is an answered command that led to an event.
type entry struct {
	command Command
	number  int64
	matched bool
}

// Ledger remembers what was answered, and holds a log against it. Its methods may
// be called concurrently.
type Ledger struct {
	mu      sync.Mutex
	open    map[string]Command          // sent, not answered for good
	answers map[string]map[int64]*entry // by log, then by position
	doubled []string
	erased  map[int64]bool // asked to be; true: answered to be
	gone    map[string]int // commands that may have led to such an event; nobody is told any more
	logs    map[string]*audit
	sent    int
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{
		open:    map[string]Command{},
		answers: map[string]map[int64]*entry{userLog: {}, friendLog: {}},
		erased:  map[int64]bool{},
		gone:    map[string]int{},
		logs:    map[string]*audit{userLog: newAudit(), friendLog: newAudit()},
	}
}

// The logs of the system.
const (
	userLog   = "user"
	friendLog = "friend"
)

// log returns where a kind of command is recorded.
func (k Kind) log() string {
	if k == CreateUser || k == EraseUser {
		return userLog
	}
	return friendLog
}

// Begin notes a command before it is sent.
func (l *Ledger) Begin(c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c.Key] = c
	l.sent++
	if _, asked := l.erased[c.By]; c.Kind == EraseUser && !asked {
		l.erased[c.By] = false
	}
}

// Refused notes that a command was answered with a refusal: it must have left
// nothing.
func (l *Ledger) Refused(c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c.Key)
}

// Gone notes that a command was answered with 410. If it is an erasure, the person
// has to be erased; if it is another, it was answered before or is about somebody who
// was erased since, and may have led to an event.
func (l *Ledger) Gone(c Command) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c.Key]; open && c.Kind != EraseUser {
		e := c.event(0)
		l.gone[e.Type+" "+e.Stream]++
	}
	if c.Kind == EraseUser {
		l.erased[c.By] = true
	}
	delete(l.open, c.Key)
}

// Succeeded notes that a command was answered with success.
func (l *Ledger) Succeeded(c Command, a Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c.Key)
	if c.Kind == EraseUser {
		l.erased[c.By] = true
	}
	if !a.Changed {
		return
	}
	answers := l.answers[c.Kind.log()]
	other, taken := answers[a.Position]
	switch {
	case taken && other.command.Key != c.Key:
		l.doubled = append(l.doubled, fmt.Sprintf("%s and %s were both answered with position %d of the %s log",
			other.command.Key, c.Key, a.Position, c.Kind.log()))
		return
	case taken && other.number != a.Number:
		l.doubled = append(l.doubled, fmt.Sprintf("%s was answered with number %d, and again with %d",
			c.Key, other.number, a.Number))
		return
	}
	answers[a.Position] = &entry{command: c, number: a.Number}
}

// Open returns the commands that were sent and not answered.
func (l *Ledger) Open() []Command {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make([]Command, 0, len(l.open))
	for _, c := range l.open {
		open = append(open, c)
	}
	return open
}

// Sent returns how many commands were noted.
func (l *Ledger) Sent() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}
