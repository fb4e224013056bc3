package graph

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestASnapshotIsSmallWhereTheGraphIs(t *testing.T) {
	same(t, "an empty graph", len(snapshot(t, New(), "")), 8+4+4+4)
	same(t, "two friends", len(snapshot(t, build(t, Change{Connect, 1, 2}), "meta")), 8+4+4+4+4+(12+2*12+2*4))
}

func build(t anyT, changes ...Change) *Graph {
	g := New()
	must(t, g, changes...)
	return g
}

// ring returns changes that make people friends of the next one each.
func ring(people int) (changes []Change) {
	for id := range int64(people) {
		changes = append(changes, Change{Kind: AddUser, From: id + 1}, Change{Connect, id + 1, (id+1)%int64(people) + 1})
	}
	return changes
}

// TestAGraphOfSeveralPartsIsReadBack: more people than a part holds, and one of them
// with more friends than that.
func TestAGraphOfSeveralPartsIsReadBack(t *testing.T) {
	var hub []Change
	for id := int64(2); id <= partEntries+100; id++ {
		hub = append(hub, Change{Connect, id, 1})
	}
	for _, c := range []struct {
		name    string
		changes []Change
		parts   int
	}{
		{"as many people as fit", ring(partPeople), 1},
		{"one more", ring(partPeople + 1), 2},
		{"one with more friends than fit", hub, 1 + (partEntries+99+partPeople-1)/partPeople}, // who comes first
	} {
		t.Run(c.name, func(t *testing.T) {
			g := build(t, c.changes...)
			written := snapshot(t, g, "meta")
			same(t, "parts", len(partsOf(written)), c.parts)
			read, _, err := ReadSnapshot(bytes.NewReader(written))
			if err != nil {
				t.Fatal(err)
			}
			same(t, "written again", bytes.Equal(snapshot(t, read, "meta"), written), true)
			tiled(t, read)
			before, after := g.Stats(), read.Stats()
			before.Bytes, after.Bytes = 0, 0
			same(t, "stats", after, before)
		})
	}
}

// partsOf returns where the parts of a snapshot begin.
func partsOf(b []byte) (starts []int) {
	for at := 8 + 4 + int(binary.LittleEndian.Uint32(b[8:])) + 8; at < len(b); {
		starts = append(starts, at)
		at += 12 + 12*int(binary.LittleEndian.Uint32(b[at:])) + 4*int(binary.LittleEndian.Uint32(b[at+4:]))
	}
	return starts
}

// TestDamageInAnyPartIsRefused: every byte flipped and every end missing in a snapshot of
// three small parts, and some around the boundaries of parts as they are written.
func TestDamageInAnyPartIsRefused(t *testing.T) {
	words := []uint32{wordOf(known, 1), wordOf(known, 1)}
	few := forge(
		6,
		forged{ids: []int64{1, 2}, words: words, lists: []entry{1<<entryBits | out, 0<<entryBits | in}},
		forged{ids: []int64{3, 4}, words: words, lists: []entry{4<<entryBits | out, 5<<entryBits | in}},
		forged{ids: []int64{5, 6}, words: words, lists: []entry{2<<entryBits | in, 3<<entryBits | out}},
	)
	if _, _, err := ReadSnapshot(bytes.NewReader(few)); err != nil {
		t.Fatal(err)
	}
	for at := range few {
		damaged(t, few, at)
	}
	many := snapshot(t, build(t, ring(2*partPeople+5)...), "meta")
	parts := partsOf(many)
	same(t, "parts", len(parts), 3)
	for _, at := range []int{parts[0] + 1, parts[1] - 1, parts[1] + 5, parts[1] + 9, parts[2], len(many) - 1} {
		damaged(t, many, at)
	}
}

// damaged flips a bit of a snapshot for a while, and leaves out what begins there.
func damaged(t *testing.T, good []byte, at int) {
	good[at] ^= 0x04
	defer func() { good[at] ^= 0x04 }()
	for what, bad := range map[string][]byte{"flipped": good, "the first missing": good[:at]} {
		if _, _, err := ReadSnapshot(bytes.NewReader(bad)); !errors.Is(err, ErrSnapshot) {
			t.Errorf("byte %d %s: %v", at, what, err)
		}
	}
}

