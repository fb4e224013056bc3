package graph

import (
	"bytes"
	"testing"
)

// decodeChanges takes three bytes for a change. Who is told apart by few bits, so that
// they meet often.
func decodeChanges(b []byte) (changes []Change) {
	for ; len(b) >= 3 && len(changes) < 300; b = b[3:] {
		kind := [8]Kind{Connect, Connect, Connect, Connect, Disconnect, Disconnect, AddUser, RemoveUser}[b[0]%8]
		changes = append(changes, Change{kind, int64(b[1]%12 + 1), int64(b[2]%12 + 1)})
	}
	return changes
}

// FuzzChanges: any history, with a snapshot written and read somewhere on the way, a
// part of it once more, and all else against brute force.
func FuzzChanges(f *testing.F) {
	f.Add([]byte{}, uint16(0), uint8(0))
	f.Add([]byte("\x06\x00\x00\x06\x01\x00\x06\x02\x00\x00\x00\x01\x00\x01\x02"), uint16(2), uint8(3))
	f.Add([]byte("\x06\x00\x00\x06\x01\x00\x00\x00\x01\x00\x01\x00\x04\x00\x01\x04\x01\x00\x07\x00\x00"), uint16(4), uint8(2))
	f.Add(bytes.Repeat([]byte("\x00\x01\x02\x06\x01\x03\x02\x03\x01\x04\x01\x02\x06\x02\x09\x03\x09\x02"), 12), uint16(30), uint8(20))
	f.Fuzz(func(t *testing.T, data []byte, at uint16, again uint8) {
		changes, o, g := decodeChanges(data), newOracle(), New()
		cut := min(int(at), len(changes))
		if got, want := must(t, g, changes[:cut]...), o.apply(changes[:cut]...); got != want {
			t.Fatalf("%d changed, want %d", got, want)
		}
		read, _, err := ReadSnapshot(bytes.NewReader(snapshot(t, g, "")))
		if err != nil {
			t.Fatal(err)
		}
		rest := changes[cut:]
		repeated := rest[:min(int(again), len(rest))]
		for _, batch := range [][]Change{repeated, repeated, rest[len(repeated):]} {
			want := o.apply(batch...)
			if one, other := must(t, g, batch...), must(t, read, batch...); one != want || other != want {
				t.Fatalf("%d and, in the one read, %d changed, want %d", one, other, want)
			}
		}
		for _, g := range []*Graph{g, read} {
			compareAll(t, g, o, 13)
			if err := g.check(); err != nil {
				t.Fatal(err)
			}
			tiled(t, g)
		}
	})
}
