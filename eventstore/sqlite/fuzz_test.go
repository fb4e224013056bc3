package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzDecodeIndex: whatever lies beside the log, it is used whole or not at all.
func FuzzDecodeIndex(f *testing.F) {
	good := savedIndex(f)
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte(indexMagic + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := decodeIndex(bytes.NewReader(data), int64(len(data)), Options{}.withDefaults())
		if err != nil {
			return
		}
		if read.index == nil || len(read.index.keys.overflow) > 0 {
			t.Fatal("an index that can't be used was returned")
		}
	})
}

// savedIndex returns the file of an index with a bit of everything.
func savedIndex(tb testing.TB) []byte {
	tb.Helper()
	x := newIndex(Options{}.withDefaults())
	x.advance("user-1", 1, 1)
	x.advance("user-2", 2, 1)
	x.overflow["user-3"] = newTail(3, 1)
	x.raise("user", 3)
	x.keys.add(x.seed, make([]byte, 16), 2, time.Unix(1, 0))
	path := filepath.Join(tb.TempDir(), "x.heads")
	if err := (&indexFile{index: x, position: 3, outcome: 1}).write(path); err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestASavedIndexComesBackAsItWas(t *testing.T) {
	read, err := decodeIndex(bytes.NewReader(savedIndex(t)), 1<<20, Options{}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	x := read.index
	if read.position != 3 || read.outcome != 1 || x.numbers["user"] != 3 || x.streams.count != 2 || len(x.keys.order) != 1 {
		t.Fatalf("got %+v, %+v", read, x)
	}
	for name, want := range map[string]tail{"user-1": newTail(1, 1), "user-2": newTail(2, 1), "user-3": newTail(3, 1)} {
		if got, found, _ := x.find(name); !found || got != want {
			t.Errorf("%s ends at %d, %v", name, got.position(), found)
		}
	}
}

// FuzzCheckWAL: whatever lies in a write-ahead log, looking at it ends.
func FuzzCheckWAL(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00\x00\x00\x00\x00saltsaltsumssums"))
	f.Add(append([]byte("\x37\x7f\x06\x83\x00\x2d\xe2\x18\x00\x00\x10\x00\x00\x00\x00\x00saltsaltsumssums"), make([]byte, 9000)...))
	f.Add([]byte("00010000000000000000000000000000000000000000000000000000")) // a header that is none, and half a frame
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path+"-wal", data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := checkWAL(path); err != nil && len(data) < walHeaderLen+frameHeaderLen+512 {
			t.Fatalf("damage in a log without a whole frame: %v", err)
		}
	})
}
