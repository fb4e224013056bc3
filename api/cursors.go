package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"ensemble/wire"
)

// place is where an item stands in its list: by id, or by weight and id. The zero
// place is before the first item.
type place struct {
	id     int64
	weight int
}

const (
	// cursorVersion is part of what a cursor is bound to. Cursors never expire, so
	// whoever changes their form has to go on reading the old one.
	cursorVersion = "ensemble cursor 1"
	cursorSum     = 8                                           // bytes of the checksum
	maxCursor     = (cursorSum+2*binary.MaxVarintLen64)*4/3 + 1 // characters
)

// cursor returns the place as text, bound to the scope of its list. It holds no
// secret and has no key: whoever makes one up can only begin at a place of their
// own choice in a list that they may read anyway. The checksum keeps clients from
// taking a cursor to another list by mistake.
func (p place) cursor(scope string) string {
	return string(p.appendCursor(make([]byte, 0, maxCursor), scope))
}

// appendCursor appends that text.
func (p place) appendCursor(dst []byte, scope string) []byte {
	const usual = 256 // bytes of what is hashed, for which nothing is allocated
	var at [2 * binary.MaxVarintLen64]byte
	n := binary.PutUvarint(at[:], uint64(p.id))
	n += binary.PutUvarint(at[n:], uint64(p.weight))
	b := append(append(append(make([]byte, 0, usual), cursorVersion...), 0), scope...)
	sum := sha256.Sum256(append(append(b, 0), at[:n]...))
	b = append(append(b[:0], sum[:cursorSum]...), at[:n]...)
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

// parseCursor returns the place that a cursor of this scope stands for.
func parseCursor(scope, text string) (place, bool) {
	if len(text) > maxCursor {
		return place{}, false
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < cursorSum {
		return place{}, false
	}
	id, n := binary.Uvarint(b[cursorSum:])
	weight, m := binary.Uvarint(b[cursorSum+max(n, 0):])
	p := place{id: int64(id), weight: int(weight)}
	// One place has one cursor: written again it has to be the same text, checksum
	// included.
	if n <= 0 || m <= 0 || p.id < 1 || p.weight < 0 || p.cursor(scope) != text {
		return place{}, false
	}
	return p, true
}

// after returns the place that the query option cursor stands for, the zero place
// without one.
func (r *request) after(filters []filter) (place, error) {
	text, count := r.param("cursor")
	if count == 0 {
		return place{}, nil
	}
	p, ok := parseCursor(r.scope(filters), text)
	if !ok || count > 1 {
		return place{}, failure{slug: wire.InvalidCursor}
	}
	return p, nil
}

// filter is a query option that says what is in a list. Its value is what holds,
// whether the client has sent it or not; "" leaves cursors free of it.
type filter struct{ name, value string }

// scope returns what cursors of the route's list are bound to: the route, whose
// list it is, and what is in it. None of the parts can contain a separator.
func (r *request) scope(filters []filter) string {
	const usual = 128 // bytes, for which nothing is allocated but the text itself
	b := append(make([]byte, 0, usual), r.route.name...)
	b = append(append(b, 0), r.pathParam...)
	for _, f := range filters {
		b = append(append(b, 0), f.name...)
		b = append(append(b, '='), f.value...)
	}
	return string(b)
}

// appendOptions appends the query of a link: what the client has sent of the filters
// and the limit. They have been checked, so nothing in them needs escaping.
func (r *request) appendOptions(dst []byte, filters []filter) []byte {
	for _, f := range filters {
		dst = r.appendOption(dst, f.name)
	}
	return r.appendOption(dst, "limit")
}

// appendOption appends one query option as it was sent, nothing if it was not.
func (r *request) appendOption(dst []byte, name string) []byte {
	value, count := r.param(name)
	if count == 0 {
		return dst
	}
	return append(append(append(append(dst, name...), '='), value...), '&')
}
