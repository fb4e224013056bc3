package user

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/decider/decidertest"
	"ensemble/eventstore"
)

// TestStoredEvents pins what is on disk: once released, it is decoded for ever.
// The sealed names are base64 of "5|3:AdaByron" here; the real ones are noise.
func TestStoredEvents(t *testing.T) {
	born := decidertest.Epoch()
	for _, c := range []struct {
		event      Event
		kind, data string
		number     int64
	}{
		{
			Created{FirstName: "Ada", LastName: "Byron", Key: 5},
			"UserCreated",
			`{"key":5,"sealed":"NXwzOkFkYUJ5cm9u"}`, eventstore.NextNumber,
		},
		{
			Renamed{FirstName: "Ada", LastName: "Byron", Key: 5, CreatedAt: born},
			"UserRenamed",
			`{"key":5,"sealed":"NXwzOkFkYUJ5cm9u","createdAt":1669477531000000}`, eventstore.NoNumber,
		},
		{Erased{Key: 5, CreatedAt: born}, "UserErased", `{"key":5,"createdAt":1669477531000000}`, eventstore.NoNumber},
	} {
		stored, err := Encode(newPlainKeys(), c.event)
		want := eventstore.NewEvent{Type: c.kind, Data: []byte(c.data), Number: c.number}
		if diff := cmp.Diff(want, stored); diff != "" || err != nil {
			t.Errorf("%+v: %s %v", c.event, diff, err)
		}
		decoded, err := Decode(newPlainKeys(), eventstore.Event{Type: c.kind, Data: []byte(c.data)})
		if diff := cmp.Diff(c.event, decoded); diff != "" || err != nil {
			t.Errorf("%s %s: %s %v", c.kind, c.data, diff, err)
		}
	}
}

func TestNamesComeBackAsTheyWereSent(t *testing.T) {
	keys := newPlainKeys()
	rapid.Check(t, func(t *rapid.T) {
		want := Created{FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"), Key: 7}
		stored, err := Encode(keys, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(keys, eventstore.Event{Type: stored.Type, Data: stored.Data})
		if err != nil || got != want {
			t.Fatalf("%+v came back as %+v, %v", want, got, err)
		}
	})
}

func TestNamesOfADestroyedKeyAreEmpty(t *testing.T) {
	keys := newPlainKeys()
	stored, err := Encode(keys, Created{FirstName: "Ada", LastName: "Byron", Key: 5})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Destroy(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(keys, eventstore.Event{Type: stored.Type, Data: stored.Data})
	if err != nil || got != (Created{Key: 5}) {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := Encode(keys, Created{FirstName: "Eve", Key: 5}); !errors.Is(err, ErrKeyDestroyed) {
		t.Fatalf("sealing with a destroyed key: %v", err)
	}
}

func TestWhatCanNotBeDecoded(t *testing.T) {
	for _, c := range []struct{ kind, data string }{
		{"UserCreated", ``},
		{"UserCreated", `{"key":5,"sealed":"NHwzOkFkYUJ5cm9u"}`}, // sealed with key 4
		{"UserCreated", `{"key":5,"sealed":"not base64"}`},
		{"UserCreated", `{"key":5,"sealed":"NXxBZGE="}`}, // 5|Ada: no length
		{"UserRenamed", `{"key":5,"sealed":"NXw5OkFkYQ=="}`},
		{"UserErased", `[]`},
	} {
		if got, err := Decode(newPlainKeys(), eventstore.Event{Type: c.kind, Data: []byte(c.data)}); err == nil {
			t.Errorf("%s %s decodes to %+v", c.kind, c.data, got)
		}
	}
	if _, err := Decode(newPlainKeys(), eventstore.Event{Type: "FriendAdded"}); !errors.Is(err, ErrForeign) {
		t.Errorf("a foreign event: %v", err)
	}
	if _, err := Encode(newPlainKeys(), nil); !errors.Is(err, ErrForeign) {
		t.Errorf("no event: %v", err)
	}
}

func TestPersonOfIsTheInverseOfStream(t *testing.T) {
	for _, id := range []int64{1, 42, 9223372036854775807} {
		if got, err := PersonOf(Stream(id)); got != id || err != nil {
			t.Errorf("%d comes back as %d, %v", id, got, err)
		}
	}
	for _, s := range []eventstore.Stream{{Category: "user", ID: "0"}, {Category: "user", ID: "x"}, {Category: "friend", ID: "1"}} {
		if _, err := PersonOf(s); !errors.Is(err, ErrForeign) {
			t.Errorf("%v: %v", s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("UserCreated", []byte(`{"key":5,"sealed":"NXwzOkFkYUJ5cm9u"}`))
	f.Add("UserRenamed", []byte(`{"key":5,"sealed":"NXwzOkFkYUJ5cm9u","createdAt":1}`))
	f.Add("UserErased", []byte(`{"createdAt":1669477531000000}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		keys := newPlainKeys()
		event, err := Decode(keys, eventstore.Event{Type: kind, Data: data, Time: time.Unix(0, 0)})
		if err != nil {
			return
		}
		stored, err := Encode(keys, event)
		if err != nil {
			t.Fatalf("%+v can't be stored: %v", event, err)
		}
		if again, err := Decode(keys, eventstore.Event{Type: stored.Type, Data: stored.Data}); err != nil || stored.Type != kind {
			t.Fatalf("%+v comes back as %+v, %v", event, again, err)
		}
	})
}

// TestNamesThatAreKeptElsewhereAreSealedAsInTheLog: another key opens nothing, and a key
// that was destroyed opens nothing any more.
func TestNamesThatAreKeptElsewhereAreSealedAsInTheLog(t *testing.T) {
	keys := newPlainKeys()
	rapid.Check(t, func(t *rapid.T) {
		want := User{ID: 3, FirstName: rapid.String().Draw(t, "first"), LastName: rapid.String().Draw(t, "last"), Key: 7}
		sealed, err := SealNames(keys, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenNames(keys, User{ID: 3, Key: 7}, sealed)
		if err != nil || got != want {
			t.Fatalf("%+v came back as %+v, %v", want, got, err)
		}
		if got, err := OpenNames(keys, User{ID: 3, Key: 8}, sealed); err == nil {
			t.Fatalf("another key opens %+v", got)
		}
	})
	sealed, err := SealNames(keys, User{FirstName: "Ada", Key: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := keys.Destroy(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	if _, err := SealNames(keys, User{FirstName: "Ada", Key: 9}); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("a destroyed key seals: %v", err)
	}
	if got, err := OpenNames(keys, User{Key: 9}, sealed); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("a destroyed key opens %+v, %v", got, err)
	}
}
