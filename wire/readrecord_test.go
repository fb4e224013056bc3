package wire_test

import (
	"strings"
	"testing"
	"time"

	"ensemble/broker"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// sentAt is the time of the records below.
func sentAt() time.Time { return time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC) }

// foreign is a record of a Spring system: no key, the content type in some form.
func foreign(value string, contentType ...string) *broker.Record {
	r := &broker.Record{Value: []byte(value), Time: sentAt()}
	for _, t := range contentType {
		r.Headers = append(r.Headers, broker.Header{Key: "contentType", Value: []byte(t)})
	}
	return r
}

// TestRecordsOfASpringSystemAreRead, in every form in which its versions and its
// relatives write them.
func TestRecordsOfASpringSystemAreRead(t *testing.T) {
	const plain = `{"id":-5,"createdAt":null,"lastModified":null,"subject":{"id":7,"firstName":"A","lastName":"B","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":"2022-11-26T15:45:31.123+00:00"},"eventType":"USER_CREATED"}`
	at := time.Date(2022, 11, 26, 15, 45, 31, 123_000_000, time.UTC)
	want := wire.UserChange{ID: 7, FirstName: "A", LastName: "B", CreatedAt: at, LastModified: at, New: true}
	with := func(change func(*wire.UserChange)) wire.UserChange {
		c := want
		change(&c)
		return c
	}
	for _, c := range []struct {
		sentence string
		record   *broker.Record
		want     wire.UserChange
	}{
		{"the content type has quotes", foreign(plain, `"application/json"`), want},
		{"or none", foreign(plain, `application/json`), want},
		{"or is not there", foreign(plain), want},
		{"times without a colon in the offset", foreign(strings.ReplaceAll(plain, "+00:00", "+0000")), want},
		{"times in Z", foreign(strings.ReplaceAll(plain, "+00:00", "Z")), want},
		{"times of another zone", foreign(strings.ReplaceAll(plain, "15:45:31.123+00:00", "16:45:31.123+01:00")), want},
		{"times as milliseconds", foreign(strings.ReplaceAll(plain, `"2022-11-26T15:45:31.123+00:00"`, "1669477531123")), want},
		{
			"no times at all: the record has one",
			foreign(strings.ReplaceAll(plain, `"2022-11-26T15:45:31.123+00:00"`, "null")),
			with(func(c *wire.UserChange) { c.CreatedAt, c.LastModified = sentAt(), sentAt() }),
		},
		{"members that nobody knows", foreign(strings.Replace(plain, `"subject":{`, `"more":[{"subject":1}],"subject":{"email":null,`, 1)), want},
		{"members in another order", foreign(`{"eventType":"USER_CREATED","subject":{"lastModified":1669477531123,"createdAt":1669477531123,"lastName":"B","firstName":"A","id":7}}`), want},
		{"a name that is null", foreign(strings.Replace(plain, `"lastName":"B"`, `"lastName":null`, 1)), with(func(c *wire.UserChange) { c.LastName = "" })},
		{"another name", foreign(strings.Replace(plain, "CREATED", "UPDATED", 1)), with(func(c *wire.UserChange) { c.New = false })},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			got, err := wire.ReadUser(c.record)
			if err != nil || got != c.want {
				t.Errorf("it is read as %+v, %v", got, err)
			}
		})
	}
}

// TestFriendshipsOfASpringSystemAreRead: rows may have no id, removals no times.
func TestFriendshipsOfASpringSystemAreRead(t *testing.T) {
	at := time.Date(2022, 11, 26, 15, 45, 31, 123_000_000, time.UTC)
	for value, want := range map[string]wire.FriendChange{
		`{"subject":{"id":3,"userId":2,"friendId":1,"createdAt":1669477531123,"updatedAt":null},"eventType":"FRIEND_ADDED","friendMessage":null}`: {Row: 3, By: 2, To: 1, At: at},
		`{"subject":{"id":null,"userId":2,"friendId":1},"eventType":"FRIEND_REMOVED"}`:                                                            {By: 2, To: 1, At: sentAt(), Removed: true},
		`{"friendMessage":{"a":[1,2]},"eventType":"FRIEND_REMOVED","subject":{"id":4,"userId":1,"friendId":2,"createdAt":null}}`:                  {Row: 4, By: 1, To: 2, At: sentAt(), Removed: true},
	} {
		if got, err := wire.ReadFriend(foreign(value)); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", value, got, err)
		}
	}
}

