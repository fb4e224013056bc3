package eventstore

import (
	"fmt"
	"strings"
	"time"
)

// Limits of what one event may hold. Beyond them Append returns [ErrInvalid].
const (
	MaxData     = 64 << 10 // bytes of Event.Data
	MaxMeta     = 8 << 10  // bytes of all names and values of Event.Meta
	MaxName     = 255      // bytes of a category, of a stream's ID and of an event type
	MaxOutcome  = 4 << 10  // bytes of Key.Outcome
	MaxBatch    = 1024     // events of one commit, and so of one write
	MaxBatchLen = 1 << 20  // bytes of data and meta of one commit, and so of one write
)

// Stream names the events of one thing: the category says what kind of thing it
// is, the ID which one. A category is made of letters, digits and underscores;
// an ID is any printable text without spaces.
type Stream struct{ Category, ID string }

// String returns "category-id", the form in which a stream is stored.
func (s Stream) String() string { return s.Category + "-" + s.ID }

// ParseStream is the inverse of [Stream.String].
//
// Errors: [ErrInvalid].
func ParseStream(name string) (Stream, error) {
	category, id, found := strings.Cut(name, "-")
	if !found || category == "" || id == "" {
		return Stream{}, fmt.Errorf("%w: stream name %q is not category-id", ErrInvalid, name)
	}
	return Stream{Category: category, ID: id}, nil
}

// Version numbers the events of one stream from 1.
type Version int64

// Expected versions with a meaning of their own.
const (
	NoStream Version = 0  // the stream has no events yet
	Any      Version = -1 // whatever the stream's version is
)

// Position numbers the events of one log from 1. Position 0 is before the first.
type Position int64

// Metadata is what travels with an event without being part of the fact, such
// as a trace context. Nil when there is none.
type Metadata map[string]string

// Event is one recorded fact. Events handed out share no memory with the log;
// whoever has one may keep it.
type Event struct {
	Stream   Stream
	Version  Version
	Position Position
	Number   int64 // from the counter of the stream's category; 0 when the event asked for none
	Type     string
	Time     time.Time // UTC, microseconds
	Data     []byte    // JSON
	Meta     Metadata
}

// Values of NewEvent.Number other than a number brought along.
const (
	NoNumber   int64 = 0
	NextNumber int64 = -1 // the highest number of the category's counter + 1, given in the commit
)

// NewEvent is a fact about to be recorded.
type NewEvent struct {
	Type   string
	Data   []byte // JSON
	Meta   Metadata
	Number int64 // NoNumber, NextNumber, or a number an import brings along (raises the counter)
}

// Write is what one command appends: all of it or nothing.
//
// With an empty Stream.ID the first event's number becomes the stream's ID; that
// event has to ask for a number, and Expected has to be NoStream.
//
// A write without events records only the outcome of its key: that a command
// was answered, on the stream at the expected version. Its Stream may be the
// zero Stream when the answer depends on none.
type Write struct {
	Stream   Stream
	Expected Version
	Events   []NewEvent
	Key      *Key // nil: the command carried no idempotency key
}

// Key makes a write happen once: a second write with the same hash is not
// appended, its Result holds the outcome of the first.
type Key struct {
	Hash        [16]byte // of the key and its scope
	Fingerprint [8]byte  // of the payload; the caller compares it
	Outcome     []byte   // what to remember of a write without events, at most MaxOutcome bytes
}

// Outcome is what the log remembers of a key.
type Outcome struct {
	Fingerprint [8]byte
	Stream      Stream   // the stream that was answered about; zero if none
	Version     Version  // the stream's version after the write
	Position    Position // the position of the write's last event; without events, of the log's head at the commit
	Events      int      // how many events the write appended
	Data        []byte   // Key.Outcome
}

// Result is what became of one Write of a commit.
type Result struct {
	Stream   Stream    // with the ID given in the commit
	Version  Version   // of the stream, after the write
	Position Position  // of the last event; without events, of the log's head
	Number   int64     // of the first event that asked for one
	Time     time.Time // of the events
	Previous *Outcome  // not nil: the key was used before, nothing was appended
	Err      error     // not nil: nothing was appended (ConflictError, ErrInvalid)
}
