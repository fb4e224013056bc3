package friend

import (
	"errors"
	"fmt"
)

// The refusals of a command.
var (
	ErrSelf       = errors.New("nobody befriends themself")
	ErrExists     = errors.New("the friendship was added before")
	ErrNotFriends = errors.New("the two are not friends")
)

// UnknownUsersError means that people of a friendship are not there.
type UnknownUsersError struct{ Missing []int64 }

// Error implements error.
func (e *UnknownUsersError) Error() string { return fmt.Sprintf("there are no users %v", e.Missing) }

// Command is something that one person wants of another.
//
//sumtype:decl
type Command interface{ command() }

// Add asks for a friendship.
type Add struct {
	By, To  int64
	Missing []int64 // which of the two are not there
}

// Remove asks for its end; either side may.
type Remove struct{ By, To int64 }

func (Add) command()    {}
func (Remove) command() {}

// decide says what a command leads to.
func decide(s State, c Command) ([]Event, error) {
	switch c := c.(type) {
	case Add:
		return add(s, c)
	case Remove:
		return remove(s, c)
	}
	return nil, fmt.Errorf("unknown command %T", c)
}

// add: the order of the cases is the order in which refusals are answered.
func add(s State, c Add) ([]Event, error) {
	switch {
	case c.By == c.To:
		return nil, ErrSelf
	case s.addedBy(c.By):
		return nil, ErrExists
	case len(s.Rows) > 0: // the other side asked first: already friends
		return nil, nil
	case len(c.Missing) > 0:
		return nil, &UnknownUsersError{Missing: c.Missing}
	}
	return []Event{Added{By: c.By, To: c.To}}, nil
}

// remove ends all rows of the pair: after an import there may be two.
func remove(s State, c Remove) ([]Event, error) {
	switch {
	case c.By == c.To:
		return nil, ErrSelf
	case len(s.Rows) == 0:
		return nil, ErrNotFriends
	}
	events := make([]Event, len(s.Rows))
	for i, row := range s.Rows {
		events[i] = Removed{By: row.By, To: row.To, Row: row.Row}
	}
	return events, nil
}

// addedBy says whether a row was begun by that person.
func (s State) addedBy(person int64) bool {
	for _, row := range s.Rows {
		if row.By == person {
			return true
		}
	}
	return false
}