// TestARecordThatIsNoEventIsRefused, and the error says nothing of the names in it.
func TestARecordThatIsNoEventIsRefused(t *testing.T) {
	for sentence, value := range map[string]string{
		"nothing":                  ``,
		"no JSON":                  `Secret`,
		"cut off":                  `{"subject":{"id":7,"firstName":"Secret"`,
		"two values":               `{"subject":{"id":7},"eventType":"USER_CREATED"} {}`,
		"a list":                   `["Secret"]`,
		"no subject":               `{"eventType":"USER_CREATED"}`,
		"nobody":                   `{"subject":{"id":0,"firstName":"Secret"},"eventType":"USER_CREATED"}`,
		"an id that is a text":     `{"subject":{"id":"7","firstName":"Secret"},"eventType":"USER_CREATED"}`,
		"an id that is too large":  `{"subject":{"id":9223372036854775808},"eventType":"USER_CREATED"}`,
		"half an id":               `{"subject":{"id":7.5},"eventType":"USER_CREATED"}`,
		"a member twice":           `{"subject":{"id":7,"id":8,"firstName":"Secret"},"eventType":"USER_CREATED"}`,
		"a name that is none":      `{"subject":{"id":7,"firstName":{"Secret":1}},"eventType":"USER_CREATED"}`,
		"another kind":             `{"subject":{"id":7,"firstName":"Secret"},"eventType":"USER_DELETED"}`,
		"a kind in other letters":  `{"subject":{"id":7},"eventType":"user_created"}`,
		"no kind":                  `{"subject":{"id":7}}`,
		"what is not UTF-8":        "{\"subject\":{\"id\":7,\"firstName\":\"Secret\xff\"},\"eventType\":\"USER_CREATED\"}",
		"a time that is none":      `{"subject":{"id":7,"createdAt":"yesterday"},"eventType":"USER_CREATED"}`,
		"an event of a friendship": `{"subject":{"id":7,"userId":1,"friendId":2},"eventType":"FRIEND_ADDED"}`,
	} {
		c, err := wire.ReadUser(foreign(value))
		if err == nil {
			t.Errorf("%s is read as %+v", sentence, c)
		} else if strings.Contains(err.Error(), "Secret") {
			t.Errorf("%s: the error shows a name: %v", sentence, err)
		}
	}
	for _, value := range []string{
		``, `{}`, `{"subject":{"id":1,"userId":1,"friendId":1},"eventType":"FRIEND_ADDED"}`, `{"subject":{"id":1,"userId":0,"friendId":1},"eventType":"FRIEND_ADDED"}`,
		`{"subject":{"id":1,"userId":1,"friendId":-2},"eventType":"FRIEND_ADDED"}`, `{"subject":{"userId":1,"friendId":2},"eventType":"FRIEND_REQUESTED"}`,
	} {
		if c, err := wire.ReadFriend(foreign(value)); err == nil {
			t.Errorf("%s is read as %+v", value, c)
		}
	}
}

// TestAForeignRenameAlsoBeginsSomebody: their creation may lie in another partition, or
// lie there no more. Of ours it only renames.
func TestAForeignRenameAlsoBeginsSomebody(t *testing.T) {
	value := `{"subject":{"id":7,"firstName":"A","lastName":"B","createdAt":1000,"lastModified":2000},"eventType":"USER_UPDATED"}`
	theirs, err := wire.ReadUserRecord(foreign(value))
	if err != nil || len(theirs.Events) != 2 || theirs.Events[0].Type != "UserCreated" || theirs.Events[1].Type != "UserRenamed" ||
		theirs.Events[0].Time.UnixMilli() != 1000 || theirs.Events[1].Time.UnixMilli() != 2000 {
		t.Errorf("it is read as %+v, %v", theirs, err)
	}
	r := foreign(value)
	r.Headers = append(r.Headers, broker.Header{Key: "ce_type", Value: []byte("UserRenamed")})
	ours, err := wire.ReadUserRecord(r)
	if err != nil || len(ours.Events) != 1 || ours.Events[0].Type != "UserRenamed" {
		t.Errorf("one of ours is read as %+v, %v", ours, err)
	}
}

// FuzzReadRecords: whatever a topic holds, it is an event of a person or of a pair, or
// refused; and what is read can be published again.
func FuzzReadRecords(f *testing.F) {
	f.Add([]byte(`{"id":-5,"createdAt":null,"lastModified":null,"subject":{"id":7,"firstName":"A","lastName":"B","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":1669477531123},"eventType":"USER_UPDATED"}`), []byte("UserErased"))
	f.Add([]byte(`{"subject":{"id":3,"userId":2,"friendId":1,"createdAt":null,"updatedAt":null},"eventType":"FRIEND_REMOVED","friendMessage":null}`), []byte(`"application/json"`))
	f.Add([]byte(`{"subject":{"id":9223372036854775807,"firstName":"\ud83d\ude00"},"eventType":"USER_CREATED"}`), []byte{})
	f.Fuzz(func(t *testing.T, value, header []byte) {
		r := foreign(string(value))
		for _, name := range []string{"contentType", "ce_type", "spring_json_header_types"} {
			r.Headers = append(r.Headers, broker.Header{Key: name, Value: header})
		}
		if m, err := wire.ReadUserRecord(r); err == nil {
			for _, e := range m.Events {
				if id, err := user.PersonOf(e.Stream); err != nil || id < 1 || !strings.HasPrefix(string(e.Data), `{"id":`+m.About+`,"firstName":`) {
					t.Fatalf("%s is read as %s of %s: %v", value, e.Data, e.Stream, err)
				}
			}
		}
		c, err := wire.ReadFriend(r)
		if err != nil {
			return
		}
		m, err := wire.ReadFriendRecord(r)
		if err != nil || len(m.Events) != 1 || c.By < 1 || c.To < 1 || c.By == c.To || m.Events[0].Stream != friend.Stream(c.By, c.To) {
			t.Fatalf("%s is read as %+v and %+v: %v", value, c, m, err)
		}
	})
}
