package wire_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// publish writes an event as a feed has it and reads it back as whoever follows does.
func publish(t *rapid.T, e *eventstore.Event, log [16]byte, data func([]byte) []byte) eventstore.Event {
	var published wire.Event
	if err := json.Unmarshal(wire.AppendEvent(nil, e, log, data), &published); err != nil {
		t.Fatal(err)
	}
	got, from, err := published.Recorded()
	if err != nil || from != log {
		t.Fatalf("%v of %x: %v", got, from, err)
	}
	if got.Stream != e.Stream || got.Version != e.Version || got.Position != e.Position || got.Type != e.Type ||
		!got.Time.Equal(e.Time.Truncate(time.Millisecond)) || !reflect.DeepEqual(got.Meta, e.Meta) {
		t.Fatalf("%+v became %+v", e, got)
	}
	return got
}

// TestWhatIsPublishedIsReadBack: all but the key and what is shorter than a millisecond.
func TestWhatIsPublishedIsReadBack(t *testing.T) {
	name := rapid.StringN(1, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		var log [16]byte
		copy(log[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "log"))
		id, other := rapid.Int64Range(1, 1<<62).Draw(t, "id"), rapid.Int64Range(1, 1<<62).Draw(t, "other")
		at := time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "at")).UTC()
		ms := at.Truncate(time.Millisecond)
		e := &eventstore.Event{
			Stream: user.Stream(id), Version: 3, Position: eventstore.Position(rapid.Int64Range(1, 1<<62).Draw(t, "position")), Time: at,
		}
		if rapid.Bool().Draw(t, "meta") {
			e.Meta = eventstore.Metadata{"traceparent": name.Draw(t, "trace")}
		}
		for kind, event := range map[string]user.Event{
			"UserCreated": user.Created{FirstName: name.Draw(t, "first"), LastName: name.Draw(t, "last")},
			"UserRenamed": user.Renamed{FirstName: name.Draw(t, "first"), LastName: name.Draw(t, "last"), CreatedAt: ms},
			"UserErased":  user.Erased{CreatedAt: ms},
		} {
			e.Type = kind
			got := publish(t, e, log, func(dst []byte) []byte { return wire.AppendUserData(dst, id, event, at) })
			read, of, err := wire.DecodeUser(&got)
			if err != nil || of != id || read != event {
				t.Fatalf("%+v was read as %+v of %d, %v", event, read, of, err)
			}
		}
		if id == other {
			return
		}
		e.Stream = friend.Stream(id, other)
		for kind, event := range map[string]friend.Event{
			"FriendAdded":   friend.Added{By: id, To: other},
			"FriendRemoved": friend.Removed{By: id, To: other, Row: 9},
		} {
			e.Type = kind
			got := publish(t, e, log, func(dst []byte) []byte { return wire.AppendFriendData(dst, event, 9) })
			if read, err := wire.DecodeFriend(&got); err != nil || read != event {
				t.Fatalf("%+v was read as %+v, %v", event, read, err)
			}
		}
	})
}

// TestNamesThatAreGoneAreEmpty, as they are for whoever opens a log without the key.
func TestNamesThatAreGoneAreEmpty(t *testing.T) {
	e := eventstore.Event{Type: "UserCreated", Stream: user.Stream(7), Data: []byte(`{"id":7,"firstName":null,"lastName":null,"createdAt":null}`)}
	if read, id, err := wire.DecodeUser(&e); err != nil || id != 7 || read != (user.Created{}) {
		t.Errorf("%+v, %d, %v", read, id, err)
	}
}

