package wire

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
)

// UserChange is what a record of the topic user says.
type UserChange struct {
	ID                      int64
	FirstName, LastName     string
	CreatedAt, LastModified time.Time // never zero: the record's time stands in
	New, Erased             bool      // neither: another name
	Ours                    bool      // it comes after the person's other events, so it stands alone
}

// FriendChange is what a record of the topic friend says, in the direction that it names.
type FriendChange struct {
	Row, By, To int64 // Row may be 0 in a foreign record
	At          time.Time
	Removed     bool
}

// userMessage and friendMessage are the JSON of records. Members that are not here are
// ignored, so that others may add some.
type userMessage struct {
	Subject *struct {
		ID           int64  `json:"id"`
		FirstName    string `json:"firstName"`
		LastName     string `json:"lastName"`
		CreatedAt    Time   `json:"createdAt"`
		LastModified Time   `json:"lastModified"`
	} `json:"subject"`
	EventType string `json:"eventType"`
}

type friendMessage struct {
	Subject *struct {
		ID        int64 `json:"id"`
		UserID    int64 `json:"userId"`
		FriendID  int64 `json:"friendId"`
		CreatedAt Time  `json:"createdAt"`
	} `json:"subject"`
	EventType string `json:"eventType"`
}

// ReadUser reads a record of the topic user: of ours, or of a Spring system, whose key,
// content type and headers may be anything. Times may have any form that [Time] reads.
//
// Errors: a value that is not the JSON of such an event.
func ReadUser(r *broker.Record) (UserChange, error) {
	var m userMessage
	if err := readMessage(r, &m); err != nil {
		return UserChange{}, err
	}
	switch {
	case m.Subject == nil:
		return UserChange{}, unreadable("it has no subject")
	case m.Subject.ID < 1:
		return UserChange{}, unreadable("%d is nobody's id", m.Subject.ID)
	case m.EventType != kindUserCreated && m.EventType != kindUserUpdated:
		return UserChange{}, unreadable("%.64q is no kind of event of a person", m.EventType)
	}
	what := string(r.Header(headerType))
	c := UserChange{
		ID: m.Subject.ID, FirstName: m.Subject.FirstName, LastName: m.Subject.LastName,
		CreatedAt: m.Subject.CreatedAt.Time, LastModified: m.Subject.LastModified.Time,
		New: m.EventType == kindUserCreated, Ours: what != "",
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = r.Time.UTC()
	}
	if c.LastModified.IsZero() || c.LastModified.Before(c.CreatedAt) {
		c.LastModified = c.CreatedAt
	}
	if c.Erased = what == typeErased; c.Erased {
		c.FirstName, c.LastName, c.New = "", "", false
	}
	return c, nil
}

// typeErased is the ce_type of the record that says that somebody was erased.
const typeErased = "UserErased"

// ReadFriend reads a record of the topic friend, like [ReadUser].
//
// Errors: a value that is not the JSON of such an event.
func ReadFriend(r *broker.Record) (FriendChange, error) {
	var m friendMessage
	if err := readMessage(r, &m); err != nil {
		return FriendChange{}, err
	}
	switch {
	case m.Subject == nil:
		return FriendChange{}, unreadable("it has no subject")
	case m.Subject.UserID < 1 || m.Subject.FriendID < 1 || m.Subject.UserID == m.Subject.FriendID:
		return FriendChange{}, unreadable("%d and %d are no pair", m.Subject.UserID, m.Subject.FriendID)
	case m.EventType != kindFriendAdded && m.EventType != kindFriendRemoved:
		return FriendChange{}, unreadable("%.64q is no kind of event of a friendship", m.EventType)
	}
	c := FriendChange{
		Row: max(0, m.Subject.ID), By: m.Subject.UserID, To: m.Subject.FriendID,
		At: m.Subject.CreatedAt.Time, Removed: m.EventType == kindFriendRemoved,
	}
	if c.At.IsZero() {
		c.At = r.Time.UTC()
	}
	return c, nil
}

// readMessage reads the value of a record. Names and texts of it are not in the error: it
// is shown to people who need not know them.
func readMessage(r *broker.Record, m any) error {
	if len(r.Value) == 0 {
		return unreadable("it has no value")
	}
	if err := json.Unmarshal(r.Value, m); err != nil {
		return unreadable("its value is not the JSON of an event")
	}
	return nil
}

// ReadUserRecord reads a record of the topic user as published events, as the feed has
// them: names are open, and null once somebody is erased.
//
// Errors: those of [ReadUser].
func ReadUserRecord(r *broker.Record) (broker.Message, error) {
	c, err := ReadUser(r)
	if err != nil {
		return broker.Message{}, err
	}
	m := broker.Message{About: strconv.FormatInt(c.ID, 10)}
	for _, one := range c.events() {
		m.Events = append(m.Events, eventstore.Event{
			Stream: user.Stream(c.ID), Type: one.kind, Time: one.at, Data: AppendUserData(nil, c.ID, one.Event, one.at),
		})
	}
	return m, nil
}

// userEvent is an event of a person, what it is called, and when it was.
type userEvent struct {
	user.Event
	kind string
	at   time.Time
}

// events returns the events that a record stands for. A foreign record of another name
// may be the first that is seen of somebody, so it also begins them: who is there already
// is not changed by that.
func (c *UserChange) events() (all []userEvent) {
	created := userEvent{user.Created{FirstName: c.FirstName, LastName: c.LastName}, "UserCreated", c.CreatedAt}
	switch {
	case c.Erased:
		return []userEvent{{user.Erased{CreatedAt: c.CreatedAt}, typeErased, c.LastModified}}
	case c.New:
		return []userEvent{created}
	case !c.Ours:
		all = []userEvent{created}
	}
	renamed := user.Renamed{FirstName: c.FirstName, LastName: c.LastName, CreatedAt: c.CreatedAt}
	return append(all, userEvent{renamed, "UserRenamed", c.LastModified})
}

// ReadFriendRecord reads a record of the topic friend as a published event.
//
// Errors: those of [ReadFriend].
func ReadFriendRecord(r *broker.Record) (broker.Message, error) {
	c, err := ReadFriend(r)
	if err != nil {
		return broker.Message{}, err
	}
	e := eventstore.Event{Stream: friend.Stream(c.By, c.To), Type: "FriendAdded", Time: c.At}
	var event friend.Event = friend.Added{By: c.By, To: c.To}
	if c.Removed {
		event, e.Type = friend.Removed{By: c.By, To: c.To, Row: c.Row}, "FriendRemoved"
	}
	e.Data = AppendFriendData(nil, event, c.Row)
	about := strconv.FormatInt(c.By, 10) + ">" + strconv.FormatInt(c.To, 10)
	return broker.Message{About: about, Events: []eventstore.Event{e}}, nil
}
