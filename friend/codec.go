package friend

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"ensemble/eventstore"
)

// Category is the category of the streams of pairs.
const Category = "friend"

// The names under which the events are stored. A name once released is decoded
// for ever.
const (
	typeAdded   = "FriendAdded"
	typeRemoved = "FriendRemoved"
)

// Types returns the names under which the events are stored.
func Types() []string { return []string{typeAdded, typeRemoved} }

// ErrForeign means that an event is not one of this package's.
var ErrForeign = errors.New("not an event of a friendship")

// Stream returns the stream of a pair, the same for both orders.
func Stream(a, b int64) eventstore.Stream {
	id := strconv.AppendInt(make([]byte, 0, 24), min(a, b), 10)
	id = strconv.AppendInt(append(id, ':'), max(a, b), 10)
	return eventstore.Stream{Category: Category, ID: string(id)}
}

// stored is the JSON of both events, drawn in docs/format/events.md.
type stored struct {
	By  int64 `json:"by"`
	To  int64 `json:"to"`
	Row int64 `json:"row"`
}

// Encode returns the event as it is stored.
func Encode(event Event) (eventstore.NewEvent, error) {
	switch e := event.(type) {
	case Added:
		data := append(appendPair(e.By, e.To), '}')
		return eventstore.NewEvent{Type: typeAdded, Data: data, Number: eventstore.NextNumber}, nil
	case Removed:
		data := append(appendPair(e.By, e.To), `,"row":`...)
		data = append(strconv.AppendInt(data, e.Row, 10), '}')
		return eventstore.NewEvent{Type: typeRemoved, Data: data}, nil
	}
	return eventstore.NewEvent{}, fmt.Errorf("%w: %T", ErrForeign, event)
}

// appendPair begins the JSON of an event, without its closing brace.
func appendPair(by, to int64) []byte {
	data := strconv.AppendInt(append(make([]byte, 0, 48), `{"by":`...), by, 10)
	return strconv.AppendInt(append(data, `,"to":`...), to, 10)
}

// Decode returns the event between two people that the log has stored.
//
// Errors: [ErrForeign] for types that are not this package's, and an error for
// data that can't be read.
func Decode(e eventstore.Event) (Event, error) {
	if e.Type != typeAdded && e.Type != typeRemoved {
		return nil, fmt.Errorf("%w: %q at position %d", ErrForeign, e.Type, e.Position)
	}
	var s stored
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return nil, fmt.Errorf("decode %s at position %d: %w", e.Type, e.Position, err)
	}
	if s.By < 1 || s.To < 1 || s.By == s.To {
		return nil, fmt.Errorf("decode %s at position %d: %d and %d are no pair", e.Type, e.Position, s.By, s.To)
	}
	if e.Type == typeAdded {
		return Added{By: s.By, To: s.To}, nil
	}
	return Removed(s), nil
}
