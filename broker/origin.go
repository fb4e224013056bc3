package broker

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ensemble/eventstore"
)

// The headers that say which event of which log a record is. Drawn in
// docs/format/topics.md.
const (
	headerLog      = "ensemble-log"      // the UUID under which the event was written
	headerPosition = "ensemble-position" // its position there
	headerLineage  = "ensemble-lineage"  // of a log that has more than one UUID
)

// Origin says which event of which log a record is.
type Origin struct {
	Position eventstore.Position
	Lineage  eventstore.Lineage // of the log, when the record was made
}

// errOrigin means that a record has headers of ours that make no sense.
var errOrigin = errors.New("the headers that say which event it is make no sense")

// Stamp appends the headers that say which event of which log a record is. Whoever
// renders records ends their headers with it. Their texts are appended to room, which is
// returned too: many small texts in one piece of memory cost less.
func Stamp(dst []Header, room []byte, p eventstore.Position, lineage eventstore.Lineage) ([]Header, []byte) {
	from := len(room)
	room = appendUUID(room, lineage.At(p))
	dst = append(dst, Header{headerLog, slices.Clip(room[from:])})
	from = len(room)
	room = strconv.AppendInt(room, int64(p), 10)
	dst = append(dst, Header{headerPosition, slices.Clip(room[from:])})
	if len(lineage) > 1 {
		from = len(room)
		room = appendLineage(room, lineage)
		dst = append(dst, Header{headerLineage, slices.Clip(room[from:])})
	}
	return dst, room
}

// appendUUID appends a UUID in its text form of five groups.
func appendUUID(dst []byte, uuid [16]byte) []byte {
	dst = hex.AppendEncode(dst, uuid[:4])
	for _, group := range [][]byte{uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), group)
	}
	return dst
}

// parseUUID is the inverse of appendUUID.
func parseUUID(text string) (uuid [16]byte, err error) {
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(b) != len(uuid) {
		return uuid, fmt.Errorf("%w: %q is no UUID", errOrigin, text)
	}
	return [16]byte(b), nil
}

// appendLineage appends the entries of a lineage: uuid@first, with commas between.
func appendLineage(dst []byte, l eventstore.Lineage) []byte {
	for i, fork := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendUUID(dst, fork.UUID), '@')
		dst = strconv.AppendInt(dst, int64(fork.First), 10)
	}
	return dst
}

// parseLineage is the inverse of appendLineage.
func parseLineage(text string) (l eventstore.Lineage, err error) {
	for entry := range strings.SplitSeq(text, ",") {
		id, first, _ := strings.Cut(entry, "@")
		var fork eventstore.Fork
		if fork.UUID, err = parseUUID(id); err != nil {
			return nil, err
		}
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil || n < 1 || len(l) > 0 && n < int64(l[len(l)-1].First) {
			return nil, fmt.Errorf("%w: %q is no lineage", errOrigin, text)
		}
		fork.First = eventstore.Position(n)
		l = append(l, fork)
	}
	return l, nil
}

// OriginOf reads which event of which log a record is; false for a record that is not
// one of ours.
//
// Errors: headers of ours that make no sense.
func OriginOf(r *Record) (Origin, bool, error) {
	log, position := r.Header(headerLog), r.Header(headerPosition)
	if log == nil && position == nil {
		return Origin{}, false, nil
	}
	uuid, err := parseUUID(string(log))
	if err != nil {
		return Origin{}, false, err
	}
	p, err := strconv.ParseInt(string(position), 10, 64)
	if err != nil || p < 1 {
		return Origin{}, false, fmt.Errorf("%w: %q is no position", errOrigin, position)
	}
	o := Origin{Position: eventstore.Position(p), Lineage: eventstore.Lineage{{UUID: uuid, First: 1}}}
	if text := r.Header(headerLineage); text != nil {
		if o.Lineage, err = parseLineage(string(text)); err != nil {
			return Origin{}, false, err
		}
		if o.Lineage.At(o.Position) != uuid {
			return Origin{}, false, fmt.Errorf("%w: position %d of %q is not of the log %q", errOrigin, p, text, log)
		}
	}
	return o, true, nil
}

// fork returns the first position at which two lineages differ, 0 if one goes on from
// where the other ends or they are the same.
func fork(a, b eventstore.Lineage) eventstore.Position {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return min(a[i].First, b[i].First)
		}
	}
	return 0
}

// descends says whether a log with the lineage b was once one with the lineage a.
func descends(b, a eventstore.Lineage) bool {
	return len(b) >= len(a) && slices.Equal(b[:len(a)], a)
}
