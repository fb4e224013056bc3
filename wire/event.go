package wire

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// Event is an event of a feed as clients read it.
type Event struct {
	Position int64             `json:"position"`
	ID       string            `json:"id"` // UUID of the log, colon, position
	Type     string            `json:"type"`
	Stream   string            `json:"stream"`
	Version  int64             `json:"version"` // within the stream
	Time     Time              `json:"time"`
	Data     json.RawMessage   `json:"data"` // UserData or FriendData, by type
	Meta     map[string]string `json:"meta"`
}

// UserData is the data of UserCreated, UserRenamed and UserErased. The names are
// nil once the person is erased, and in UserErased.
type UserData struct {
	ID        int64   `json:"id"`
	FirstName *string `json:"firstName"`
	LastName  *string `json:"lastName"`
	CreatedAt Time    `json:"createdAt"` // of the person
}

// FriendData is the data of FriendAdded and FriendRemoved, in the direction of
// who began the friendship.
type FriendData struct {
	ID       int64 `json:"id"` // of the row
	UserID   int64 `json:"userId"`
	FriendID int64 `json:"friendId"`
}

// AppendEvent appends an event as JSON. log is the UUID under which it was
// written, data appends what the event says.
func AppendEvent(dst []byte, e *eventstore.Event, log [16]byte, data func([]byte) []byte) []byte {
	dst = append(dst, `{"position":`...)
	dst = strconv.AppendInt(dst, int64(e.Position), 10)
	dst = append(dst, `,"id":"`...)
	dst = AppendUUID(dst, log)
	dst = strconv.AppendInt(append(dst, ':'), int64(e.Position), 10)
	dst = append(dst, '"')
	dst = appendMember(dst, `,"type":`, e.Type)
	dst = appendMember(dst, `,"stream":`, e.Stream.String())
	dst = append(dst, `,"version":`...)
	dst = strconv.AppendInt(dst, int64(e.Version), 10)
	dst = append(dst, `,"time":`...)
	dst = AppendTime(dst, e.Time)
	dst = data(append(dst, `,"data":`...))
	return append(appendMeta(append(dst, `,"meta":`...), e.Meta), '}')
}

// AppendUUID appends a UUID in its text form of five groups.
func AppendUUID(dst []byte, uuid [16]byte) []byte {
	dst = hex.AppendEncode(dst, uuid[:4])
	for _, group := range [][]byte{uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), group)
	}
	return dst
}

// appendMeta appends what travels with an event, by name; {} if nothing does.
func appendMeta(dst []byte, meta eventstore.Metadata) []byte {
	dst = append(dst, '{')
	for i, name := range slices.Sorted(maps.Keys(meta)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, name), ':')
		dst = appendText(dst, meta[name])
	}
	return append(dst, '}')
}

// AppendUserData appends what an event says of a person. Keys and sealed names
// stay here. A first name is never empty, so one that is can't be read any more:
// its key was destroyed with the person.
func AppendUserData(dst []byte, id int64, event user.Event, at time.Time) []byte {
	var first, last string
	var createdAt time.Time
	switch e := event.(type) {
	case user.Created:
		first, last, createdAt = e.FirstName, e.LastName, at
	case user.Renamed:
		first, last, createdAt = e.FirstName, e.LastName, e.CreatedAt
	case user.Erased:
		createdAt = e.CreatedAt
	}
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, id, 10)
	if first == "" {
		dst = append(dst, `,"firstName":null,"lastName":null`...)
	} else {
		dst = appendMember(dst, `,"firstName":`, first)
		dst = appendMember(dst, `,"lastName":`, last)
	}
	dst = append(dst, `,"createdAt":`...)
	return append(AppendTime(dst, createdAt), '}')
}

// AppendFriendData appends what an event says of two people. number is that of
// the event: the row's id in FriendAdded.
func AppendFriendData(dst []byte, event friend.Event, number int64) []byte {
	var by, to int64
	row := number
	switch e := event.(type) {
	case friend.Added:
		by, to = e.By, e.To
	case friend.Removed:
		by, to, row = e.By, e.To, e.Row
	}
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, row, 10)
	dst = append(dst, `,"userId":`...)
	dst = strconv.AppendInt(dst, by, 10)
	dst = append(dst, `,"friendId":`...)
	return append(strconv.AppendInt(dst, to, 10), '}')
}
