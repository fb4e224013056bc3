package api

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

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
	b := make([]byte, cursorSum, maxCursor)
	b = binary.AppendUvarint(b, uint64(p.id))
	b = binary.AppendUvarint(b, uint64(p.weight))
	sum := sha256.Sum256([]byte(cursorVersion + "\x00" + scope + "\x00" + string(b[cursorSum:])))
	copy(b, sum[:cursorSum])
	return base64.RawURLEncoding.EncodeToString(b)
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
	var b strings.Builder
	b.WriteString(r.route.name)
	b.WriteByte(0)
	b.WriteString(r.pathParam)
	for _, f := range filters {
		b.WriteString("\x00" + f.name + "=" + f.value)
	}
	return b.String()
}

// options returns the query of a link: what the client has sent of the filters and
// the limit. They have been checked, so nothing in them needs escaping.
func (r *request) options(filters []filter) string {
	var b strings.Builder
	for _, f := range filters {
		b.WriteString(r.option(f.name))
	}
	return b.String() + r.option("limit")
}

// option returns one query option as it was sent, "" if it was not.
func (r *request) option(name string) string {
	value, count := r.param(name)
	if count == 0 {
		return ""
	}
	return name + "=" + value + "&"
}

// link tells the client where the list goes on.
func (r *request) link(query string) {
	r.w.Header()["Link"] = []string{"<" + r.prefix + r.path + "?" + query + `>; rel="next"`}
}