// TestASnapshotIsOfOneMoment: friendships are made in a known order while snapshots
// are written and questions asked. Each has exactly what was done up to somewhere.
func TestASnapshotIsOfOneMoment(t *testing.T) {
	var changes []Change // each changes something
	for id := int64(1); id <= 60; id++ {
		changes = append(changes, Change{Kind: AddUser, From: id})
		for other := id - 1; other > 0; other -= 1 + other%3 {
			changes = append(changes, Change{Connect, id, other})
		}
	}
	g := New()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for _, c := range changes {
			must(t, g, c)
			runtime.Gosched()
		}
	}()
	again, done, different := New(), 0, 0
	for last := false; !last; {
		last = closed(finished)
		written := snapshot(t, g, "")
		if _, err := g.Recommend(nil, 1, 3); err != nil {
			t.Fatal(err)
		}
		read, _, err := ReadSnapshot(bytes.NewReader(written))
		if err != nil {
			t.Fatal(err)
		}
		s := read.Stats()
		if n := s.People + s.Friendships; n > done {
			must(t, again, changes[done:n]...)
			done = n
			different++
		}
		if !bytes.Equal(snapshot(t, again, ""), written) {
			t.Fatalf("the snapshot is not what the first %d of %d changes make", done, len(changes))
		}
	}
	same(t, "the last one has all", done, len(changes))
	t.Logf("%d snapshots on the way", different)
}

// TestApplyGoesOnWhileASnapshotIsWritten: to a pipe that nobody reads. If it waited,
// this test would never end.
func TestApplyGoesOnWhileASnapshotIsWritten(t *testing.T) {
	g := small(t)
	before := snapshot(t, g, "meta")
	r, w := io.Pipe()
	failed := make(chan error, 1)
	go func() {
		err := g.WriteSnapshot(w, []byte("meta"))
		failed <- errors.Join(err, w.Close())
	}()
	first := make([]byte, 1)
	if _, err := io.ReadFull(r, first); err != nil { // it has begun
		t.Fatal(err)
	}
	for range 100 { // all that the snapshot is about to read is changed and given back
		must(t, g, Change{Disconnect, 1, 2}, Change{Disconnect, 2, 3}, Change{Disconnect, 3, 6}, Change{Disconnect, 2, 6})
		must(t, g, Change{Connect, 1, 2}, Change{Connect, 2, 3}, Change{Connect, 3, 6}, Change{Connect, 6, 2})
		must(t, g, Change{Disconnect, 6, 2}, Change{Connect, 2, 6})
	}
	must(t, g, Change{Kind: RemoveUser, From: 4}, Change{Connect, 6, 5})
	same(t, "the graph has gone on", recommend(t, g, 1, 0), []Ranked{{6, 2}, {5, 1}})
	rest, err := io.ReadAll(r)
	if err := errors.Join(err, <-failed); err != nil {
		t.Fatal(err)
	}
	same(t, "the snapshot is of before", bytes.Equal(append(first, rest...), before), true)
	held := len(g.memory.retired)
	churn(t, g, 2)
	same(t, "blocks are free again after it", len(g.memory.retired) < held, true)
}

// forged is a part that somebody made up.
type forged struct {
	ids   []int64
	words []uint32
	lists []entry // of all, one behind the other
	body  []byte  // instead of these
	heads [2]uint32
}

// bytes returns the part with the right checksum. Heads are added to the numbers of
// people and entries.
func (f forged) bytes() []byte {
	body := f.body
	for _, id := range f.ids {
		body = binary.LittleEndian.AppendUint64(body, uint64(id))
	}
	for _, w := range f.words {
		body = binary.LittleEndian.AppendUint32(body, w)
	}
	for _, e := range f.lists {
		body = binary.LittleEndian.AppendUint32(body, uint32(e))
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(f.ids))+f.heads[0])
	b = binary.LittleEndian.AppendUint32(b, uint32(len(f.lists))+f.heads[1])
	b = binary.LittleEndian.AppendUint32(b, crc(body))
	return append(b, body...)
}

