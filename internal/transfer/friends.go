package transfer

import (
	"bytes"
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// friendship is one to be made.
type friendship struct {
	a, b int32 // in the directory
	line int
}

// friendsReader takes in the lines of an edge list: two ids a line, separated by
// spaces, a tab, a comma or a semicolon, what follows them is ignored; or an object
// with userId and friendId a line. The first line may be a header.
type friendsReader struct {
	dir   *directory
	odd   *Odd
	found []friendship
	seen  map[[2]int32]bool // pairs, the smaller first; whether the smaller was named first
	begun bool
}

// line takes in one line.
func (r *friendsReader) line(n int, text []byte) error {
	first := !r.begun
	r.begun = true
	if !utf8.Valid(text) {
		r.odd.note(NoUTF8, n, "")
		return nil
	}
	x, y, ok := idsOf(text)
	switch {
	case first && ok && r.header(x, y):
	case !ok:
		r.odd.note(Unread, n, "want two ids")
	case x == y:
		r.odd.note(Oneself, n, x)
	default:
		r.add(n, x, y)
	}
	return nil
}

// header says whether a first line names columns: neither word is a number or
// somebody's id.
func (r *friendsReader) header(x, y string) bool {
	for _, word := range []string{x, y} {
		if _, known := r.dir.find(word); known {
			return false
		}
		if _, err := strconv.ParseInt(word, 10, 64); err == nil {
			return false
		}
	}
	return true
}

// idsOf returns the two ids of a line, as they are spelled: "07" and "7" may be two
// people.
func idsOf(text []byte) (x, y string, ok bool) {
	if bytes.TrimSpace(text)[0] == '{' {
		var pair struct{ UserID, FriendID json.RawMessage }
		if json.Unmarshal(text, &pair) != nil {
			return "", "", false
		}
		x, errX := scalar(pair.UserID)
		y, errY := scalar(pair.FriendID)
		return x, y, errX == nil && errY == nil && x != "" && y != ""
	}
	words := bytes.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' || c == ';' })
	if len(words) < 2 {
		return "", "", false
	}
	return string(unquoted(words[0])), string(unquoted(words[1])), true
}

// unquoted takes the quotes of CSV away.
func unquoted(word []byte) []byte {
	if n := len(word); n > 2 && word[0] == '"' && word[n-1] == '"' {
		return word[1 : n-1]
	}
	return word
}

// add takes in a friendship. One that is named again, from either side, would be
// agreed to or refused by the system; left out here it is counted for what it is.
func (r *friendsReader) add(n int, x, y string) {
	a, knownA := r.dir.person(x)
	b, knownB := r.dir.person(y)
	switch {
	case !knownA:
		r.odd.note(Unknown, n, x)
		return
	case !knownB:
		r.odd.note(Unknown, n, y)
		return
	}
	pair, forward := [2]int32{a, b}, true
	if b < a {
		pair, forward = [2]int32{b, a}, false
	}
	before, seen := r.seen[pair]
	switch {
	case seen && before == forward:
		r.odd.note(Repeated, n, "")
	case seen:
		r.odd.note(Reversed, n, "")
	default:
		r.seen[pair] = forward
		r.found = append(r.found, friendship{a: a, b: b, line: n})
	}
}
