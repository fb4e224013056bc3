package wire

import (
	"encoding/hex"
	"fmt"
	"strings"

	"ensemble/eventstore"
)

// LogHead is where a log ends and which log it is.
type LogHead struct {
	Log      string `json:"log"`
	Position int64  `json:"position"` // of the last event; 0: there is none
	Lineage  []Fork `json:"lineage" nullable:"false"`
}

// Fork says by which UUID a log is known from a position on.
type Fork struct {
	UUID  string `json:"uuid"`
	First int64  `json:"first"`
}

// NewLogHead returns the head of a log as clients read it.
func NewLogHead(log string, head eventstore.Head) LogHead {
	h := LogHead{Log: log, Position: int64(head.Position), Lineage: make([]Fork, len(head.Lineage))}
	for i, fork := range head.Lineage {
		h.Lineage[i] = Fork{UUID: string(AppendUUID(nil, fork.UUID)), First: int64(fork.First)}
	}
	return h
}

// Head is the inverse of [NewLogHead]; the time of the last event is not known.
//
// Errors: a lineage that is empty, not ascending, or not of UUIDs.
func (h *LogHead) Head() (head eventstore.Head, err error) {
	head.Position = eventstore.Position(h.Position)
	last := int64(0)
	for _, fork := range h.Lineage {
		id, err := ParseUUID(fork.UUID)
		if err != nil || fork.First <= last {
			return head, fmt.Errorf("the log %s says that it is %q from %d on, after %d", h.Log, fork.UUID, fork.First, last)
		}
		last = fork.First
		head.Lineage = append(head.Lineage, eventstore.Fork{UUID: id, First: eventstore.Position(fork.First)})
	}
	if len(head.Lineage) == 0 || h.Position < 0 {
		return head, fmt.Errorf("the log %s does not say which log it is", h.Log)
	}
	return head, nil
}

// ParseUUID is the inverse of [AppendUUID].
func ParseUUID(text string) (uuid [16]byte, err error) {
	plain := strings.ReplaceAll(text, "-", "")
	if n, err := hex.Decode(uuid[:], []byte(plain)[:min(len(plain), 2*len(uuid))]); err != nil || n != len(uuid) ||
		string(AppendUUID(nil, uuid)) != text {
		return [16]byte{}, fmt.Errorf("%.40q is not a UUID", text)
	}
	return uuid, nil
}
