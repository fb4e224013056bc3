package friend

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// TestStoredEvents pins what is on disk: once released, it is decoded for ever.
func TestStoredEvents(t *testing.T) {
	for _, c := range []struct {
		event      Event
		kind, data string
		number     int64
	}{
		{Added{By: 1, To: 2}, "FriendAdded", `{"by":1,"to":2}`, eventstore.NextNumber},
		{Added{By: 9223372036854775807, To: 1}, "FriendAdded", `{"by":9223372036854775807,"to":1}`, eventstore.NextNumber},
		{Removed{By: 2, To: 1, Row: 7}, "FriendRemoved", `{"by":2,"to":1,"row":7}`, eventstore.NoNumber},
	} {
		stored, err := Encode(c.event)
		want := eventstore.NewEvent{Type: c.kind, Data: []byte(c.data), Number: c.number}
		if diff := cmp.Diff(want, stored); diff != "" || err != nil {
			t.Errorf("%+v: %s %v", c.event, diff, err)
		}
		decoded, err := Decode(eventstore.Event{Type: c.kind, Data: []byte(c.data)})
		if decoded != c.event || err != nil {
			t.Errorf("%s %s decodes to %+v, %v", c.kind, c.data, decoded, err)
		}
	}
}

func TestWhatCanNotBeDecoded(t *testing.T) {
	for _, c := range []struct{ kind, data string }{
		{"FriendAdded", ``},
		{"FriendAdded", `{"by":1}`},
		{"FriendAdded", `{"by":1,"to":1}`},
		{"FriendAdded", `{"by":-1,"to":1}`},
		{"FriendAdded", `{"by":"1","to":2}`},
		{"FriendRemoved", `[]`},
	} {
		if got, err := Decode(eventstore.Event{Type: c.kind, Data: []byte(c.data)}); err == nil {
			t.Errorf("%s %s decodes to %+v", c.kind, c.data, got)
		}
	}
	if _, err := Decode(eventstore.Event{Type: "UserCreated", Data: []byte("{}")}); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign event: %v", err)
	}
	if _, err := Encode(nil); !errors.Is(err, ErrForeign) {
		t.Errorf("no event: %v", err)
	}
}

func TestAPairHasOneStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64Min(1).Draw(t, "a"), rapid.Int64Min(1).Draw(t, "b")
		if Stream(a, b) != Stream(b, a) {
			t.Fatalf("%v and %v", Stream(a, b), Stream(b, a))
		}
		parsed, err := eventstore.ParseStream(Stream(a, b).String())
		if err != nil || parsed != Stream(a, b) {
			t.Fatalf("%v, %v", parsed, err)
		}
	})
	if got := Stream(12, 3).String(); got != "friend-3:12" {
		t.Fatalf("got %s", got)
	}
}

func TestRejectionsComeBackAsTheyWere(t *testing.T) {
	for _, want := range []error{ErrExists, ErrNotFriends, &UnknownUsersError{Missing: []int64{3, 4}}} {
		data, keep := encodeRejection(want)
		if got := decodeRejection(data); !keep || got.Error() != want.Error() {
			t.Errorf("%v came back as %v", want, got)
		}
	}
	for _, not := range []error{ErrSelf, errors.New("disk"), eventstore.ErrBusy} {
		if _, keep := encodeRejection(not); keep {
			t.Errorf("%v was kept as an answer", not)
		}
	}
	for _, data := range []string{"", "{}", `{"refusal":"new"}`} {
		if err := decodeRejection([]byte(data)); err == nil {
			t.Errorf("%q was decoded", data)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("FriendAdded", []byte(`{"by":1,"to":2}`))
	f.Add("FriendRemoved", []byte(`{"by":1,"to":2,"row":3}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		event, err := Decode(eventstore.Event{Type: kind, Data: data})
		if err != nil {
			return
		}
		stored, err := Encode(event)
		if err != nil || stored.Type != kind {
			t.Fatalf("%+v is stored as %+v, %v", event, stored, err)
		}
		again, err := Decode(eventstore.Event{Type: stored.Type, Data: stored.Data})
		if err != nil || again != event {
			t.Fatalf("%+v comes back as %+v, %v", event, again, err)
		}
	})
}
