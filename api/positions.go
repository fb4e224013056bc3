package api

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"ensemble/decider"
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
	uuid := l.lineage.At(p)
	return string(hex.AppendEncode(append(b, '@'), uuid[:identityBytes]))
}

// identity returns how the log is called at a position. After a restore, older
// positions keep their name.
func (l *logName) identity(p eventstore.Position) string {
	uuid := l.lineage.At(p)
	return hex.EncodeToString(uuid[:identityBytes])
}

// identityBytes is how many bytes of a UUID name a log to clients.
const identityBytes = 4

// etag returns the strong entity tag of a version: "3-3f2a91c0".
func (l *logName) etag(v eventstore.Version) string {
	b := make([]byte, 0, 40)
	b = strconv.AppendInt(append(b, '"'), int64(v), 10)
	// The last UUID: after a restore a version is not what the same version was in
	// the log that was lost.
	b = hex.AppendEncode(append(b, '-'), l.lineage[len(l.lineage)-1].UUID[:identityBytes])
	return string(append(b, '"'))
}

// moved tells the client up to where it has to have read to see its command.
func (l *logName) moved(r *request, p eventstore.Position) {
	r.set("Event-Position", l.position(p))
}

// noneMatch says whether the client has that version already. The comparison is
// the weak one, as RFC 9110 asks for here.
func noneMatch(r *request, etag string) bool {
	for tag := range tags(r.Header["If-None-Match"]) {
		if tag == anyTag || strings.TrimPrefix(tag, "W/") == etag {
			return true
		}
	}
	return false
}

// ifMatch returns at which versions a command may happen, nil for at any: those
// whose tags the client names in If-Match. The comparison is the strong one, so a
// weak tag, or what is no tag at all, matches nothing.
func (l *logName) ifMatch(r *request) decider.Condition {
	headers, sent := r.Header["If-Match"]
	if !sent {
		return nil
	}
	return func(v eventstore.Version) bool {
		etag := l.etag(v)
		for tag := range tags(headers) {
			if tag == anyTag || tag == etag {
				return true
			}
		}
		return false
	}
}

// anyTag stands for whatever version there is.
const anyTag = "*"

// tags returns the entity tags of a header as they were sent. The star is one only
// where it stands alone in its line.
func tags(headers []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, header := range headers {
			// A tag may contain commas. None of ours does, and what is cut off a
			// foreign one lacks a quote, so it can't be taken for ours.
			for tag := range strings.SplitSeq(header, ",") {
				tag = strings.Trim(tag, " \t")
				if tag == anyTag && strings.Trim(header, " \t") != anyTag {
					continue
				}
				if !yield(tag) {
					return
				}
			}
		}
	}
}
