package wire

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// The kinds of events in topics, as the Spring system names them. Anything else in a
// topic would stall its consumers.
const (
	kindUserCreated   = "USER_CREATED"
	kindUserUpdated   = "USER_UPDATED"
	kindFriendAdded   = "FRIEND_ADDED"
	kindFriendRemoved = "FRIEND_REMOVED"
)

// deletedName is the first name of somebody who was erased, in a topic.
const deletedName = "[deleted]"

// Headers of a record. The quotes of the content type are those of Spring Cloud Stream,
// which reads a header as the JSON of the type that spring_json_header_types names.
const (
	headerContentType = "contentType"
	headerTypes       = "spring_json_header_types"
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerSource      = "ce_source"
	headerTime        = "ce_time"
	headerVersion     = "ce_specversion"
	headerTrace       = "traceparent"

	quotedJSON = `"application/json"`
	jsonTypes  = `{"contentType":"java.lang.String"}`
)

// maxHeaders is how many headers a record has at most.
const maxHeaders = 11

// recordRoom is how many bytes a record usually needs.
const recordRoom = 640

// UserRecords returns the function that writes events of people as records of the topic
// user. Somebody whose key was destroyed has the name [deleted].
//
// Errors of that function: an event that is none of a person, or can't be read.
func UserRecords(keys user.Keys) func(*eventstore.Event, eventstore.Lineage) (broker.Record, error) {
	return func(e *eventstore.Event, lineage eventstore.Lineage) (broker.Record, error) {
		id, err := user.PersonOf(e.Stream)
		if err != nil {
			return broker.Record{}, err
		}
		event, err := user.Decode(keys, *e)
		if err != nil {
			return broker.Record{}, err
		}
		u, kind := subjectOf(id, event, e.Time)
		m := newMessage(e, lineage)
		m.begin(`{"id":`)
		m.buf = strconv.AppendInt(m.buf, int64(m.hash), 10)
		m.buf = AppendUser(append(m.buf, `,"createdAt":null,"lastModified":null,"subject":`...), u)
		m.end(kind, `"}`)
		m.key(func(dst []byte) []byte { return strconv.AppendInt(dst, id, 10) })
		return m.record("/user/v1/events"), nil
	}
}

// subjectOf returns a person as an event has made them, and what the Spring system calls
// such an event.
func subjectOf(id int64, event user.Event, at time.Time) (u user.User, kind string) {
	u = user.User{ID: id, CreatedAt: at, LastModified: at}
	kind = kindUserUpdated
	switch e := event.(type) {
	case user.Created:
		u.FirstName, u.LastName, kind = e.FirstName, e.LastName, kindUserCreated
	case user.Renamed:
		u.FirstName, u.LastName, u.CreatedAt = e.FirstName, e.LastName, e.CreatedAt
	case user.Erased:
		u.CreatedAt = e.CreatedAt
	}
	if u.FirstName == "" { // never blank, so the key is destroyed
		u.FirstName, u.LastName = deletedName, ""
	}
	return u, kind
}

// FriendRecord writes an event between two people as a record of the topic friend, in the
// direction of who began.
//
// Errors: an event that is none of a friendship, or can't be read.
func FriendRecord(e *eventstore.Event, lineage eventstore.Lineage) (broker.Record, error) {
	event, err := friend.Decode(*e)
	if err != nil {
		return broker.Record{}, err
	}
	f := friend.Friendship{Row: e.Number, CreatedAt: e.Time}
	kind := kindFriendAdded
	switch e := event.(type) {
	case friend.Added:
		f.By, f.To = e.By, e.To
	case friend.Removed:
		f.By, f.To, f.Row, f.CreatedAt, kind = e.By, e.To, e.Row, time.Time{}, kindFriendRemoved
	}
	m := newMessage(e, lineage)
	m.begin(`{"subject":`)
	m.buf = AppendFriend(m.buf, f)
	m.end(kind, `","friendMessage":null}`)
	m.key(func(dst []byte) []byte { return append(dst, e.Stream.ID...) })
	return m.record("/friend/v1/events"), nil
}

// message is a record on its way: all its texts lie in one buffer.
type message struct {
	event   *eventstore.Event
	lineage eventstore.Lineage
	buf     []byte
	mark    int   // where the current text begins
	hash    int32 // of the event's id
	id      []byte
	out     broker.Record
}

// newMessage begins a record of an event.
func newMessage(e *eventstore.Event, lineage eventstore.Lineage) *message {
	m := &message{event: e, lineage: lineage, buf: make([]byte, 0, recordRoom)}
	m.buf = AppendUUID(m.buf, lineage.At(e.Position))
	m.buf = strconv.AppendInt(append(m.buf, ':'), int64(e.Position), 10)
	m.id = m.text()
	// The Spring system gives each event a random number. This one is made from what it
	// is, so that sending it again sends the same.
	h := fnv.New32a()
	_, _ = h.Write(m.id) // it never fails
	m.hash = int32(h.Sum32())
	return m
}

// text ends the current text and returns it.
func (m *message) text() []byte {
	text := m.buf[m.mark:len(m.buf):len(m.buf)]
	m.mark = len(m.buf)
	return text
}

// begin begins the value.
func (m *message) begin(text string) { m.buf = append(m.buf, text...) }

// end ends the value with the kind of the event.
func (m *message) end(kind, rest string) {
	m.buf = append(append(append(m.buf, `,"eventType":"`...), kind...), rest...)
	m.out.Value = m.text()
}

// key appends what all events of one person, or of one pair, have in common.
func (m *message) key(text func([]byte) []byte) {
	m.buf = text(m.buf)
	m.out.Key = m.text()
}

// record returns the finished record.
func (m *message) record(source string) broker.Record {
	m.buf = m.event.Time.UTC().AppendFormat(m.buf, time.RFC3339Nano)
	at := m.text()
	m.out.Time = m.event.Time
	h := append(make([]broker.Header, 0, maxHeaders),
		broker.Header{Key: headerContentType, Value: []byte(quotedJSON)},
		broker.Header{Key: headerTypes, Value: []byte(jsonTypes)},
		broker.Header{Key: headerID, Value: m.id},
		broker.Header{Key: headerType, Value: []byte(m.event.Type)},
		broker.Header{Key: headerSource, Value: []byte(source)},
		broker.Header{Key: headerTime, Value: at},
		broker.Header{Key: headerVersion, Value: []byte("1.0")})
	if trace := m.event.Meta[headerTrace]; trace != "" {
		h = append(h, broker.Header{Key: headerTrace, Value: []byte(trace)})
	}
	m.out.Headers = broker.Stamp(h, m.event.Position, m.lineage)
	return m.out
}

// errRecord means that a record can't be read.
type errRecord struct{ reason string }

// Error implements error.
func (e errRecord) Error() string { return "the record can't be read: " + e.reason }

// unreadable returns an errRecord.
func unreadable(format string, args ...any) error { return errRecord{fmt.Sprintf(format, args...)} }
