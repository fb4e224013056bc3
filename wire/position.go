package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxPositions is how many positions one header may name.
const MaxPositions = 16

// ErrPosition means that a text is not a position, or not a list of them.
var ErrPosition = errors.New("not a position such as user:18 or friend:77@3f2a91c0")

// Position is a place in a log as it travels, for instance friend:77@3f2a91c0.
type Position struct {
	Log      string // "user"
	Position int64  // of an event; 0 is before the first
	Lineage  string // 8 hex digits of the UUID under which it was written, or "": the token does not say
}

// String returns the token.
func (p Position) String() string {
	b := append(make([]byte, 0, 40), p.Log...)
	b = strconv.AppendInt(append(b, ':'), p.Position, 10)
	if p.Lineage != "" {
		b = append(append(b, '@'), p.Lineage...)
	}
	return string(b)
}

// ParsePosition is the inverse of [Position.String].
//
// Errors: [ErrPosition].
func ParsePosition(s string) (p Position, err error) {
	log, rest, _ := strings.Cut(s, ":")
	number, lineage, named := strings.Cut(rest, "@")
	position, ok := ParseCursor(number)
	if !ok || !isLogName(log) || named && !isLineage(lineage) {
		return Position{}, fmt.Errorf("%w: %.60q", ErrPosition, s)
	}
	return Position{Log: log, Position: position, Lineage: lineage}, nil
}

// ParsePositions reads the values of a header that lists positions, separated by
// commas. Empty members are skipped, as RFC 9110 wants it of a list.
//
// Errors: [ErrPosition], also for a list of none or of more than [MaxPositions].
func ParsePositions(values []string) (positions []Position, err error) {
	for _, value := range values {
		for token := range strings.SplitSeq(value, ",") {
			if token = strings.Trim(token, " \t"); token == "" {
				continue
			}
			p, err := ParsePosition(token)
			if err != nil {
				return nil, err
			}
			if positions = append(positions, p); len(positions) > MaxPositions {
				return nil, fmt.Errorf("%w: there are more than %d", ErrPosition, MaxPositions)
			}
		}
	}
	if len(positions) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrPosition)
	}
	return positions, nil
}

// ParseCursor reads where a feed goes on, as Last-Event-ID and the parameter after
// have it: 0, or what [ParseID] takes.
func ParseCursor(s string) (position int64, ok bool) {
	if s == "0" {
		return 0, true
	}
	return ParseID(s)
}

// isLogName says whether s looks like the name of a log, known or not.
func isLogName(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// isLineage says whether s is 8 lower-case hex digits.
func isLineage(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return len(s) == 8
}
