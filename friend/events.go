package friend

import (
	"slices"
	"time"

	"ensemble/decider"
)

// Event is something that happened between two people.
//
//sumtype:decl
type Event interface{ event() }

// Added begins a friendship. Stored as FriendAdded; its number is the row's id.
type Added struct{ By, To int64 }

// Removed ends a friendship. Stored as FriendRemoved. By and To are those of the
// FriendAdded with the number Row, whoever ended it.
type Removed struct{ By, To, Row int64 }

func (Added) event()   {}
func (Removed) event() {}

// Friendship is one row: By added To.
type Friendship struct {
	Row, By, To int64
	CreatedAt   time.Time
}

// State is what two people are to each other. The zero State: nothing. Rows[0]
// belongs to who asked first; an import may bring a second row in the other
// direction.
type State struct{ Rows []Friendship }

// SeenFrom returns the friendship with that person as By, and false if there is
// none.
func (s State) SeenFrom(person int64) (Friendship, bool) {
	if len(s.Rows) == 0 {
		return Friendship{}, false
	}
	return s.Rows[0].SeenFrom(person), true
}

// SeenFrom returns the friendship with that person, one of the two, as By.
func (f Friendship) SeenFrom(person int64) Friendship {
	if f.By != person {
		f.By, f.To = f.To, f.By
	}
	return f
}

// Evolve returns the state after an event.
func Evolve(s State, r decider.Recorded[Event]) State {
	switch e := r.Event.(type) {
	case Added:
		row := Friendship{Row: r.Number, By: e.By, To: e.To, CreatedAt: r.Time}
		return State{Rows: append(slices.Clip(s.Rows), row)}
	case Removed:
		rows := slices.Clone(s.Rows) // states are shared with the cache
		return State{Rows: slices.DeleteFunc(rows, func(f Friendship) bool { return f.Row == e.Row })}
	}
	return s
}
