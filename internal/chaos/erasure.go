package chaos

import (
	"fmt"
	"strconv"
	"strings"
)

// The types of events that an audit looks at.
const (
	friendAdded   = "FriendAdded"
	friendRemoved = "FriendRemoved"
	userErased    = "UserErased"
)

// took notes what an event did to people and pairs. Nobody is erased twice.
func (a *audit) took(e Event) (violations []string) {
	switch e.Type {
	case friendAdded:
		a.friends[e.Stream]++
	case friendRemoved:
		a.friends[e.Stream]--
	case userErased:
		for _, id := range peopleOf(e.Stream) {
			if a.erased[id] {
				violations = append(violations, fmt.Sprintf("user %d was erased again at position %d", id, e.Position))
			}
			a.erased[id] = true
		}
	}
	return violations
}

// explained says whether an event that nobody was answered with may be there: an
// erasure that was asked for, a friendship that ended with it, and what repeated
// commands are not told any more because of it.
func (l *Ledger) explained(log string, e Event) bool {
	what := e.Type + " " + e.Stream
	if used := l.logs[log].gone; used[what] < l.gone[what] {
		used[what]++
		return true
	}
	if e.Type != userErased && e.Type != friendRemoved {
		return false
	}
	for _, id := range peopleOf(e.Stream) {
		if _, asked := l.erased[id]; asked {
			return true
		}
	}
	return false
}

// erasures holds what was answered about erasing against the logs, the one of users
// first: who was said to be erased is, and has no friendships. They have to be
// settled.
func (l *Ledger) erasures(log string) (violations []string) {
	erased := l.logs[userLog].erased
	if log == userLog {
		for id, answered := range l.erased {
			if answered && !erased[id] {
				violations = append(violations, fmt.Sprintf("lost: user %d was said to be erased", id))
			}
		}
		return violations
	}
	for pair, n := range l.logs[friendLog].friends {
		for _, id := range peopleOf(pair) {
			if n != 0 && erased[id] {
				violations = append(violations, fmt.Sprintf("user %d is erased and has the friendship %s", id, pair))
			}
		}
	}
	return violations
}

// peopleOf returns whom a stream is about.
func peopleOf(stream string) (ids []int64) {
	_, rest, _ := strings.Cut(stream, "-")
	for text := range strings.SplitSeq(rest, ":") {
		if id, err := strconv.ParseInt(text, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// Erased returns who has to be erased.
func (l *Ledger) Erased() (ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, answered := range l.erased {
		if answered {
			ids = append(ids, id)
		}
	}
	return ids
}
