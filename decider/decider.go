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
//
// # A domain in four files
//
// Each domain of the product reads in the same order:
//
//	events.go    what can happen, and what it changes (Evolve)
//	decide.go    what may be asked for, and what it leads to (Decide)
//	codec.go     how the events are stored
//	service.go   the port to the rest: takes a command, returns what became of it
//
// Decide sees a state and a command and returns events; it can't write, ask or
// look at a clock, so its tests are tables of sentences: given these events, when
// this command comes, then these events (package decidertest). Evolve can't
// refuse: an event is a fact.
//
// # The loop
//
//	         ┌────────────── somebody was faster ───────────┐
//	         ▼                                              │
//	load the state ─► Decide ─► append at its version ──────┤
//	                    │                                   └─► done
//	                    └─► refused, or nothing to do ─► answer
//
// The state may come from a cache. That is safe because the version that the
// append expects is the version of that state: if the cache is behind, the append
// is a conflict. An answer without events has no append to protect it, so before
// one is given the state is brought up to date.
//
// # Commands that come twice
//
// A client that got no answer sends its command again with the same key. The log
// remembers the key in the same commit as the events, and which stream and version
// the command ended at; reading the stream up to that version gives the state as
// it was then, and so the same answer. A refusal is remembered as it was, for the
// state may have changed since.
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

// Condition says whether a command may happen at a version of its stream. nil: at
// any.
type Condition func(eventstore.Version) bool

// Outcome is what became of a command.
type Outcome[S any] struct {
	State    S // after the command
	Stream   eventstore.Stream
	Version  eventstore.Version
	Position eventstore.Position // of the last event the command led to; if it led to none, of the log's head
	Changed  bool                // the command led to events
	Replayed bool                // answered from an earlier command with the same key
}
