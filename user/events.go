package user

import (
	"time"

	"ensemble/decider"
)

// Event is something that happened to a person.
//
//sumtype:decl
type Event interface{ event() }

// Created begins a person. Stored as UserCreated; its number is the person's ID.
type Created struct {
	FirstName, LastName string
	Key                 int64 // the key that the names are sealed with
}

// Renamed changes a person's name. Stored as UserRenamed.
type Renamed struct {
	FirstName, LastName string
	Key                 int64
	CreatedAt           time.Time // of the person, so that the event stands alone
}

// Erased ends a person. Stored as UserErased. Key is the key that has to be
// destroyed, so that nobody has to look for it.
type Erased struct {
	Key       int64
	CreatedAt time.Time
}

func (Created) event() {}
func (Renamed) event() {}
func (Erased) event()  {}

// User is a person as the events have made it. The zero User is nobody.
type User struct {
	ID                  int64
	FirstName, LastName string
	CreatedAt           time.Time
	LastModified        time.Time // of the last change
	Key                 int64     // the key that the names are sealed with
	Erased              bool      // the names are gone
}

// Evolve returns the person after an event.
func Evolve(u User, r decider.Recorded[Event]) User {
	switch e := r.Event.(type) {
	case Created:
		u = User{ID: r.Number, FirstName: e.FirstName, LastName: e.LastName, CreatedAt: r.Time, Key: e.Key}
	case Renamed:
		u.FirstName, u.LastName = e.FirstName, e.LastName
	case Erased:
		u.FirstName, u.LastName, u.Erased = "", "", true
	}
	u.LastModified = r.Time
	return u
}
