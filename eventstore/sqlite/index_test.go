package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// TestTheIndexIsAMap: with hashes of few bits nearly every stream finds its hash taken,
// and still each one ends where a plain map says.
func TestTheIndexIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := newIndex(Options{hashBits: rapid.SampledFrom([]int{1, 4, 8, 64}).Draw(t, "bits")}.withDefaults())
		ends, owners := map[string]tail{}, map[eventstore.Position]string{}
		for p := range eventstore.Position(rapid.IntRange(1, 80).Draw(t, "events")) {
			p++
			name := fmt.Sprint("s-", rapid.IntRange(0, 20).Draw(t, "stream"))
			ends[name], owners[p] = newTail(p, ends[name].version()+1), name
			x.advance(name, p, ends[name].version())
		}
		for i := range 22 { // two of them never were
			name := fmt.Sprint("s-", i)
			got, found, sure := x.find(name)
			if found && !sure && owners[got.position()] != name {
				got = 0 // what the row there says
			}
			if want := ends[name]; got != want {
				t.Fatalf("%s ends at %d@%d, the map says %d@%d", name, got.position(), got.version(), want.position(), want.version())
			}
			if sure && !found {
				t.Fatalf("%s is surely not found", name)
			}
		}
	})
}

func TestAHeadHoldsItsNumbersUpToTheirLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := eventstore.Position(rapid.Int64Range(0, maxPosition).Draw(t, "position"))
		v := eventstore.Version(rapid.Int64Range(0, maxVersion).Draw(t, "version"))
		if h := newTail(p, v); h.position() != p || h.version() != v || !fits(p, v) {
			t.Fatalf("%d@%d became %d@%d", p, v, h.position(), h.version())
		}
	})
	if fits(maxPosition+1, 1) || fits(1, maxVersion+1) {
		t.Error("what does not fit is said to fit")
	}
}

// keyModel is a memory of keys in the plainest form.
type keyModel struct {
	order []keyEntry
	names map[ref][16]byte
}

func (m *keyModel) expire(most int, oldest int64) {
	for len(m.order) > 0 {
		tooMany := len(m.order) > most && m.order[0].time != m.order[len(m.order)-most].time
		if !tooMany && m.order[0].time >= oldest {
			return
		}
		delete(m.names, m.order[0].ref)
		m.order = m.order[1:]
	}
}

// TestTheMemoryOfKeysIsAQueue: keys come in order and go in order, by number and by
// age, those that collide too; by number those of one moment stay together.
func TestTheMemoryOfKeysIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 10).Draw(t, "most")
		k := newKeys(Options{KeepKeys: most, KeepKeysFor: 50 * time.Second})
		m := keyModel{names: map[ref][16]byte{}}
		now := int64(1000)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now += int64(rapid.IntRange(0, 20).Draw(t, "seconds"))
			key, r := [16]byte{byte(i), 1}, ref(i+1)
			if rapid.Bool().Draw(t, "outcome") {
				r = -r
			}
			k.add(1, key[:], r, time.Unix(now, 0))
			if rapid.IntRange(0, 3).Draw(t, "collides") == 0 && i > 0 {
				collide(&k, key, r)
			}
			m.order, m.names[r] = append(m.order, keyEntry{ref: r, time: now}), key
			lowest := k.expire(time.Unix(now, 0))
			before := maps.Clone(m.names)
			m.expire(most, now-50)
			for gone := range before {
				if _, kept := m.names[gone]; !kept && gone < 0 && lowest < int64(-gone) {
					t.Fatalf("outcome %d was forgotten, only those to %d may go", -gone, lowest)
				}
			}
		}
		for i := range 61 {
			key := [16]byte{byte(i), 1}
			got, found := k.find(1, key)
			wanted := m.names[ref(i+1)] == key || m.names[ref(-i-1)] == key
			if found && got != ref(i+1) && got != ref(-i-1) {
				found = false // what the row there says
			}
			if found != wanted {
				t.Fatalf("key %d: found %v, want %v", i, found, wanted)
			}
		}
	})
}

// collide moves a key into the overflow, as if its hash had been taken.
func collide(k *keys, key [16]byte, r ref) {
	h := hashName(1, key[:])
	if k.refs[h] == r {
		delete(k.refs, h)
		k.overflow[key] = r
	}
}

