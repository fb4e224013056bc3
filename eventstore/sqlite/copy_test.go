package sqlite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/eventstore"
)

// odd returns a write with everything that a column may hold.
func odd(rnd *rand.Rand, i int) eventstore.Write {
	data := [][]byte{
		nil, []byte("{}"), []byte(`{"name":"Žofie 李 \u0000"}`), bytes.Repeat([]byte("x"), eventstore.MaxData), []byte(`"'--;"`),
	}[rnd.IntN(5)]
	meta := []eventstore.Metadata{
		nil, {"traceparent": "00-1"}, {"a": "", "b": "ü", "c": strings.Repeat("y", 1000)},
	}[rnd.IntN(3)]
	w := eventstore.Write{
		Stream: eventstore.Stream{Category: "odd", ID: []string{"1", "a:b", "Ž", strings.Repeat("z", 255)}[rnd.IntN(4)]}, Expected: eventstore.Any,
		Events: []eventstore.NewEvent{
			{Type: "OddSeen", Data: data, Meta: meta},
			{Type: "OddCounted", Data: []byte("[]"), Number: eventstore.NextNumber},
		},
	}
	if rnd.IntN(2) == 0 {
		w.Key = &eventstore.Key{Hash: [16]byte{9, byte(i), byte(i >> 8)}, Fingerprint: [8]byte{byte(i)}}
	}
	return w
}

