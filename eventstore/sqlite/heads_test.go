package sqlite

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/eventstore"
)

// TestHeadsAreAMap whatever their hashes are: spread over all parts, all in one part, all
// wanting one slot, or at the very end of a part, where looking for a place goes on at
// its beginning.
func TestHeadsAreAMap(t *testing.T) {
	kinds := map[string]func(n uint64) uint64{
		"spread":            func(n uint64) uint64 { return n * 0x9E3779B97F4A7C15 },
		"in one part":       func(n uint64) uint64 { return 0x42<<56 | n*0x9E3779B97F4A7C15>>8 },
		"in one place":      func(n uint64) uint64 { return n },
		"at the end of one": func(n uint64) uint64 { return 0xff<<56 | (1<<56 - 1 - n) },
	}
	rapid.Check(t, func(t *rapid.T) {
		hash := kinds[rapid.SampledFrom(slices.Sorted(maps.Keys(kinds))).Draw(t, "hashes")]
		var h heads
		want := map[uint64]tail{}
		h.reserve(rapid.Uint64Range(0, 3000).Draw(t, "reserved"))
		for i := range rapid.IntRange(0, 400).Draw(t, "events") {
			name := hash(rapid.Uint64Range(0, 200).Draw(t, "stream"))
			end := newTail(eventstore.Position(i+1), 1)
			h.put(name, end)
			want[name] = end
		}
		for n := range uint64(201) {
			got, ok := h.find(hash(n))
			if end, there := want[hash(n)]; got != end || ok != there {
				t.Fatalf("stream %d ends at %d, %v; it should be %d, %v", n, got, ok, end, there)
			}
		}
		if got := maps.Collect(h.all()); !maps.Equal(got, want) || h.count != len(want) {
			t.Fatalf("%d of %d streams: %v", h.count, len(want), got)
		}
		for i := range h.parts {
			if p := &h.parts[i]; len(p.slots) > 0 && p.count > len(p.slots)/4*3 {
				t.Fatalf("part %d has %d streams in %d slots", i, p.count, len(p.slots))
			}
		}
	})
}

// TestHeadsAreReadInTheOrderOfTheirHashes, or a start would jump about in the memory.
func TestHeadsAreReadInTheOrderOfTheirHashes(t *testing.T) {
	var h heads
	const streams = 100_000
	for n := range uint64(streams) {
		h.put(hashName(7, binary.BigEndian.AppendUint64(nil, n)), newTail(1, 1))
	}
	before, back := uint64(0), 0
	for hash := range h.all() {
		if hash>>(62-partBits) < before>>(62-partBits) { // a quarter of a part: neighbours may stand in any order
			back++
		}
		before = hash
	}
	if back > streams/20 {
		t.Errorf("it went back %d times for %d streams", back, streams)
	}
}

// TestAStreamThatEndsNowhereIsRefused: with its checksum right, some program has written
// it, and it must not vanish in an empty slot.
func TestAStreamThatEndsNowhereIsRefused(t *testing.T) {
	f := indexFile{index: newIndex(Options{}.withDefaults())}
	f.index.advance("thing-1", 1, 1)
	var b bytes.Buffer
	encodeWhole(&f, &b)
	data := b.Bytes()
	const first = 8 + 16 + 32 + 8*8
	binary.LittleEndian.PutUint64(data[first+8:], 0)
	sum := len(data) - 4
	binary.LittleEndian.PutUint32(data[sum:], crc32.Checksum(data[:sum], castagnoli()))
	_, err := decodeIndex(bytes.NewReader(data), int64(len(data)), Options{}.withDefaults())
	if err == nil || !strings.Contains(err.Error(), "ends nowhere") {
		t.Errorf("got %v", err)
	}
}

// BenchmarkHeads reads a million streams as a start does, and into a map, which is what
// one would write without thinking of starts.
func BenchmarkHeads(b *testing.B) {
	const streams = 1_000_000
	f := indexFile{index: newIndex(Options{}.withDefaults())}
	for n := range uint64(streams) {
		f.index.streams.put(hashName(7, binary.BigEndian.AppendUint64(nil, n)), newTail(eventstore.Position(n+1), 1))
	}
	var file bytes.Buffer
	encodeWhole(&f, &file)
	b.Run("table", func(b *testing.B) {
		for b.Loop() {
			if _, err := decodeIndex(bytes.NewReader(file.Bytes()), int64(file.Len()), Options{}.withDefaults()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/streams, "ns/stream")
	})
	b.Run("map", func(b *testing.B) {
		for b.Loop() {
			m := make(map[uint64]tail, streams)
			maps.Insert(m, f.index.streams.all())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/streams, "ns/stream")
	})
}
