package recommendation

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ensemble/eventstore"
)

// ErrOtherLog means that a snapshot is not about the log that is there: a backup was
// restored, or an older copy put back.
var ErrOtherLog = errors.New("it is about another log than the one that is there")

// Origin says which events of one log a snapshot holds: at least all up to a position. It
// is enough to tell that log from any other, also from its own past and from a copy of it
// that has grown in another way:
//
//	                  ┌─ 4' 5' 6'   a backup of 1…3 was restored: from 4' on another UUID
//	log ── 1 ─ 2 ─ 3 ─┼─ 4  5  6    the log that the snapshot is about
//	                  └─ 4" 5" 6"   a copy was put back: the same UUID, other events
type Origin struct {
	Log      string              `json:"log"`      // what the log is called
	UUID     string              `json:"uuid"`     // by which it was known at that position, in hexadecimal
	Position eventstore.Position `json:"position"` // of the last event
	Event    string              `json:"event"`    // SHA-256 of that event; "" at position 0
}

// Meta is what stands in front of a snapshot. It is written as JSON, so that 'head' shows
// an operator what a file is.
type Meta struct {
	Number  int64     `json:"number"` // snapshots are numbered as they are written
	Written time.Time `json:"written"`
	Logs    []Origin  `json:"logs"` // of users, of friendships

	// Topics says how far two topics are in it, if it is made from those: it belongs to
	// whoever follows them.
	Topics json.RawMessage `json:"topics,omitempty"`
}

// Live returns the backend that answers now. A rebuild may put another in its place.
func (s *Service) Live() Backend { return s.backend() }

// Log is what is asked of a log to know whether a snapshot is about it.
type Log struct {
	Name    string
	Head    func(context.Context) (eventstore.Head, error)
	ReadAll func(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error)
}

// Origin describes the log up to a position.
//
// Errors: [ErrOtherLog] when the log ends before, those of the log.
func (l *Log) Origin(ctx context.Context, at eventstore.Position) (Origin, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return Origin{}, fmt.Errorf("read the head of the log of %ss: %w", l.Name, err)
	}
	if at > head.Position {
		return Origin{}, fmt.Errorf("%w: it holds event %d of the log of %ss, which ends at %d", ErrOtherLog, at, l.Name, head.Position)
	}
	uuid := head.Lineage.At(at)
	o := Origin{Log: l.Name, UUID: hex.EncodeToString(uuid[:]), Position: at}
	if at == 0 {
		return o, nil
	}
	last, err := l.ReadAll(ctx, at-1, 1)
	if err != nil {
		return o, fmt.Errorf("read event %d of the log of %ss: %w", at, l.Name, err)
	}
	if len(last) != 1 || last[0].Position != at {
		return o, fmt.Errorf("%w: there is no event %d in the log of %ss", ErrOtherLog, at, l.Name)
	}
	o.Event = fingerprint(&last[0])
	return o, nil
}

// Has says whether the log is the one that a snapshot was made from, and still has what
// the snapshot holds. The last event is compared too: when an older copy takes the place
// of a log, it keeps the log's name, and grows past the position with other events.
//
// Errors: [ErrOtherLog], those of the log.
func (l *Log) Has(ctx context.Context, o Origin) error {
	now, err := l.Origin(ctx, o.Position)
	switch {
	case err != nil:
		return err
	case now.UUID != o.UUID:
		return fmt.Errorf("%w: at position %d the log of %ss was known as %.8s, and it says %.8s", ErrOtherLog, o.Position, l.Name, now.UUID, o.UUID)
	case now.Event != o.Event:
		return fmt.Errorf("%w: event %d of the log of %ss is another one", ErrOtherLog, o.Position, l.Name)
	}
	return nil
}

// Mark is the last event of a log that a backend holds which keeps its own checkpoint. The
// zero Mark: none.
type Mark struct {
	Position eventstore.Position
	Time     time.Time // of that event
}

// Holds says whether a mark is in the log. When another log takes the place of the one that
// the mark is from, it has another event at that position, of another time. Feeds have times
// in milliseconds, so it is those that are compared.
//
// Errors: [ErrOtherLog], those of the log.
func (l *Log) Holds(ctx context.Context, m Mark) error {
	if m.Position == 0 {
		return nil
	}
	last, err := l.ReadAll(ctx, m.Position-1, 1)
	if err != nil {
		return fmt.Errorf("read event %d of the log of %ss: %w", m.Position, l.Name, err)
	}
	if len(last) != 1 || last[0].Position != m.Position || last[0].Time.UnixMilli() != m.Time.UnixMilli() {
		return fmt.Errorf("%w: event %d of the log of %ss is another one", ErrOtherLog, m.Position, l.Name)
	}
	return nil
}

// fingerprint returns a hash over all that makes an event the one it is. Each text stands
// behind its length, so that no two events are written in the same way; metadata, which is
// no part of the fact, is left out.
func fingerprint(e *eventstore.Event) string {
	h := sha256.New()
	var numbers []byte
	for _, n := range [...]int64{int64(e.Position), int64(e.Version), e.Number, e.Time.UnixMicro()} {
		numbers = binary.LittleEndian.AppendUint64(numbers, uint64(n))
	}
	h.Write(numbers)
	for _, text := range [...]string{e.Stream.String(), e.Type, string(e.Data)} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Encode returns the meta as it is written: JSON, so that people can read it too.
func (m *Meta) Encode() ([]byte, error) { return json.Marshal(m) }

// DecodeMeta is the inverse of [Meta.Encode]. A snapshot of our own is about the log of
// users and that of friendships, by these names and in this order.
func DecodeMeta(data []byte, users, friends string) (m Meta, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("read what a snapshot is about: %w", err)
	}
	if len(m.Logs) != 2 || m.Logs[0].Log != users || m.Logs[1].Log != friends || m.Logs[0].Position < 0 || m.Logs[1].Position < 0 {
		return m, fmt.Errorf("it is about %d logs, or others than %ss and %ss", len(m.Logs), users, friends)
	}
	return m, nil
}
