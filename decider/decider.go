// Package decider turns commands into events.
//
// A domain is two pure functions: Decide says which events a command leads to,
// Evolve says what an event changes. [Handler] is the only place where the two
// meet the log: it loads a stream, decides, appends, and starts again when
// somebody else was faster. It guarantees that
//
//   - events are appended only to the very state they were decided on,
//   - a command with a key leads to its events at most once, however often it is
//     sent, and is answered the same each time,
//   - a command that changes nothing writes nothing.
package decider

import (
	"time"

	"ensemble/eventstore"
)

// Decider is the rules of one kind of stream. The zero S is the state of a
// stream without events.
type Decider[S, C, E any] struct {
	// Decide returns the events that a command leads to in a state, none if
	// nothing changes, or why it is refused. Pure: no clock, no I/O, no chance.
	Decide func(S, C) ([]E, error)
	// Evolve returns the state after an event. Pure, and total: an event of the
	// log is a fact and can't be refused.
	Evolve func(S, Recorded[E]) S
}

// Recorded is an event as the log has it: with what was given in the commit.
type Recorded[E any] struct {
	Event  E
	Number int64 // 0 if the event asked for none
	Time   time.Time
}

// Codec translates between the events of a domain and those of the log.
type Codec[E any] struct {
	Encode func(E) (eventstore.NewEvent, error)
	Decode func(eventstore.Event) (E, error)
}

// Rejections translates the errors of a Decide that are answers: they are kept
// under the command's key, so that a retry gets the same answer even when the
// state has changed since.
type Rejections struct {
	Encode func(error) ([]byte, bool) // false: not an answer, don't keep it
	Decode func([]byte) error
}

// Outcome is what became of a command.
type Outcome[S any] struct {
	State    S // after the command
	Stream   eventstore.Stream
	Version  eventstore.Version
	Position eventstore.Position // of the last event the command led to; if it led to none, of the log's head
	Changed  bool                // the command led to events
	Replayed bool                // answered from an earlier command with the same key
}
