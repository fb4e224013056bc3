package user

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"ensemble/eventstore"
)

// Category is the category of the streams of people.
const Category = "user"

// The names under which the events are stored. A name once released is decoded
// for ever.
const (
	typeCreated = "UserCreated"
	typeRenamed = "UserRenamed"
	typeErased  = "UserErased"
)

// Types returns the names under which the events are stored.
func Types() []string { return []string{typeCreated, typeRenamed, typeErased} }

// ErrForeign means that an event is not one of this package's.
var ErrForeign = errors.New("not an event of a user")

// Stream returns the stream of a person.
func Stream(id int64) eventstore.Stream {
	return eventstore.Stream{Category: Category, ID: strconv.FormatInt(id, 10)}
}

// stored is the JSON of all events, drawn in docs/format/events.md.
type stored struct {
	Key       int64  `json:"key,omitempty"`
	Sealed    []byte `json:"sealed,omitempty"`    // base64 of the names under the key
	CreatedAt int64  `json:"createdAt,omitempty"` // microseconds since 1970
}

// Encode returns the event as it is stored, with the names sealed.
func Encode(keys Keys, event Event) (eventstore.NewEvent, error) {
	switch e := event.(type) {
	case Created:
		data, err := seal(keys, e.Key, e.FirstName, e.LastName, time.Time{})
		return eventstore.NewEvent{Type: typeCreated, Data: data, Number: eventstore.NextNumber}, err
	case Renamed:
		data, err := seal(keys, e.Key, e.FirstName, e.LastName, e.CreatedAt)
		return eventstore.NewEvent{Type: typeRenamed, Data: data}, err
	case Erased:
		data := strconv.AppendInt([]byte(`{"key":`), e.Key, 10)
		data = strconv.AppendInt(append(data, `,"createdAt":`...), e.CreatedAt.UnixMicro(), 10)
		return eventstore.NewEvent{Type: typeErased, Data: append(data, '}')}, nil
	}
	return eventstore.NewEvent{}, fmt.Errorf("%w: %T", ErrForeign, event)
}

// seal returns the JSON of an event with names.
func seal(keys Keys, key int64, firstName, lastName string, createdAt time.Time) ([]byte, error) {
	sealed, err := keys.Seal(key, joinNames(firstName, lastName))
	if err != nil {
		return nil, fmt.Errorf("seal a name: %w", err)
	}
	data := make([]byte, 0, 64+base64.StdEncoding.EncodedLen(len(sealed)))
	data = strconv.AppendInt(append(data, `{"key":`...), key, 10)
	data = base64.StdEncoding.AppendEncode(append(data, `,"sealed":"`...), sealed)
	data = append(data, '"')
	if !createdAt.IsZero() {
		data = strconv.AppendInt(append(data, `,"createdAt":`...), createdAt.UnixMicro(), 10)
	}
	return append(data, '}'), nil
}

// Decode returns the event of a person that the log has stored. The names of
// somebody whose key is destroyed are empty.
//
// Errors: [ErrForeign] for types that are not this package's, and an error for
// data that can't be read.
func Decode(keys Keys, e eventstore.Event) (Event, error) {
	switch e.Type {
	case typeCreated, typeRenamed, typeErased:
	default:
		return nil, fmt.Errorf("%w: %q at position %d", ErrForeign, e.Type, e.Position)
	}
	var s stored
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return nil, fmt.Errorf("decode %s at position %d: %w", e.Type, e.Position, err)
	}
	createdAt := time.UnixMicro(s.CreatedAt).UTC()
	if e.Type == typeErased {
		return Erased{Key: s.Key, CreatedAt: createdAt}, nil
	}
	firstName, lastName, err := open(keys, s)
	if err != nil && !errors.Is(err, ErrKeyDestroyed) {
		return nil, fmt.Errorf("decode %s at position %d: %w", e.Type, e.Position, err)
	}
	if e.Type == typeCreated {
		return Created{FirstName: firstName, LastName: lastName, Key: s.Key}, nil
	}
	return Renamed{FirstName: firstName, LastName: lastName, Key: s.Key, CreatedAt: createdAt}, nil
}

// open returns the sealed names.
func open(keys Keys, s stored) (firstName, lastName string, err error) {
	plain, err := keys.Open(s.Key, s.Sealed)
	if err != nil {
		return "", "", err
	}
	return splitNames(plain)
}

// SealNames returns a person's names as nobody reads them without the person's key,
// for whoever keeps them elsewhere than in the log.
//
// Errors: [ErrKeyDestroyed], those of the keys.
func SealNames(keys Keys, u User) ([]byte, error) {
	return keys.Seal(u.Key, joinNames(u.FirstName, u.LastName))
}

// OpenNames is the inverse of [SealNames]: it returns the person with their names.
//
// Errors: [ErrKeyDestroyed], those of the keys, and an error for what is no pair of
// names.
func OpenNames(keys Keys, u User, sealed []byte) (User, error) {
	plain, err := keys.Open(u.Key, sealed)
	if err != nil {
		return User{}, err
	}
	u.FirstName, u.LastName, err = splitNames(plain)
	return u, err
}

// joinNames puts two names into one text: the length of the first as a decimal, a
// colon, and both.
func joinNames(firstName, lastName string) []byte {
	b := strconv.AppendInt(make([]byte, 0, len(firstName)+len(lastName)+5), int64(len(firstName)), 10)
	b = append(b, ':')
	b = append(b, firstName...)
	return append(b, lastName...)
}

// splitNames is the inverse of joinNames.
func splitNames(b []byte) (firstName, lastName string, err error) {
	for i, c := range b {
		if c != ':' {
			continue
		}
		n, err := strconv.Atoi(string(b[:i]))
		if err != nil || n < 0 || n > len(b)-i-1 {
			break
		}
		return string(b[i+1 : i+1+n]), string(b[i+1+n:]), nil
	}
	return "", "", errors.New("the sealed names can't be told apart")
}

// ErasedPerson returns who was erased by an event of the log of people, 0 if it is
// another kind of event. It needs no keys.
//
// Errors: [ErrForeign] for a stream that is not a person's.
func ErasedPerson(e *eventstore.Event) (int64, error) {
	if e.Type != typeErased {
		return 0, nil
	}
	id, err := PersonOf(e.Stream)
	if err != nil {
		return 0, fmt.Errorf("event %d: %w", e.Position, err)
	}
	return id, nil
}

// PersonOf is the inverse of [Stream].
//
// Errors: [ErrForeign] for a stream that is not a person's.
func PersonOf(s eventstore.Stream) (int64, error) {
	id, err := strconv.ParseInt(s.ID, 10, 64)
	if err != nil || s.Category != Category || id < 1 {
		return 0, fmt.Errorf("%w: stream %s", ErrForeign, s)
	}
	return id, nil
}
