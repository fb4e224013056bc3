package postgres

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// binaryRow is a row of events as Postgres sends it.
func binaryRow(r eventstore.Record) [][]byte {
	number := func(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
	e := r.Event
	var meta []byte
	if r.Meta != "" {
		meta = []byte(r.Meta)
	}
	return [][]byte{
		number(int64(e.Position)), []byte(r.Name), number(int64(e.Version)), number(int64(r.Previous)), number(e.Number), []byte(e.Type),
		number(e.Time.UnixMicro() - epoch), number(int64(eventstore.NewChecker().Sum(r))), bytes.Clone(e.Data), meta, bytes.Clone(r.Key), bytes.Clone(r.Fingerprint),
	}
}

// rich is an event with everything.
func rich() eventstore.Record {
	return eventstore.Record{
		Event: &eventstore.Event{
			Stream: on("Ž:1-2"), Version: 3, Position: 9, Number: 1 << 40, Type: "Happened",
			Time: time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), // before the epoch of Postgres
			Data: []byte("\x00{}\xff"), Meta: eventstore.Metadata{"a": "Ω", "": "\n"},
		},
		Name: "thing-Ž:1-2", Meta: `{"":"\n","a":"Ω"}`, Previous: 4, Key: bytes.Repeat([]byte{7}, 16), Fingerprint: bytes.Repeat([]byte{8}, 8),
	}
}

func newDecoder() *decoder {
	return &decoder{check: eventstore.NewChecker(), types: map[string]string{}}
}

func TestARowIsDecodedToTheLastColumn(t *testing.T) {
	plain := rich()
	plain.Meta, plain.Key, plain.Fingerprint, plain.Previous = "", nil, nil, 0
	plain.Event = &eventstore.Event{
		Stream: on("1"), Version: 1, Position: 1, Type: "Happened", Data: []byte{}, Time: time.UnixMicro(0).UTC(),
	}
	plain.Name = "thing-1"
	d := newDecoder()
	for _, want := range []eventstore.Record{rich(), plain, rich()} {
		row := binaryRow(want)
		var got stored
		if err := d.decode(row, &got); err != nil {
			t.Fatal(err)
		}
		for _, column := range row { // the row's memory is used again for the next
			clear(column)
		}
		if diff := cmp.Diff(*want.Event, got.event); diff != "" || got.previous != want.Previous {
			t.Errorf("%s, previous %d", diff, got.previous)
		}
	}
	if len(d.types) != 1 {
		t.Errorf("%d names of types are kept", len(d.types))
	}
}

// TestNoColumnChangesUnnoticed flips each bit of each column, and drops it.
func TestNoColumnChangesUnnoticed(t *testing.T) {
	flips := 0
	for column := range binaryRow(rich()) {
		for bit := range 8 * len(binaryRow(rich())[column]) {
			row := binaryRow(rich())
			row[column] = bytes.Clone(row[column])
			row[column][bit/8] ^= 1 << (bit % 8)
			var r stored
			switch err := newDecoder().decode(row, &r); {
			case column == 7 && bit < 32: // the upper half of the checksum's column: it holds 32 bits
			case err == nil:
				t.Errorf("column %d with bit %d flipped is taken for the event that was written", column+1, bit)
			default:
				flips++
			}
		}
		row := binaryRow(rich())
		row[column] = nil
		var r stored
		if err := newDecoder().decode(row, &r); err == nil {
			t.Errorf("without column %d it is taken for the event that was written", column+1)
		}
	}
	if flips < 500 {
		t.Errorf("only %d flips were tried", flips)
	}
}

// FuzzDecode: whatever a row holds, it is decoded or refused; what is decoded is what the
// checksum covers.
func FuzzDecode(f *testing.F) {
	join := func(row [][]byte) []byte { return bytes.Join(row, []byte("|")) }
	f.Add(join(binaryRow(rich())))
	f.Add([]byte(strings.Repeat("12345678|", 12)))
	f.Fuzz(func(t *testing.T, data []byte) {
		row := bytes.SplitN(data, []byte("|"), 12)
		for len(row) < 12 {
			row = append(row, nil)
		}
		var r stored
		if err := newDecoder().decode(row, &r); err != nil {
			return
		}
		again := eventstore.Record{
			Event: &r.event, Name: r.event.Stream.String(), Meta: string(row[9]), Previous: r.previous, Key: row[10], Fingerprint: row[11],
		}
		if sum := eventstore.NewChecker().Sum(again); sum != uint32(integer(row[7])) {
			t.Fatalf("a row with checksum %x was decoded to an event with %x", row[7], sum)
		}
	})
}
