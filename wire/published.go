package wire

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// Recorded returns the event as a log hands it to its readers, and by which UUID the log
// was known when it was recorded. Data stays as it was published: [DecodeUser] and
// [DecodeFriend] read it. The event's time is cut to milliseconds.
//
// Errors: an id or a stream that is none.
func (e *Event) Recorded() (event eventstore.Event, log [16]byte, err error) {
	text, position, _ := strings.Cut(e.ID, ":")
	if log, err = ParseUUID(text); err != nil || position != strconv.FormatInt(e.Position, 10) {
		return event, log, fmt.Errorf("event %d has the id %.60q", e.Position, e.ID)
	}
	stream, err := eventstore.ParseStream(e.Stream)
	if err != nil {
		return event, log, fmt.Errorf("event %d: %w", e.Position, err)
	}
	event = eventstore.Event{
		Stream: stream, Version: eventstore.Version(e.Version), Position: eventstore.Position(e.Position),
		Type: e.Type, Time: e.Time.Time, Data: e.Data,
	}
	if len(e.Meta) > 0 {
		event.Meta = e.Meta
	}
	return event, log, nil
}

// DecodeUser returns what a published event says of a person: the inverse of
// [AppendUserData], without the key. The names of somebody erased are empty.
//
// Errors: user.ErrForeign for types that are not of a person, and an error for data that
// can't be read.
func DecodeUser(e *eventstore.Event) (event user.Event, id int64, err error) {
	if !slices.Contains(user.Types(), e.Type) {
		return nil, 0, fmt.Errorf("%w: %q at position %d", user.ErrForeign, e.Type, e.Position)
	}
	var d UserData
	if err := json.Unmarshal(e.Data, &d); err != nil || d.ID < 1 || user.Stream(d.ID) != e.Stream {
		return nil, 0, fmt.Errorf("read the published %s at position %d of %s: it is about %d: %w",
			e.Type, e.Position, e.Stream, d.ID, cmp.Or(err, user.ErrForeign))
	}
	switch e.Type {
	case userErased:
		return user.Erased{CreatedAt: d.CreatedAt.Time}, d.ID, nil
	case userRenamed:
		return user.Renamed{FirstName: plain(d.FirstName), LastName: plain(d.LastName), CreatedAt: d.CreatedAt.Time}, d.ID, nil
	}
	return user.Created{FirstName: plain(d.FirstName), LastName: plain(d.LastName)}, d.ID, nil
}

// The types of events that are told apart here.
const (
	userRenamed   = "UserRenamed"
	userErased    = "UserErased"
	friendRemoved = "FriendRemoved"
)

// plain returns a name that may not be there.
func plain(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

// DecodeFriend returns what a published event says of two people: the inverse of
// [AppendFriendData].
//
// Errors: friend.ErrForeign for types that are not of a friendship, and an error for data
// that can't be read.
func DecodeFriend(e *eventstore.Event) (friend.Event, error) {
	if !slices.Contains(friend.Types(), e.Type) {
		return nil, fmt.Errorf("%w: %q at position %d", friend.ErrForeign, e.Type, e.Position)
	}
	var d FriendData
	if err := json.Unmarshal(e.Data, &d); err != nil || d.UserID < 1 || d.FriendID < 1 || d.UserID == d.FriendID ||
		friend.Stream(d.UserID, d.FriendID) != e.Stream {
		return nil, fmt.Errorf("read the published %s at position %d of %s: it is about %d and %d: %w",
			e.Type, e.Position, e.Stream, d.UserID, d.FriendID, cmp.Or(err, friend.ErrForeign))
	}
	if e.Type == friendRemoved {
		return friend.Removed{By: d.UserID, To: d.FriendID, Row: d.ID}, nil
	}
	return friend.Added{By: d.UserID, To: d.FriendID}, nil
}