// crc is written here once more, so that a test sees when it changes.
func crc(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// forge returns a snapshot of parts that claims to have so many people.
func forge(people uint32, parts ...forged) []byte {
	b := []byte("ENSGRAF2\x00\x00\x00\x00")
	b = binary.LittleEndian.AppendUint32(b, people)
	b = binary.LittleEndian.AppendUint32(b, crc(b))
	for _, p := range parts {
		b = append(b, p.bytes()...)
	}
	return b
}

// wordOf is what a part says of a person.
func wordOf(p presence, length int) uint32 { return uint32(p)<<30 | uint32(length) }

func TestWhatASnapshotSaysIsChecked(t *testing.T) {
	const is = uint32(known) << 30
	one := []entry{1<<entryBits | out, 0<<entryBits | in} // two people, the first asked
	two := []uint32{is | 1, is | 1}
	pair := forged{ids: []int64{10, 20}, words: two, lists: one}
	g, _, err := ReadSnapshot(bytes.NewReader(forge(2, pair)))
	if err != nil || g.Stats().Friendships != 1 || g.Stats().People != 2 {
		t.Fatalf("what is right is refused: %v", err)
	}
	three := []int64{10, 20, 30}
	for name, b := range map[string][]byte{
		"nothing":                       nil,
		"the format before":             []byte("ENSGRAF1\x00\x00\x00\x00\x00\x00\x00\x00\xa9\xdb\x3c\x5e"),
		"more people than there can be": forge(MaxPeople + 1),
		"most people there can be":      forge(MaxPeople),
		"all the people of a word":      forge(math.MaxUint32),
		"more people than there are":    forge(3, pair),
		"fewer people than there are":   forge(1, pair),
		"a part of nobody":              forge(2, forged{}, pair),
		"more people than a part holds": forge(MaxPeople, forged{heads: [2]uint32{partPeople + 1, 0}}),
		"as many as it holds, and none": forge(MaxPeople, forged{heads: [2]uint32{partPeople, 0}}),
		"entries beyond any graph":      forge(2, forged{ids: pair.ids, words: two, lists: one, heads: [2]uint32{0, MaxPeople}}),
		"as many entries as can be":     forge(2, forged{ids: pair.ids, words: two, lists: one, heads: [2]uint32{0, MaxPeople - 2}}),
		"entries that are nobody's":     forge(2, forged{ids: pair.ids, words: two, lists: append(one, 0)}),
		"a list beyond the part":        forge(2, forged{ids: pair.ids, words: []uint32{is | 1, is | 2}, lists: one}),
		"the longest list":              forge(2, forged{ids: pair.ids, words: []uint32{is | (1<<30 - 1), is | 1}, lists: one}),
		"a presence that is none":       forge(2, forged{ids: pair.ids, words: []uint32{is | 1, 3<<30 | 1}, lists: one}),
		"the same id twice":             forge(2, forged{ids: []int64{10, 10}, words: two, lists: one}),
		"id 0":                          forge(2, forged{ids: []int64{10, 0}, words: two, lists: one}),
		"a negative id":                 forge(2, forged{ids: []int64{math.MinInt64, 20}, words: two, lists: one}),
		"the same id in two parts":      forge(4, pair, pair),
		"an entry out of range":         forge(2, forged{ids: pair.ids, words: two, lists: []entry{2<<entryBits | out, 0<<entryBits | in}}),
		"an entry far out of range":     forge(2, forged{ids: pair.ids, words: two, lists: []entry{math.MaxUint32, 0<<entryBits | in}}),
		"a friend of oneself":           forge(2, forged{ids: pair.ids, words: two, lists: []entry{0<<entryBits | bothWays, 1<<entryBits | bothWays}}),
		"no direction":                  forge(2, forged{ids: pair.ids, words: two, lists: []entry{1 << entryBits, 0}}),
		"both asked, one says":          forge(2, forged{ids: pair.ids, words: two, lists: []entry{1<<entryBits | bothWays, 0<<entryBits | in}}),
		"the same direction twice":      forge(2, forged{ids: pair.ids, words: two, lists: []entry{1<<entryBits | out, 0<<entryBits | out}}),
		"a friend twice": forge(2, forged{
			ids: pair.ids, words: []uint32{is | 2, is | 2},
			lists: []entry{1<<entryBits | out, 1<<entryBits | in, 0<<entryBits | in, 0<<entryBits | out},
		}),
		"in one list only": forge(2, forged{ids: pair.ids, words: []uint32{is | 1, is}, lists: one[:1]}),
		"around in a circle": forge(3, forged{
			ids: three, words: []uint32{is | 1, is | 1, is | 1},
			lists: []entry{1<<entryBits | bothWays, 2<<entryBits | bothWays, 0<<entryBits | bothWays},
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, _, err := ReadSnapshot(bytes.NewReader(b))
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("got %v", err)
			}
			// Reading goes on in steps of a mebibyte for as long as there is something.
			if got := after.TotalAlloc - before.TotalAlloc; got > 6<<20 {
				t.Errorf("%d bytes were allocated for %d", got, len(b))
			}
		})
	}
}

