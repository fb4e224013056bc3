package wire

import (
	"fmt"
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

// sheet has what all records of a topic have in common, written once.
type sheet struct {
	contentType, types, source, version []byte
	kinds                               map[string][]byte // of events
}

// newSheet returns the sheet of a topic, whose events have these types.
func newSheet(source string, kinds []string) *sheet {
	s := &sheet{
		contentType: []byte(quotedJSON), types: []byte(jsonTypes), source: []byte(source), version: []byte("1.0"),
		kinds: make(map[string][]byte, len(kinds)),
	}
	for _, kind := range kinds {
		s.kinds[kind] = []byte(kind)
	}
	return s
}

// UserRecords returns the function that writes events of people as records of the topic
// user. Somebody whose key was destroyed has the name [deleted].
//
// Errors of that function: an event that is none of a person, or can't be read.
func UserRecords(keys user.Keys) func(*eventstore.Event, eventstore.Lineage) (broker.Record, error) {
	sheet := newSheet("/user/v1/events", user.Types())
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
		m := newMessage(sheet, e, lineage)
		m.begin(`{"id":`)
		m.buf = strconv.AppendInt(m.buf, int64(m.hash), 10)
		m.buf = AppendUser(append(m.buf, `,"createdAt":null,"lastModified":null,"subject":`...), u)
		m.end(kind, `"}`)
		m.buf = strconv.AppendInt(m.buf, id, 10)
		return m.record(), nil
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

// FriendRecords returns the function that writes events between two people as records of
// the topic friend, in the direction of who began.
//
// Errors of that function: an event that is none of a friendship, or can't be read.
func FriendRecords() func(*eventstore.Event, eventstore.Lineage) (broker.Record, error) {
	sheet := newSheet("/friend/v1/events", friend.Types())
	return func(e *eventstore.Event, lineage eventstore.Lineage) (broker.Record, error) {
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
		m := newMessage(sheet, e, lineage)
		m.begin(`{"subject":`)
		m.buf = AppendFriend(m.buf, f)
		m.end(kind, `","friendMessage":null}`)
		m.buf = append(m.buf, e.Stream.ID...)
		return m.record(), nil
	}
}

// message is a record on its way: all its texts lie in one buffer.
type message struct {
	*sheet
	event   *eventstore.Event
	lineage eventstore.Lineage
	buf     []byte
	mark    int   // where the current text begins
	hash    int32 // of the event's id
	id      []byte
	value   []byte
}

// newMessage begins a record of an event.
func newMessage(s *sheet, e *eventstore.Event, lineage eventstore.Lineage) message {
	m := message{sheet: s, event: e, lineage: lineage, buf: make([]byte, 0, recordRoom)}
	m.buf = AppendUUID(m.buf, lineage.At(e.Position))
	m.buf = strconv.AppendInt(append(m.buf, ':'), int64(e.Position), 10)
	m.id = m.text()
	m.hash = hashOf(m.id)
	return m
}

// hashOf returns the number of an event (FNV-1a). The Spring system gives each a
// random one; this is made from what the event is, so that sending it again sends the same.
func hashOf(id []byte) int32 {
	h := uint32(2166136261)
	for _, c := range id {
		h = (h ^ uint32(c)) * 16777619
	}
	return int32(h)
}

// text ends the current text and returns it.
func (m *message) text() []byte {
	text := m.buf[m.mark:len(m.buf):len(m.buf)]
	m.mark = len(m.buf)
	return text
}

// begin begins the value.
func (m *message) begin(text string) { m.buf = append(m.buf, text...) }

// end ends the value with the kind of the event. What is appended next is the key.
func (m *message) end(kind, rest string) {
	m.buf = append(append(append(m.buf, `,"eventType":"`...), kind...), rest...)
	m.value = m.text()
}

// record returns the finished record.
func (m *message) record() broker.Record {
	r := broker.Record{Key: m.text(), Value: m.value, Time: m.event.Time}
	m.buf = m.event.Time.UTC().AppendFormat(m.buf, time.RFC3339Nano)
	r.Headers = append(make([]broker.Header, 0, maxHeaders),
		broker.Header{Key: headerContentType, Value: m.contentType},
		broker.Header{Key: headerTypes, Value: m.types},
		broker.Header{Key: headerID, Value: m.id},
		broker.Header{Key: headerType, Value: m.kinds[m.event.Type]},
		broker.Header{Key: headerSource, Value: m.source},
		broker.Header{Key: headerTime, Value: m.text()},
		broker.Header{Key: headerVersion, Value: m.version})
	if trace := m.event.Meta[headerTrace]; trace != "" {
		m.buf = append(m.buf, trace...)
		r.Headers = append(r.Headers, broker.Header{Key: headerTrace, Value: m.text()})
	}
	r.Headers, m.buf = broker.Stamp(r.Headers, m.buf, m.event.Position, m.lineage)
	return r
}

// errRecord means that a record can't be read.
type errRecord struct{ reason string }

// Error implements error.
func (e errRecord) Error() string { return "the record can't be read: " + e.reason }

// unreadable returns an errRecord.
func unreadable(format string, args ...any) error { return errRecord{fmt.Sprintf(format, args...)} }
