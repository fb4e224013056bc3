package graph

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func snapshot(t interface{ Fatal(...any) }, g *Graph, meta string) []byte {
	var b bytes.Buffer
	if err := g.WriteSnapshot(&b, []byte(meta)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestASnapshotIsTheSameGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g, o := New(), newOracle()
		changes := rapid.SliceOfN(rapid.Custom(drawChange), 0, 60).Draw(t, "changes")
		must(t, g, changes...)
		o.apply(changes...)
		var from io.Reader = bytes.NewReader(snapshot(t, g, "user:7"))
		if !rapid.Bool().Draw(t, "sized") {
			from = struct{ io.Reader }{from} // a pipe does not know how much is to come
		}
		read, meta, err := ReadSnapshot(from)
		if err != nil || string(meta) != "user:7" {
			t.Fatalf("meta %q, %v", meta, err)
		}
		compareAll(t, read, o, 10)
		more := rapid.SliceOfN(rapid.Custom(drawChange), 0, 20).Draw(t, "more")
		if got, want := must(t, read, more...), o.apply(more...); got != want {
			t.Fatalf("after reading %+v changed %d, want %d", more, got, want)
		}
		compareAll(t, read, o, 10)
	})
}

func TestASnapshotThatIsDamagedIsRefused(t *testing.T) {
	good := snapshot(t, small(t), "meta")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, _, err := ReadSnapshot(bytes.NewReader(bad)); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
	for n := range good {
		if _, _, err := ReadSnapshot(bytes.NewReader(good[:n])); !errors.Is(err, ErrSnapshot) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestMetaHasALimit(t *testing.T) {
	if err := New().WriteSnapshot(&bytes.Buffer{}, make([]byte, MaxMeta+1)); err == nil {
		t.Fatal("too much meta was written")
	}
}

// brokenWriter fails after so many bytes.
type brokenWriter int

func (w *brokenWriter) Write(b []byte) (int, error) {
	if *w -= brokenWriter(len(b)); *w < 0 {
		return 0, errors.New("disk full")
	}
	return len(b), nil
}

func TestAWriterThatFailsIsReported(t *testing.T) {
	for _, room := range []brokenWriter{0, 100} {
		if err := small(t).WriteSnapshot(&room, nil); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Fatalf("got %v", err)
		}
	}
}

// TestWhoHasMostFriendsIsWrittenFirst, and among those with as many, whoever came first:
// so writing what was read gives the same bytes.
func TestWhoHasMostFriendsIsWrittenFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		people := make([]person, rapid.IntRange(0, 50).Draw(t, "people"))
		for n := range people {
			friends := rapid.IntRange(0, len(people)-1).Draw(t, "friends")
			people[n] = person{id: int64(n) + 1, word: uint64(list(uint32(n), known, friends))}
		}
		order, place := byFriends(people)
		want := make([]uint32, len(people))
		for n := range want {
			want[n] = uint32(n)
		}
		slices.SortStableFunc(want, func(a, b uint32) int {
			return word(people[b].word).length() - word(people[a].word).length()
		})
		if !slices.Equal(order, want) {
			t.Fatalf("written in the order %d, want %d", order, want)
		}
		for at, n := range order {
			if place[n] != uint32(at) {
				t.Fatalf("%d is at %d, and said to be at %d", n, at, place[n])
			}
		}
	})
}
