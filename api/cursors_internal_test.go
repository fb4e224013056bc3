package api

import (
	"math"
	"net/url"
	"testing"

	"pgregory.net/rapid"
)

func drawPlace(t *rapid.T) place {
	return place{id: rapid.Int64Range(1, math.MaxInt64).Draw(t, "id"), weight: rapid.IntRange(0, math.MaxInt).Draw(t, "weight")}
}

func TestACursorLeadsBackToItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, scope := drawPlace(t), rapid.String().Draw(t, "scope")
		text := p.cursor(scope)
		if got, ok := parseCursor(scope, text); !ok || got != p || len(text) > maxCursor {
			t.Fatalf("%+v became %s and came back as %+v, %v", p, text, got, ok)
		}
		if url.QueryEscape(text) != text {
			t.Fatalf("%s does not fit into an address", text)
		}
		if _, ok := parseCursor(scope+"x", text); ok {
			t.Fatalf("%s is taken elsewhere", text)
		}
	})
}

func TestACursorWithABitFlippedIsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(drawPlace(t).cursor("list"))
		text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if p, ok := parseCursor("list", string(text)); ok {
			t.Fatalf("%s is taken for %+v", text, p)
		}
	})
}

// FuzzCursor: what is taken for a cursor is the one that its place has.
func FuzzCursor(f *testing.F) {
	for _, p := range []place{{id: 1}, {id: math.MaxInt64, weight: math.MaxInt}, {id: 128, weight: 3}} {
		f.Add("listUsers\x00", p.cursor("listUsers\x00"))
		f.Add("listFriends\x001\x00direction=both", p.cursor("listUsers\x00"))
	}
	f.Add("", "")
	f.Add("", "AAAAAAAAAAA")
	f.Add("", "AAAAAAAAAAD___________8BAA")
	f.Add("", "AAAA\nAAAAAAAABAA")
	f.Fuzz(func(t *testing.T, scope, text string) {
		p, ok := parseCursor(scope, text)
		if ok && (p.id < 1 || p.weight < 0 || p.cursor(scope) != text) {
			t.Errorf("%q in %q is taken for %+v", text, scope, p)
		}
		if !ok && p != (place{}) {
			t.Errorf("%q is refused with a place: %+v", text, p)
		}
	})
}
