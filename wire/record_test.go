package wire_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/keyring"
	"ensemble/user"
	"ensemble/wire"
)

// testKeys returns keys on the disk, and one of them.
func testKeys(t testing.TB) (*keyring.Keyring, int64) {
	t.Helper()
	keys, err := keyring.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	key, err := keys.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return keys, key
}

// The log of the golden files, restored once.
func goldenLineage() eventstore.Lineage {
	return eventstore.Lineage{
		{UUID: [16]byte{0x3f, 0x2a, 0x91, 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, First: 1},
		{UUID: [16]byte{0xb0, 0x0b, 0x1e, 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, First: 8},
	}
}

// storedUser returns an event of a person as it lies in the log.
func storedUser(t testing.TB, keys user.Keys, id int64, p eventstore.Position, e user.Event) eventstore.Event {
	t.Helper()
	stored, err := user.Encode(keys, e)
	if err != nil {
		t.Fatal(err)
	}
	return storedAt(user.Stream(id), p, stored, id)
}

// storedFriend returns an event between two people as it lies in the log.
func storedFriend(t testing.TB, p eventstore.Position, e friend.Event, row int64) eventstore.Event {
	t.Helper()
	stored, err := friend.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	switch e := e.(type) {
	case friend.Added:
		return storedAt(friend.Stream(e.By, e.To), p, stored, row)
	case friend.Removed:
		return storedAt(friend.Stream(e.By, e.To), p, stored, 0)
	}
	panic("there are two kinds")
}

// goldenTime is when the golden events were recorded.
func goldenTime() time.Time { return time.Date(2022, 11, 26, 15, 45, 31, 123_999_000, time.UTC) }

func storedAt(s eventstore.Stream, p eventstore.Position, e eventstore.NewEvent, number int64) eventstore.Event {
	r := eventstore.Event{Stream: s, Position: p, Type: e.Type, Data: e.Data, Time: goldenTime()}
	if e.Number != eventstore.NoNumber {
		r.Number = number
	}
	return r
}

// written is a record as the golden files show it.
func written(r *broker.Record) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "key    %s\nvalue  %s\ntime   %s\n", r.Key, r.Value, r.Time.UTC().Format(time.RFC3339Nano))
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "header %s = %s\n", h.Key, h.Value)
	}
	return b.Bytes()
}