func TestWhatIsNoPublishedEventIsRefused(t *testing.T) {
	const log = "3f2a91c0-0102-0304-0506-0708090a0b0c"
	for sentence, e := range map[string]wire.Event{
		"another position in the id":  {Position: 7, ID: log + ":8", Stream: "user-1"},
		"an id without a log":         {Position: 7, ID: ":7", Stream: "user-1"},
		"a log that is too short":     {Position: 7, ID: log[:35] + ":7", Stream: "user-1"},
		"a log in capitals":           {Position: 7, ID: strings.ToUpper(log) + ":7", Stream: "user-1"},
		"a log that is too long":      {Position: 7, ID: log + "0:7", Stream: "user-1"},
		"hyphens in the wrong places": {Position: 7, ID: "3f2a91c001020304-0506-0708-090a-0b0c:7", Stream: "user-1"},
		"a stream that is none":       {Position: 7, ID: log + ":7", Stream: "user"},
	} {
		if got, _, err := e.Recorded(); err == nil {
			t.Errorf("%s: %+v", sentence, got)
		}
	}
	for sentence, e := range map[string]eventstore.Event{
		"a type of somebody else's":   {Type: "FriendAdded", Stream: user.Stream(1), Data: []byte(`{"id":1}`)},
		"somebody else than the path": {Type: "UserErased", Stream: user.Stream(1), Data: []byte(`{"id":2}`)},
		"nobody":                      {Type: "UserErased", Stream: user.Stream(1), Data: []byte(`{}`)},
		"no JSON":                     {Type: "UserErased", Stream: user.Stream(1), Data: []byte(`{`)},
	} {
		if read, _, err := wire.DecodeUser(&e); err == nil {
			t.Errorf("%s: %+v", sentence, read)
		}
	}
	for sentence, e := range map[string]eventstore.Event{
		"a type of somebody else's": {Type: "UserCreated", Stream: friend.Stream(1, 2), Data: []byte(`{"userId":1,"friendId":2}`)},
		"another pair":              {Type: "FriendAdded", Stream: friend.Stream(1, 2), Data: []byte(`{"userId":1,"friendId":3}`)},
		"one person twice":          {Type: "FriendAdded", Stream: friend.Stream(1, 1), Data: []byte(`{"userId":1,"friendId":1}`)},
		"half a pair":               {Type: "FriendAdded", Stream: friend.Stream(1, 2), Data: []byte(`{"userId":1}`)},
		"no JSON":                   {Type: "FriendAdded", Stream: friend.Stream(1, 2), Data: []byte(`[]`)},
	} {
		if read, err := wire.DecodeFriend(&e); err == nil {
			t.Errorf("%s: %+v", sentence, read)
		}
	}
	e := eventstore.Event{Type: "Other", Stream: user.Stream(1)}
	_, _, people := wire.DecodeUser(&e)
	_, pairs := wire.DecodeFriend(&e)
	if !errors.Is(people, user.ErrForeign) || !errors.Is(pairs, friend.ErrForeign) {
		t.Errorf("a foreign event is %v and %v", people, pairs)
	}
}

// TestTheHeadOfALogIsReadBack with everything that tells it from other logs.
func TestTheHeadOfALogIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := eventstore.Head{Position: eventstore.Position(rapid.Int64Range(0, 1<<62).Draw(t, "position"))}
		first := eventstore.Position(1)
		for range rapid.IntRange(1, 5).Draw(t, "forks") {
			var log [16]byte
			copy(log[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "log"))
			head.Lineage = append(head.Lineage, eventstore.Fork{UUID: log, First: first})
			first += eventstore.Position(rapid.Int64Range(1, 1<<40).Draw(t, "grown"))
		}
		text, err := json.Marshal(wire.NewLogHead("user", head))
		if err != nil {
			t.Fatal(err)
		}
		var told wire.LogHead
		if err := json.Unmarshal(text, &told); err != nil {
			t.Fatal(err)
		}
		if got, err := told.Head(); err != nil || !reflect.DeepEqual(got, head) {
			t.Fatalf("%+v was read as %+v, %v", head, got, err)
		}
	})
}

func TestAHeadThatDoesNotSayWhichLogItIsIsRefused(t *testing.T) {
	const log = "3f2a91c0-0102-0304-0506-0708090a0b0c"
	for _, h := range []wire.LogHead{
		{Log: "user", Position: 7},
		{Log: "user", Position: -1, Lineage: []wire.Fork{{log, 1}}},
		{Log: "user", Lineage: []wire.Fork{{log, 0}}},
		{Log: "user", Lineage: []wire.Fork{{log, 1}, {log, 1}}},
		{Log: "user", Lineage: []wire.Fork{{log[1:], 1}}},
	} {
		if head, err := h.Head(); err == nil {
			t.Errorf("%+v was read as %+v", h, head)
		}
	}
}

// FuzzPublished: whatever a feed says, it is read as an event that would be published the
// same way, or refused.
func FuzzPublished(f *testing.F) {
	f.Add("UserCreated", "user-7", []byte(`{"id":7,"firstName":"A","lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00"}`))
	f.Add("UserErased", "user-7", []byte(`{"id":7,"firstName":null,"lastName":null,"createdAt":1}`))
	f.Add("FriendRemoved", "friend-1:2", []byte(`{"id":4,"userId":2,"friendId":1}`))
	f.Fuzz(func(t *testing.T, kind, stream string, data []byte) {
		published := wire.Event{Position: 1, ID: "3f2a91c0-0102-0304-0506-0708090a0b0c:1", Type: kind, Stream: stream, Data: data}
		e, _, err := published.Recorded()
		if err != nil {
			return
		}
		if event, id, err := wire.DecodeUser(&e); err == nil {
			e.Data = wire.AppendUserData(nil, id, event, e.Time)
			if again, of, err := wire.DecodeUser(&e); err != nil || of != id || reflect.TypeOf(again) != reflect.TypeOf(event) {
				t.Fatalf("%s became %s, %v", data, e.Data, err)
			}
		}
		if event, err := wire.DecodeFriend(&e); err == nil {
			e.Data = wire.AppendFriendData(nil, event, 3)
			if again, err := wire.DecodeFriend(&e); err != nil || reflect.TypeOf(again) != reflect.TypeOf(event) {
				t.Fatalf("%s became %s, %v", data, e.Data, err)
			}
		}
	})
}