// TestEveryPresenceIsReadBack: who was only heard of, who is there, and who is erased,
// each connected with all others.
func TestEveryPresenceIsReadBack(t *testing.T) {
	changes := []Change{{Kind: AddUser, From: 1}, {Kind: RemoveUser, From: 2}, {Connect, 1, 2}, {Connect, 2, 3}, {Connect, 3, 1}, {Connect, 1, 3}}
	b := snapshot(t, build(t, changes...), "")
	want := forged{
		ids:   []int64{1, 2, 3},
		words: []uint32{wordOf(known, 2), wordOf(erased, 2), wordOf(unknown, 2)},
		lists: []entry{
			1<<entryBits | out, 2<<entryBits | bothWays,
			0<<entryBits | in, 2<<entryBits | out,
			1<<entryBits | in, 0<<entryBits | bothWays,
		},
	}
	same(t, "to the byte", b, forge(3, want))
}

// mend recomputes the checksums of what may be a snapshot, as far as it makes sense.
func mend(data []byte) []byte {
	b := slices.Clone(data)
	if len(b) < 12 || binary.LittleEndian.Uint32(b[8:]) > uint32(len(b)) {
		return b
	}
	sum := 12 + int(binary.LittleEndian.Uint32(b[8:])) + 4
	if len(b) < sum+4 {
		return b
	}
	binary.LittleEndian.PutUint32(b[sum:], crc(b[:sum]))
	for at := sum + 4; at+12 <= len(b); {
		size := 12*uint64(binary.LittleEndian.Uint32(b[at:])) + 4*uint64(binary.LittleEndian.Uint32(b[at+4:]))
		body := b[at+12:]
		if size > uint64(len(body)) {
			return b
		}
		binary.LittleEndian.PutUint32(b[at+8:], crc(body[:size]))
		at += 12 + int(size)
	}
	return b
}

func TestMendingMakesASnapshotWhole(t *testing.T) {
	good := snapshot(t, small(t), "meta")
	bad := bytes.Clone(good)
	bad[16+4] ^= 1
	bad[32] ^= 1
	same(t, "mended", bytes.Equal(mend(bad), good), true)
}

// FuzzReadSnapshot: whatever is read is a graph that answers, goes on and can be
// written; with the checksums as they are, and mended.
func FuzzReadSnapshot(f *testing.F) {
	pair := forged{ids: []int64{1, 2}, words: []uint32{1<<30 | 1, 1<<30 | 1}, lists: []entry{1<<entryBits | out, in}}
	for _, seed := range [][]byte{
		snapshot(f, small(f), "meta"),
		snapshot(f, New(), ""),
		snapshot(f, build(f, ring(9)...), strings.Repeat("m", 40)),
		[]byte(snapshotMagic + "\xff\xff\xff\xff"),
		forge(2, pair),
		forge(4, pair, forged{ids: []int64{3, 4}, words: pair.words, lists: []entry{3<<entryBits | in, 2<<entryBits | out}}),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, data []byte, mended bool) {
		if mended {
			data = mend(data)
		}
		g, meta, err := ReadSnapshot(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatal(err)
			}
			return
		}
		tiled(t, g)
		written := snapshot(t, g, string(meta))
		again, _, err := ReadSnapshot(bytes.NewReader(written))
		if err != nil || !bytes.Equal(snapshot(t, again, string(meta)), written) {
			t.Fatalf("%x was read, %x written; %v", data, written, err)
		}
		people := g.tables.Load().people[:min(g.people, 50)]
		for _, p := range people {
			for _, r := range recommend(t, g, p.id, 0) {
				same(t, fmt.Sprintf("mutual of %d and %d", p.id, r.ID), len(mutual(t, g, p.id, r.ID)), r.Weight)
			}
		}
		for _, p := range people {
			must(t, g, Change{Connect, p.id, people[0].id}, Change{Disconnect, people[0].id, p.id}, Change{Kind: RemoveUser, From: p.id})
		}
		if err := g.check(); err != nil {
			t.Fatal(err)
		}
		tiled(t, g)
	})
}