// TestRecordsToTheByte: what a consumer of the Spring system has read since the first
// release, it can read for ever.
func TestRecordsToTheByte(t *testing.T) {
	keys, key := testKeys(t)
	gone, err := keys.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	erased := storedUser(t, keys, 9, 6, user.Created{FirstName: "Gone", LastName: "Soon", Key: gone})
	if err := keys.Destroy(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	began := goldenTime().Add(-time.Hour)
	lineage := goldenLineage()
	users := wire.UserRecords(keys)
	traced := storedFriend(t, 5, friend.Added{By: 2, To: 1}, 7)
	traced.Meta = eventstore.Metadata{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "other": "not sent"}
	for _, c := range []struct {
		file    string
		event   eventstore.Event
		write   func(*eventstore.Event, eventstore.Lineage) (broker.Record, error)
		lineage eventstore.Lineage
	}{
		{"user-created", storedUser(t, keys, 7, 1, user.Created{FirstName: "Ada \"\n", LastName: "Löve<>&", Key: key}), users, lineage[:1]},
		{"user-renamed", storedUser(t, keys, 7, 2, user.Renamed{FirstName: "Ada", LastName: "", Key: key, CreatedAt: began}), users, lineage[:1]},
		{"user-erased", storedUser(t, keys, 7, 3, user.Erased{Key: key, CreatedAt: began}), users, lineage[:1]},
		{"user-mute", erased, users, lineage[:1]},
		{"user-restored", storedUser(t, keys, 8, 9, user.Created{FirstName: "B", LastName: "C", Key: key}), users, lineage},
		{"friend-added", storedFriend(t, 4, friend.Added{By: 9, To: 10}, 6), wire.FriendRecords(), lineage[:1]},
		{"friend-traced", traced, wire.FriendRecords(), lineage[:1]},
		{"friend-removed", storedFriend(t, 6, friend.Removed{By: 2, To: 1, Row: 7}, 0), wire.FriendRecords(), lineage[:1]},
	} {
		t.Run(c.file, func(t *testing.T) {
			record, err := c.write(&c.event, c.lineage)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "records", c.file+".txt")
			if os.Getenv("ENSEMBLE_GOLDEN") != "" {
				if err := os.WriteFile(path, written(&record), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := written(&record); !bytes.Equal(got, want) {
				t.Errorf("the record is\n%s\nnot\n%s", got, want)
			}
			o, ours, err := broker.OriginOf(&record)
			if err != nil || !ours || o.Position != c.event.Position || o.Lineage.At(o.Position) != lineage.At(o.Position) {
				t.Errorf("it is taken for %+v, %v, %v", o, ours, err)
			}
		})
	}
}

// TestAPairImportedInBothDirectionsIsPublishedOnceInEach, added and removed.
func TestAPairImportedInBothDirectionsIsPublishedOnceInEach(t *testing.T) {
	var got []string
	for i, e := range []friend.Event{
		friend.Added{By: 1, To: 2}, friend.Added{By: 2, To: 1}, friend.Removed{By: 1, To: 2, Row: 5}, friend.Removed{By: 2, To: 1, Row: 6},
	} {
		event := storedFriend(t, eventstore.Position(i+1), e, int64(5+i))
		r, err := wire.FriendRecords()(&event, goldenLineage())
		if err != nil {
			t.Fatal(err)
		}
		c, err := wire.ReadFriend(&r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d %d>%d removed %v", r.Key, c.Row, c.By, c.To, c.Removed))
	}
	want := "1:2 5 1>2 removed false, 1:2 6 2>1 removed false, 1:2 5 1>2 removed true, 1:2 6 2>1 removed true"
	if strings.Join(got, ", ") != want {
		t.Errorf("published are %q", got)
	}
}

// TestTheNumberOfAnEventIsTheSameWheneverItIsSent, and another for each event.
func TestTheNumberOfAnEventIsTheSameWheneverItIsSent(t *testing.T) {
	keys, key := testKeys(t)
	numbers := map[string]eventstore.Position{}
	for p := eventstore.Position(1); p <= 300; p++ {
		e := storedUser(t, keys, 7, p, user.Created{FirstName: "A", LastName: "B", Key: key})
		r, err := wire.UserRecords(keys)(&e, goldenLineage())
		if err != nil {
			t.Fatal(err)
		}
		number, _, _ := strings.Cut(string(r.Value), ",")
		if before := numbers[number]; before != 0 {
			t.Fatalf("events %d and %d are both %s", before, p, number)
		}
		numbers[number] = p
		again, err := wire.UserRecords(keys)(&e, goldenLineage())
		if err != nil || !bytes.Equal(again.Value, r.Value) {
			t.Fatalf("sent again it is %s, not %s", again.Value, r.Value)
		}
	}
}

// TestWhatIsPublishedIsReadAsWhatHappened, times cut to milliseconds.
func TestWhatIsPublishedIsReadAsWhatHappened(t *testing.T) {
	keys, key := testKeys(t)
	began := goldenTime().Add(-time.Hour)
	for _, c := range []struct {
		event user.Event
		want  string
	}{
		{user.Created{FirstName: "A", LastName: "B", Key: key}, `UserCreated {"id":7,"firstName":"A","lastName":"B","createdAt":"2022-11-26T15:45:31.123+00:00"} 31.123`},
		{user.Renamed{FirstName: "A", LastName: "", Key: key, CreatedAt: began}, `UserRenamed {"id":7,"firstName":"A","lastName":"","createdAt":"2022-11-26T14:45:31.123+00:00"} 31.123`},
		{user.Erased{Key: key, CreatedAt: began}, `UserErased {"id":7,"firstName":null,"lastName":null,"createdAt":"2022-11-26T14:45:31.123+00:00"} 31.123`},
	} {
		e := storedUser(t, keys, 7, 3, c.event)
		r, err := wire.UserRecords(keys)(&e, goldenLineage())
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.ReadUserRecord(&r)
		if err != nil || len(m.Events) != 1 || m.About != "7" {
			t.Fatalf("%+v, %v", m, err)
		}
		if got := m.Events[0]; got.Type+" "+string(got.Data)+" "+got.Time.Format("05.000") != c.want || got.Stream != e.Stream {
			t.Errorf("%T is read as %s %s of %s at %s", c.event, got.Type, got.Data, got.Stream, got.Time)
		}
	}
}

// TestWhatIsNoEventIsNotPublished: the relay has to stop there, loudly.
func TestWhatIsNoEventIsNotPublished(t *testing.T) {
	keys, key := testKeys(t)
	person := storedUser(t, keys, 7, 1, user.Created{FirstName: "A", Key: key})
	pair := storedFriend(t, 1, friend.Added{By: 1, To: 2}, 1)
	unknown := person
	unknown.Type = "UserPromoted"
	damaged := person
	damaged.Data = []byte(`{"key":1,"sealed":"AAAA"}`)
	for sentence, e := range map[string]eventstore.Event{"a pair": pair, "an unknown type": unknown, "damaged": damaged} {
		if r, err := wire.UserRecords(keys)(&e, goldenLineage()); err == nil {
			t.Errorf("%s is published as %s", sentence, r.Value)
		}
	}
	if r, err := wire.FriendRecords()(&person, goldenLineage()); err == nil {
		t.Errorf("a person is published as %s", r.Value)
	}
}