// TestAnIndexSavedAndReadIsTheSame for indices of all shapes.
func TestAnIndexSavedAndReadIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{hashBits: rapid.SampledFrom([]int{3, 64}).Draw(t, "bits")}.withDefaults()
		f := indexFile{
			index: newIndex(o), uuid: [16]byte{7}, chain: [32]byte{9},
			position: eventstore.Position(rapid.Int64Range(0, maxPosition).Draw(t, "position")),
			outcome:  rapid.Int64().Draw(t, "outcome"),
		}
		for i := range rapid.IntRange(0, 40).Draw(t, "streams") {
			f.index.advance(rapid.StringN(1, 100, 2*eventstore.MaxName).Draw(t, "name"), eventstore.Position(i+1), 1)
			f.index.raise(fmt.Sprint("c", i%3), int64(i))
			key := [16]byte{byte(i)}
			f.index.keys.add(f.index.seed, key[:], ref(i-20), time.Unix(int64(i), 0))
		}
		f.index.keys.first = min(rapid.IntRange(0, 5).Draw(t, "expired"), len(f.index.keys.order))
		var b bytes.Buffer
		encodeWhole(&f, &b)
		got, err := decodeIndex(&b, int64(b.Len()), o)
		if err != nil {
			t.Fatal(err)
		}
		if got.position != f.position || got.outcome != f.outcome || got.uuid != f.uuid || got.chain != f.chain ||
			got.index.seed != f.index.seed || !maps.Equal(maps.Collect(got.index.streams.all()), maps.Collect(f.index.streams.all())) ||
			!maps.Equal(got.index.overflow, f.index.overflow) || !maps.Equal(got.index.numbers, f.index.numbers) {
			t.Fatalf("%+v came back as %+v", f.index, got.index)
		}
		for i, e := range f.index.keys.order[f.index.keys.first:] {
			if got.index.keys.order[i] != e || got.index.keys.refs[e.hash] != e.ref {
				t.Fatalf("key %d came back as %+v, it was %+v", i, got.index.keys.order[i], e)
			}
		}
	})
}

// keyed commits a write with a key.
func (w *world) keyed(stream string, key byte, events int) eventstore.Result {
	w.t.Helper()
	write := eventstore.Write{
		Stream: eventstore.Stream{Category: "thing", ID: stream}, Expected: eventstore.Any,
		Key: &eventstore.Key{Hash: [16]byte{key}, Fingerprint: [8]byte{key}},
	}
	for range events {
		write.Events = append(write.Events, eventstore.NewEvent{Type: "ThingSold", Data: []byte("{}")})
	}
	results, err := w.log.Commit(w.t.Context(), []eventstore.Write{write})
	if err != nil || results[0].Err != nil {
		w.t.Fatalf("%v, %+v", err, results)
	}
	return results[0]
}

// A key that comes back after it has expired is a new one, also when nothing was
// written meanwhile, and its outcome is that of the new write alone.
func TestAKeyThatHasExpiredIsNewEvenAfterAQuietDay(t *testing.T) {
	w := newWorld(t, Options{KeepKeysFor: time.Second})
	w.keyed("a", 1, 2)
	for end := time.Now().Add(time.Minute); ; {
		if time.Now().After(end) {
			t.Fatal("a key of a second is remembered for a minute")
		}
		r := w.keyed("a", 1, 3)
		if r.Previous == nil {
			break
		}
		if r.Previous.Events != 2 || r.Previous.Version != 2 {
			t.Fatalf("the first write is remembered as %+v", r.Previous)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, how := range []string{"at work", "opened again"} {
		o, found, err := w.log.Outcome(t.Context(), [16]byte{1})
		if err != nil || found && (o.Events != 3 || o.Version != 5 || o.Position != 5) {
			t.Fatalf("%s: %+v, %v, %v", how, o, found, err)
		}
		w.close()
		w.open()
	}
}

func TestOutcomesNobodyIsAnsweredFromAreDeleted(t *testing.T) {
	w := newWorld(t, Options{KeepKeys: 3})
	for i := byte(1); i <= 20; i++ {
		w.keyed("a", i, 0)
	}
	w.keyed("a", 30, 1)
	w.keyed("a", 31, 1)
	rows := 0
	err := w.log.readers.read(t.Context(), func(conn *sqliteConn) (err error) {
		n, err := queryInt(conn, "SELECT count(*) FROM outcomes")
		rows = int(n)
		return err
	})
	if err != nil || rows > 3 {
		t.Fatalf("%d outcomes are kept, %v", rows, err)
	}
	for _, how := range []string{"at work", "opened again"} {
		for i, want := range map[byte]bool{18: false, 19: false, 20: true, 30: true, 31: true} {
			if _, found, err := w.log.Outcome(t.Context(), [16]byte{i}); found != want || err != nil {
				t.Fatalf("%s: key %d is remembered: %v, %v", how, i, found, err)
			}
		}
		w.close()
		w.open()
	}
}

// Keys of the memory itself, with the time of a bubble.
func TestKeysAreRememberedForTheirTimeToTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(Options{KeepKeys: 100, KeepKeysFor: time.Hour}.withDefaults())
		key := [16]byte{1}
		k.add(1, key[:], 1, time.Now())
		for _, c := range []struct {
			later time.Duration
			known bool
		}{{0, true}, {59 * time.Minute, true}, {time.Minute, true}, {time.Second, false}} {
			time.Sleep(c.later)
			k.expire(time.Now())
			if _, known := k.find(1, key); known != c.known {
				t.Fatalf("%v later it is known: %v", c.later, known)
			}
		}
	})
}

// encodeWhole writes the file of an index with its checksum.
func encodeWhole(f *indexFile, b *bytes.Buffer) {
	w := &checkedWriter{w: bufio.NewWriter(b)}
	f.encode(w)
	sum := w.sum
	w.bytes(binary.LittleEndian.AppendUint32(nil, sum))
	_ = w.w.Flush() // to memory
}
