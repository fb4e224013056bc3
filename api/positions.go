package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"ensemble/eventstore"
)

// logName is how positions and versions of one log are written.
type logName struct {
	name    string
	lineage eventstore.Lineage
}

// nameLog learns the identity of a log. It never changes while the log is open.
func nameLog(ctx context.Context, name string, store *eventstore.Store) (logName, error) {
	head, err := store.Head(ctx)
	if err != nil {
		return logName{}, fmt.Errorf("learn the identity of log %s: %w", name, err)
	}
	return logName{name: name, lineage: head.Lineage}, nil
}

// position returns the token of a position: user:18@3f2a91c0.
func (l *logName) position(p eventstore.Position) string {
	b := make([]byte, 0, 40)
	b = append(append(b, l.name...), ':')
	b = strconv.AppendInt(b, int64(p), 10)
	uuid := l.lineage.At(p) // after a restore, older positions keep their name
	return string(hex.AppendEncode(append(b, '@'), uuid[:4]))
}

// etag returns the strong entity tag of a version: "3-3f2a91c0".
func (l *logName) etag(v eventstore.Version) string {
	b := make([]byte, 0, 40)
	b = strconv.AppendInt(append(b, '"'), int64(v), 10)
	// The first UUID, so that a restored log keeps the tags of what it restored.
	b = hex.AppendEncode(append(b, '-'), l.lineage[0].UUID[:4])
	return string(append(b, '"'))
}

// moved tells the client up to where it has to have read to see its command.
func (l *logName) moved(r *request, p eventstore.Position) {
	r.w.Header()["Event-Position"] = []string{l.position(p)}
}

// noneMatch says whether the client has that version already. The comparison is
// the weak one, as RFC 9110 asks for here.
func noneMatch(r *request, etag string) bool {
	for _, header := range r.Header["If-None-Match"] {
		if header == "*" {
			return true
		}
		for tag := range strings.SplitSeq(header, ",") {
			if strings.TrimPrefix(strings.Trim(tag, " \t"), "W/") == etag {
				return true
			}
		}
	}
	return false
}