func TestACopyHoldsEveryColumnAsItWas(t *testing.T) {
	w := newWorld(t, Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	var keys [][16]byte
	for i := range 60 {
		write := odd(rnd, i)
		if write.Key != nil {
			keys = append(keys, write.Key.Hash)
		}
		if results, err := w.log.Commit(t.Context(), []eventstore.Write{write}); err != nil || results[0].Err != nil {
			t.Fatalf("%v, %+v", err, results)
		}
	}
	r := restored(t, w.backup(), Options{})
	if diff := cmp.Diff(w.all(), r.all()); diff != "" {
		t.Fatal(diff)
	}
	for _, key := range keys {
		want, _, err := w.log.Outcome(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, found, err := r.log.Outcome(t.Context(), key)
		if diff := cmp.Diff(want, got); err != nil || !found || diff != "" {
			t.Fatalf("%v, %v, %s", found, err, diff)
		}
	}
	if w.log.head.chain != r.log.head.chain {
		t.Fatal("the chain ends in another hash")
	}
	if w.log.index.numbers["odd"] != 60 || r.log.index.numbers["odd"] != 60 {
		t.Fatalf("the counter is at %d", r.log.index.numbers["odd"])
	}
}

func TestACopyEndsWhereItsHeadWasHoweverTheLogGoesOn(t *testing.T) {
	w := newWorld(t, Options{})
	for _, end := range []eventstore.Position{1, 7, 8, 20} {
		for w.log.head.position < end {
			w.commit(1)
		}
		head, err := w.log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		w.commit(3) // behind the head, before the copy
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := w.log.copyTo(t.Context(), path, head, noProgress); err != nil {
			t.Fatal(err)
		}
		if err := verifyCopy(t.Context(), path, head.Position, noProgress); err != nil {
			t.Fatalf("up to %d: %v", head.Position, err)
		}
		if err := verifyCopy(t.Context(), path, head.Position+1, noProgress); err == nil {
			t.Fatal("a copy that ends too early was found whole")
		}
		if err := w.log.copyTo(t.Context(), path, head, noProgress); err == nil {
			t.Fatal("a copy overwrote another")
		}
	}
}

func TestFindStreamFindsWhatReadStreamReads(t *testing.T) {
	w := newWorld(t, Options{})
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 80 {
		write := odd(rnd, i)
		write.Key = nil
		if _, err := w.log.Commit(t.Context(), []eventstore.Write{write, thing()}); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := Open(t.Context(), w.path, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	streams := map[eventstore.Stream]bool{{Category: "odd", ID: "none"}: true, {Category: "od", ID: "d-1"}: true}
	for _, e := range w.all() {
		streams[e.Stream] = true
	}
	for stream := range streams {
		want, err := w.log.ReadStream(t.Context(), stream, 0, eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		got, err := reader.FindStream(t.Context(), stream, noProgress)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%s: %v %s", stream, err, diff)
		}
	}
}

// TestVerifyFindsAnyChangeOfAnyColumn changes each column of an event that is far from
// the tail, and each of the tables beside it.
func TestVerifyFindsAnyChangeOfAnyColumn(t *testing.T) {
	w := newWorld(t, Options{})
	w.many(1500)
	for _, c := range []struct {
		change, back string
		at           eventstore.Position
	}{
		{"stream = 'thing-x'", "stream = 'thing-100'", 100},
		{"version = 2", "version = 1", 100},
		{"previous = 7", "previous = 0", 100},
		{"number = 101", "number = 100", 100},
		{"type = 'ThingLost'", "type = 'ThingMade'", 100},
		{"time = time + 1", "time = time - 1", 100},
		{"crc = crc + 1", "crc = crc - 1", 100},
		{"data = data || ' '", "data = trim(data)", 100},
		{"meta = '{}'", "meta = NULL", 100},
		{"key = x'00'", "key = NULL", 100},
		{"position = 9999", "position = 100", 100},
	} {
		t.Run(c.change, func(t *testing.T) {
			w.sql("UPDATE events SET " + c.change + " WHERE position = 100")
			_, err := w.log.Verify(t.Context(), noProgress)
			if damage, ok := errors.AsType[*eventstore.DamageError](err); !ok || damage.Position != c.at {
				t.Fatalf("it says %v", err)
			}
			_, err = Backup(t.Context(), filepath.Join(t.TempDir(), "b"), "a test", []*Log{w.log}, quiet)
			if _, ok := errors.AsType[*eventstore.DamageError](err); !ok {
				t.Fatalf("it was backed up: %v", err)
			}
			w.sql("UPDATE events SET " + c.back + " WHERE position IN (100, 9999)")
			if _, err := w.log.Verify(t.Context(), noProgress); err != nil {
				t.Fatalf("put back: %v", err)
			}
		})
	}
}

func TestARestoredFileIsReadBeforeItIsFirstWritten(t *testing.T) {
	w := mixed(t, Options{})
	file := w.backup()
	dir := t.TempDir()
	if _, err := Restore(t.Context(), file, dir, quiet); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "test.db")
	for _, readOnly := range []bool{true, false, true} { // the second one makes it a file with a write-ahead log
		log, err := Open(t.Context(), path, Options{ReadOnly: readOnly})
		if err != nil {
			t.Fatal(err)
		}
		page, err := log.ReadAll(t.Context(), 0, 100)
		if err := errors.Join(err, log.Close()); err != nil || len(page) != 7 {
			t.Fatalf("%d events, %v", len(page), err)
		}
	}
}

// TestTheManifestIsWrittenLikeThis pins the format: what is released can be restored
// for ever.
func TestTheManifestIsWrittenLikeThis(t *testing.T) {
	m := Manifest{
		Format: 1, Made: time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC), By: "ensemble v1",
		Logs: []BackedLog{{
			Name: "user", Position: 45, Time: time.Date(2026, 11, 24, 19, 59, 58, 7e8, time.UTC),
			Lineage: []BackedFork{{UUID: "91c0", First: 1}, {UUID: "3f2a", First: 40}},
		}},
	}
	const want = `{"format":1,"made":"2026-11-24T20:00:00Z","by":"ensemble v1","logs":[{"name":"user","position":45,` +
		`"time":"2026-11-24T19:59:58.7Z","lineage":[{"uuid":"91c0","first":1},{"uuid":"3f2a","first":40}]}]}`
	got, err := json.Marshal(m)
	if err != nil || string(got) != want {
		t.Fatalf("%s, %v", got, err)
	}
	var back Manifest
	if err := json.Unmarshal([]byte(want), &back); err != nil || cmp.Diff(m, back) != "" {
		t.Fatalf("%+v, %v", back, err)
	}
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} { // the same content makes the same bytes
		archive := newArchive(out)
		if err := errors.Join(archive.manifest(m), archive.seal()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) || a.Len()%512 != 0 {
		t.Fatalf("%d and %d bytes", a.Len(), b.Len())
	}
	if err := checkSeal("x", bytes.NewReader(a.Bytes()), func(_, _ int64) {}); err != nil {
		t.Fatal(err)
	}
}

func TestProgressGoesUpToTheEnd(t *testing.T) {
	w := newWorld(t, Options{Views: []eventstore.View{&colours{"red"}}})
	w.many(12_000)
	seen := map[string][2]int64{}
	note := func(what string, done, total int64) {
		if last := seen[what]; done < last[0] || done > total {
			t.Errorf("%s: %d of %d comes after %d", what, done, total, last[0])
		}
		seen[what] = [2]int64{done, total}
	}
	file := filepath.Join(t.TempDir(), "b")
	if _, err := Backup(t.Context(), file, "a test", []*Log{w.log}, note); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), file, filepath.Join(t.TempDir(), "to"), note); err != nil {
		t.Fatal(err)
	}
	if _, err := w.log.VerifyViews(t.Context(), note); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{
		"copying test", "checking test", "reading it again", "checking the backup", "restoring test",
		"computing the views", "comparing colours",
	} {
		if last, ok := seen[what]; !ok || last[0] != last[1] {
			t.Errorf("%s ended at %v", what, fmt.Sprint(last))
		}
	}
}
