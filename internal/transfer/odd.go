package transfer

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

// Reason says why a line was not taken in.
type Reason string

// The reasons.
const (
	TooLong  Reason = "the line is too long"
	Unread   Reason = "not a record"
	NoUTF8   Reason = "not UTF-8"
	BadName  Reason = "a name that is not allowed"
	SameID   Reason = "an id that was there before"
	Oneself  Reason = "a friendship with oneself"
	Repeated Reason = "a friendship that was there before"
	Reversed Reason = "a friendship that was there before, the other way round"
	Unknown  Reason = "a person who is not known"
	Erased   Reason = "a person who was erased"
)

// Odd gathers the lines of one file that were not taken in: all of them as counts,
// the first ones of each reason with their numbers. It is safe for concurrent use.
type Odd struct {
	File string
	keep int

	mu    sync.Mutex
	kinds []oddKind // in the order in which they first came
}

// oddKind is what is known of one reason. The list is short, whatever the file: a
// million bad lines must not cost more memory than five.
type oddKind struct {
	reason Reason
	count  int
	first  []oddLine // by number of the line
}

// oddLine is one line.
type oddLine struct {
	number int
	detail string
}

// note takes a line in.
func (o *Odd) note(reason Reason, line int, detail string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.kinds, func(k oddKind) bool { return k.reason == reason })
	if i < 0 {
		i = len(o.kinds)
		o.kinds = append(o.kinds, oddKind{reason: reason})
	}
	k := &o.kinds[i]
	k.count++
	// While sending, lines come in any order; the first ones by number are kept.
	at, _ := slices.BinarySearchFunc(k.first, line, func(l oddLine, n int) int { return l.number - n })
	if at < o.keep {
		k.first = slices.Insert(k.first, at, oddLine{line, detail})
		k.first = k.first[:min(len(k.first), o.keep)]
	}
}

// Count returns how many lines were not taken in.
func (o *Odd) Count() (sum int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.kinds {
		sum += k.count
	}
	return sum
}

// Of returns how many lines there were for a reason.
func (o *Odd) Of(reason Reason) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, k := range o.kinds {
		if k.reason == reason {
			return k.count
		}
	}
	return 0
}

// Write writes the report for people; nothing if nothing was odd.
func (o *Odd) Write(out io.Writer) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b strings.Builder
	for _, k := range o.kinds {
		fmt.Fprintf(&b, "%s: left out %d × %s\n", o.File, k.count, k.reason)
		for _, l := range k.first {
			fmt.Fprintf(&b, "  line %d", l.number)
			if l.detail != "" {
				b.WriteString(": " + l.detail)
			}
			b.WriteByte('\n')
		}
		if more := k.count - len(k.first); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}
