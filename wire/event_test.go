package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

func TestEventsToTheByte(t *testing.T) {
	at := time.Date(2022, 11, 26, 15, 45, 31, 123_999_000, time.UTC)
	began := at.Add(-time.Hour)
	log := [16]byte{0x3f, 0x2a, 0x91, 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	people := func(e user.Event) func([]byte) []byte {
		return func(dst []byte) []byte { return wire.AppendUserData(dst, 7, e, at) }
	}
	pair := func(e friend.Event) func([]byte) []byte {
		return func(dst []byte) []byte { return wire.AppendFriendData(dst, e, 5) }
	}
	for _, c := range []struct {
		sentence, kind string
		data           func([]byte) []byte
		meta           eventstore.Metadata
		want           string
	}{
		{"somebody new", "UserCreated", people(user.Created{FirstName: "A\n\"", LastName: "", Key: 3}), nil, `{"id":7,"firstName":"A\n\"","lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00"},"meta":{}`},
		{"another name", "UserRenamed", people(user.Renamed{FirstName: "A", LastName: "B", Key: 3, CreatedAt: began}), nil, `{"id":7,"firstName":"A","lastName":"B","createdAt":"2022-11-26T14:45:31.123+00:00"},"meta":{}`},
		{"names that can't be read any more", "UserRenamed", people(user.Renamed{Key: 3, CreatedAt: began}), nil, `{"id":7,"firstName":null,"lastName":null,"createdAt":"2022-11-26T14:45:31.123+00:00"},"meta":{}`},
		{"somebody erased", "UserErased", people(user.Erased{CreatedAt: began}), nil, `{"id":7,"firstName":null,"lastName":null,"createdAt":"2022-11-26T14:45:31.123+00:00"},"meta":{}`},
		{"a friendship begins", "FriendAdded", pair(friend.Added{By: 2, To: 1}), nil, `{"id":5,"userId":2,"friendId":1},"meta":{}`},
		{"and ends", "FriendRemoved", pair(friend.Removed{By: 2, To: 1, Row: 4}), nil, `{"id":4,"userId":2,"friendId":1},"meta":{}`},
		{"what travels along, by name", "FriendAdded", pair(friend.Added{By: 2, To: 1}), eventstore.Metadata{"b": "<2>", "a": "1"}, `{"id":5,"userId":2,"friendId":1},"meta":{"a":"1","b":"<2>"}`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			e := eventstore.Event{Stream: eventstore.Stream{Category: "x", ID: "1:2"}, Version: 2, Position: 77, Type: c.kind, Time: at, Meta: c.meta}
			got := wire.AppendEvent(nil, &e, log, c.data)
			want := `{"position":77,"id":"3f2a91c0-0102-0304-0506-0708090a0b0c:77","type":"` + c.kind +
				`","stream":"x-1:2","version":2,"time":"2022-11-26T15:45:31.123+00:00","data":` + c.want + `}`
			if string(got) != want {
				t.Errorf("the event is\n%s, not\n%s", got, want)
			}
			var read wire.Event
			if err := json.Unmarshal(got, &read); err != nil || read.Position != 77 || read.Type != c.kind || read.Version != 2 {
				t.Errorf("it is read as %+v, %v", read, err)
			}
		})
	}
}
