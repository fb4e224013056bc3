package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/user"
)

func TestParseStream(t *testing.T) {
	for text, want := range map[string]string{
		"user-7":                   "user-7",
		"user-9223372036854775807": "user-9223372036854775807",
		"friend-1:2":               "friend-1:2",
		"friend-2:1":               "friend-1:2",
		"friend-10:9":              "friend-9:10",
	} {
		if got, err := parseStream(text); err != nil || got.String() != want {
			t.Errorf("%s is read as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "-", "user", "user-", "user-0", "user--1", "user-x", "user-9223372036854775808", "user-1:2",
		"friend", "friend-1", "friend-1:", "friend-:1", "friend-1:1", "friend-0:1", "friend-1:2:3", "thing-1", "7",
	} {
		if got, err := parseStream(text); err == nil || !strings.Contains(err.Error(), "a person is user-7, a pair is friend-1:2") {
			t.Errorf("%q is read as %s, %v", text, got, err)
		}
	}
}

// person returns the events of somebody who was created, renamed and erased.
func person(t *testing.T, keys user.Keys) []eventstore.Event {
	t.Helper()
	key, err := keys.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var events []eventstore.Event
	for i, what := range []user.Event{
		user.Created{FirstName: "Ada", LastName: "Byron", Key: key},
		user.Renamed{FirstName: "Ada", LastName: "Lovelace", Key: key, CreatedAt: at},
		user.Erased{CreatedAt: at},
	} {
		stored, err := user.Encode(keys, what)
		if err != nil {
			t.Fatal(err)
		}
		e := eventstore.Event{
			Stream: user.Stream(1), Version: eventstore.Version(i + 1), Position: eventstore.Position(i + 1),
			Type: stored.Type, Data: stored.Data, Time: at.Add(time.Duration(i) * time.Hour),
		}
		if i == 0 {
			e.Number = 1
		}
		events = append(events, e)
	}
	return events
}

// printed prints events and returns the lines.
func printed(t *testing.T, p *printer, events []eventstore.Event) []string {
	t.Helper()
	var b strings.Builder
	p.out = &b
	for _, e := range events {
		if err := p.print(e.Stream.Category, [16]byte{0x3f, 0x2a}, e, nil); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

func TestHowEventsArePrinted(t *testing.T) {
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	events := person(t, keys)
	open, mute := &reading{keys: keys}, &reading{keys: noKeys{}, mute: keyring.ErrReadOnly}
	const uuid = "3f2a0000-0000-0000-0000-000000000000"
	for name, c := range map[string]struct {
		printer printer
		want    []string
	}{
		"for people": {printer{from: open}, []string{
			"user 1  2026-01-02 03:04:05.000  user-1 v1  UserCreated  Ada Byron",
			"user 2  2026-01-02 04:04:05.000  user-1 v2  UserRenamed  Ada Lovelace",
			"user 3  2026-01-02 05:04:05.000  user-1 v3  UserErased  (erased)",
		}},
		"on a terminal": {printer{from: open, colour: true}, []string{
			"\x1b[2muser\x1b[0m \x1b[1m1\x1b[0m  \x1b[2m2026-01-02 03:04:05.000\x1b[0m  user-1 v1  \x1b[32mUserCreated\x1b[0m  Ada Byron",
			"\x1b[2muser\x1b[0m \x1b[1m2\x1b[0m  \x1b[2m2026-01-02 04:04:05.000\x1b[0m  user-1 v2  \x1b[33mUserRenamed\x1b[0m  Ada Lovelace",
			"\x1b[2muser\x1b[0m \x1b[1m3\x1b[0m  \x1b[2m2026-01-02 05:04:05.000\x1b[0m  user-1 v3  \x1b[31mUserErased\x1b[0m  (erased)",
		}},
		"for people without keys": {printer{from: mute}, []string{
			"user 1  2026-01-02 03:04:05.000  user-1 v1  UserCreated  (sealed)",
			"user 2  2026-01-02 04:04:05.000  user-1 v2  UserRenamed  (sealed)",
			"user 3  2026-01-02 05:04:05.000  user-1 v3  UserErased  (erased)",
		}},
		"for programs": {printer{from: open, json: true}, []string{
			`{"log":"user","position":1,"id":"` + uuid + `:1","type":"UserCreated","stream":"user-1","version":1,"number":1,"time":"2026-01-02T03:04:05.000+00:00","data":{"firstName":"Ada","lastName":"Byron"}}`,
			`{"log":"user","position":2,"id":"` + uuid + `:2","type":"UserRenamed","stream":"user-1","version":2,"time":"2026-01-02T04:04:05.000+00:00","data":{"firstName":"Ada","lastName":"Lovelace"}}`,
			`{"log":"user","position":3,"id":"` + uuid + `:3","type":"UserErased","stream":"user-1","version":3,"time":"2026-01-02T05:04:05.000+00:00","data":{"firstName":null,"lastName":null}}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, printed(t, &c.printer, events)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
	t.Run("for programs without keys it is what is stored", func(t *testing.T) {
		for i, line := range printed(t, &printer{from: mute, json: true}, events) {
			var got struct{ Data json.RawMessage }
			if err := json.Unmarshal([]byte(line), &got); err != nil || string(got.Data) != string(events[i].Data) {
				t.Fatalf("%s, %v", line, err)
			}
		}
	})
	t.Run("once the key is destroyed the names are null", func(t *testing.T) {
		if err := keys.Destroy(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		for _, line := range printed(t, &printer{from: open, json: true}, events) {
			if !strings.Contains(line, `"data":{"firstName":null,"lastName":null}`) {
				t.Fatal(line)
			}
		}
		if line := printed(t, &printer{from: open}, events)[0]; !strings.HasSuffix(line, "UserCreated  (erased)") {
			t.Fatal(line)
		}
	})
}

func TestTheStateAfterEachEventIsTheDomainsOwn(t *testing.T) {
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	after := func(fold func(eventstore.Event) (any, error), events []eventstore.Event) (states []string) {
		for _, e := range events {
			state, err := fold(e)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(state)
			if err != nil {
				t.Fatal(err)
			}
			states = append(states, string(text))
		}
		return states
	}
	const begun = `"createdAt":"2026-01-02T03:04:05Z"`
	want := []string{
		`{"id":1,"firstName":"Ada","lastName":"Byron",` + begun + `,"lastModified":"2026-01-02T03:04:05Z","erased":false}`,
		`{"id":1,"firstName":"Ada","lastName":"Lovelace",` + begun + `,"lastModified":"2026-01-02T04:04:05Z","erased":false}`,
		`{"id":1,"firstName":null,"lastName":null,` + begun + `,"lastModified":"2026-01-02T05:04:05Z","erased":true}`,
	}
	if diff := cmp.Diff(want, after(userState(keys), person(t, keys))); diff != "" {
		t.Error(diff)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pair := []eventstore.Event{
		{Stream: friend.Stream(1, 2), Type: "FriendAdded", Number: 7, Data: []byte(`{"by":2,"to":1}`), Time: at},
		{Stream: friend.Stream(1, 2), Type: "FriendRemoved", Data: []byte(`{"by":2,"to":1,"row":7}`), Time: at},
	}
	want = []string{
		`{"friends":true,"rows":[{"id":7,"userId":2,"friendId":1,` + begun + `}]}`,
		`{"friends":false,"rows":[]}`,
	}
	if diff := cmp.Diff(want, after(friendState(), pair)); diff != "" {
		t.Error(diff)
	}
	foreign := eventstore.Event{Stream: user.Stream(1), Type: "ThingMade", Data: []byte("{}")}
	if _, err := userState(keys)(foreign); err == nil {
		t.Error("a person is folded from an event of something else")
	}
	if _, err := friendState()(foreign); err == nil {
		t.Error("a pair is folded from an event of something else")
	}
}

// TestTheGraphOfAnyHistoryIsWhatItsRowsSay draws histories with friendships in both
// directions, ended and begun again, people who come late and people who go.
func TestTheGraphOfAnyHistoryIsWhatItsRowsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		check := newGraphCheck()
		apply := func(what string, err error) {
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		row := int64(0)
		open := map[[2]int64]int64{} // rows by who added whom
		id := rapid.Int64Range(1, 6)
		for range rapid.IntRange(0, 40).Draw(t, "friendships") {
			pair := [2]int64{id.Draw(t, "by"), id.Draw(t, "to")}
			if pair[0] == pair[1] {
				continue
			}
			var e friend.Event = friend.Added{By: pair[0], To: pair[1]}
			if open[pair] > 0 {
				e = friend.Removed{By: pair[0], To: pair[1], Row: open[pair]}
				delete(open, pair)
			} else {
				row++
				open[pair] = row
			}
			stored, err := friend.Encode(e)
			apply("encode", err)
			apply("pair", check.pair(eventstore.Event{
				Stream: friend.Stream(pair[0], pair[1]), Type: stored.Type, Number: row, Data: stored.Data,
			}))
		}
		for n := int64(1); n <= 5; n++ { // person 6 never comes
			created := eventstore.Event{Stream: user.Stream(n), Type: "UserCreated", Number: n, Data: []byte("{}")}
			apply("created", check.person(created))
			if rapid.IntRange(0, 3).Draw(t, "erased") == 0 {
				erased := eventstore.Event{Stream: user.Stream(n), Type: "UserErased", Data: []byte(`{"createdAt":1}`)}
				apply("erased", check.person(erased))
			}
		}
		apply("compare", check.compare())
	})
}

func TestNamesThatAreCounted(t *testing.T) {
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	events := person(t, keys)
	count := func(events ...eventstore.Event) (n nameCheck) {
		for _, e := range events {
			if err := n.event(keys, e); err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	if n := count(events[0], events[1]); n.readable != 2 || n.mute != 0 {
		t.Fatalf("with the key: %+v", n)
	}
	if err := keys.Destroy(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if n := count(events...); n.readable != 0 || n.mute != 2 || n.gone[user.Stream(1)] {
		t.Fatalf("erased: %+v", n)
	}
	if n := count(events[:2]...); !n.gone[user.Stream(1)] {
		t.Fatalf("the key is gone, and no erasure in the log: %+v", n)
	}
	broken := events[0]
	broken.Data = []byte(`{"key":1,"sealed":"AAAA"`)
	if err := new(nameCheck).event(keys, broken); err == nil {
		t.Fatal("data that can't be read was counted")
	}
}
