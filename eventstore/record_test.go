package eventstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// recorded returns a record with something in each of its fields.
func recorded() Record {
	return Record{
		Event: &Event{
			Stream: Stream{Category: "friend", ID: "1:2"}, Version: 2, Position: 77, Number: 5, Type: "FriendAdded",
			Time: time.UnixMicro(1_700_000_000_000_001).UTC(), Data: []byte(`{"by":1,"to":2}`),
		},
		Name: "friend-1:2", Meta: `{"a":"b"}`, Previous: 7, Key: bytes.Repeat([]byte{1}, 16), Fingerprint: bytes.Repeat([]byte{2}, 8),
	}
}

// TestARecordIsTheSameBytesForEver: whoever changes the layout makes every log that there
// is look damaged. The numbers are of docs/format/sqlite.md, computed once.
func TestARecordIsTheSameBytesForEver(t *testing.T) {
	s := NewSummer()
	sum := s.Sum(recorded())
	const record = "4d00000000000000" + "0200000000000000" + "0700000000000000" + "0500000000000000" + "01401e18240a0600" +
		"0a" + "667269656e642d313a32" + "0b" + "467269656e644164646564" + "0f" + "7b226279223a312c22746f223a327d" +
		"09" + "7b2261223a2262227d" + "10" + "01010101010101010101010101010101" + "08" + "0202020202020202"
	if got := hex.EncodeToString(s.buf); got != record {
		t.Errorf("the record is\n%s, was\n%s", got, record)
	}
	first := s.Chain([32]byte{}, 77)
	s.Sum(recorded())
	second := s.Chain(first, 78)
	got := fmt.Sprintf("%08x %x %x", sum, first[:8], second[:8])
	if want := "f5227f8a 3d51ad78806bda0c f1cb8043d90c1bed"; got != want {
		t.Errorf("checksum and chain are %s, were %s", got, want)
	}
	if NewChecker().Sum(recorded()) != sum {
		t.Error("who checks alone computes another checksum")
	}
}

// TestNothingOfARecordChangesUnnoticed: neither a field, nor where one ends and the next
// begins, nor the order of events in a commit, nor the commit before.
func TestNothingOfARecordChangesUnnoticed(t *testing.T) {
	want := NewChecker().Sum(recorded())
	for what, change := range map[string]func(*Record){
		"position":    func(r *Record) { r.Event.Position++ },
		"version":     func(r *Record) { r.Event.Version++ },
		"previous":    func(r *Record) { r.Previous++ },
		"number":      func(r *Record) { r.Event.Number++ },
		"time":        func(r *Record) { r.Event.Time = r.Event.Time.Add(time.Microsecond) },
		"stream":      func(r *Record) { r.Name = "friend-1:3" },
		"type":        func(r *Record) { r.Event.Type = "FriendRemoved" },
		"data":        func(r *Record) { r.Event.Data = []byte(`{"by":1,"to":3}`) },
		"meta":        func(r *Record) { r.Meta = "" },
		"key":         func(r *Record) { r.Key = nil },
		"fingerprint": func(r *Record) { r.Fingerprint = r.Fingerprint[:7] },
		"a border":    func(r *Record) { r.Name, r.Event.Type = r.Name+"F", r.Event.Type[1:] },
	} {
		r := recorded()
		change(&r)
		if NewChecker().Sum(r) == want {
			t.Errorf("another %s has the same checksum", what)
		}
	}
	chain := func(previous byte, first Position, positions ...Position) [32]byte {
		s := NewSummer()
		for _, p := range positions {
			r := recorded()
			r.Event.Position = p
			s.Sum(r)
		}
		return s.Chain([32]byte{previous}, first)
	}
	seen := map[[32]byte]string{}
	for what, hash := range map[string][32]byte{
		"two events": chain(0, 1, 1, 2), "in the other order": chain(0, 1, 2, 1), "one": chain(0, 1, 1), "twice": chain(0, 1, 1, 1),
		"after another commit": chain(1, 1, 1, 2), "elsewhere": chain(0, 2, 1, 2), "none": chain(0, 1),
	} {
		if other, taken := seen[hash]; taken {
			t.Errorf("%s and %s have one hash", what, other)
		}
		seen[hash] = what
	}
	s := NewSummer()
	s.Sum(recorded())
	s.Forget()
	r := recorded()
	r.Event.Position = 1
	s.Sum(r)
	if s.Chain([32]byte{}, 1) != chain(0, 1, 1) {
		t.Error("a commit that was given up is in the next one")
	}
}

// TestAComparisonInPagesFindsWhatBruteForceFinds compares random tables in pages of a
// few rows.
func TestAComparisonInPagesFindsWhatBruteForceFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(1, 4).Draw(rt, "page")
		rows := rapid.MapOfN(rapid.Int64Range(-3, 12), rapid.Int64Range(0, 1), 0, 12)
		blue, green := rows.Draw(rt, "blue"), rows.Draw(rt, "green")
		page := func(table map[int64]int64, after int64) (list [][]Value) {
			for id := int64(-3); id <= 12 && len(list) < size; id++ {
				if value, there := table[id]; there && id > after {
					list = append(list, []Value{Int(id), Int(value)})
				}
			}
			return list
		}
		c := NewComparison(size)
		for after := int64(-1 << 62); after < 1<<62; {
			next := c.Page(page(blue, after), page(green, after))
			if next <= after {
				rt.Fatalf("after %d comes %d", after, next)
			}
			after = next
		}
		differ, content := int64(0), NewContent()
		for id := int64(-3); id <= 12; id++ {
			b, inBlue := blue[id]
			g, inGreen := green[id]
			if inBlue != inGreen || b != g {
				differ++
			}
			if inGreen {
				content.Add([]Value{Int(id), Int(g)})
			}
		}
		want := RebuiltTable{Name: "a", Rows: content.Rows(), Differ: differ, Hash: content.Sum()}
		if got := c.Result("a"); got != want {
			rt.Fatalf("found %+v, there is %+v", got, want)
		}
	})
}
