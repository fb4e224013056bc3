package broker

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"slices"

	"ensemble/eventstore"
)

// Progress is how far a read side has come in a topic: in the log behind it, and in
// each partition. It moves together with the state of the read side, and is saved with
// it. The zero Progress is the beginning.
//
// # Which records are taken in
//
// A topic of ours has a record for each event of a log, and perhaps more:
//
//	A1 A2 A3 A2 A3 A4            a relay that began again: 2 and 3 twice
//	A1 A2 A3 B3 B4               the log was restored from a backup of 1…2: A3 is void
//	A1 A2 ─ ─ A5 A3 A4 A5        the broker had lost its end; the relay noticed after 5
//
// A record is taken in if it is the next event of the log, as the log is now. What came
// before is passed over, and so is what lies behind a gap: the relay sends everything
// again from where the topic is whole, so it comes once more.
//
// A record without headers of ours is taken in once, by its offset. Whether the topic is
// still the one that the offsets are of is seen from the record before them, which is read
// once more whenever reading begins.
type Progress struct {
	Lineage  eventstore.Lineage  `json:"lineage,omitempty"` // of the log, as far as it is known
	Learned  int64               `json:"learned,omitempty"` // the offset of the record that said so
	Position eventstore.Position `json:"position"`          // the last event taken in
	Offsets  []int64             `json:"offsets"`           // by partition: where to go on
	Marks    []uint64            `json:"marks"`             // by partition: a hash of the record before that
	Foreign  bool                `json:"foreign,omitempty"` // the last record was not one of ours
	Gap      eventstore.Position `json:"gap,omitempty"`     // the first event beyond a gap after Position; 0: none
	Sought   bool                `json:"sought,omitempty"`  // what is missing there was looked for from the beginning on
}

// ReplacedError means that the log behind a topic was replaced: a backup was restored, and
// went on from a position that was left behind; or, of records without positions, that the
// topic is another one by now. What was made from the events since then
// has to be made anew, from the beginning of the topic.
type ReplacedError struct {
	Topic   string
	At      eventstore.Position // the first position that is another event now
	Lineage eventstore.Lineage  // of the log that took its place
	Learned int64               // the offset of the record that says so
}

// Error implements error.
func (e *ReplacedError) Error() string {
	if e.At == 0 {
		return fmt.Sprintf("topic %s is another one than what was read of it", e.Topic)
	}
	return fmt.Sprintf("the log behind topic %s was replaced: from position %d on it has other events", e.Topic, e.At)
}

// Again returns the progress of a read side that begins anew with the log that took the
// other's place.
func (e *ReplacedError) Again() Progress { return Progress{Lineage: e.Lineage, Learned: e.Learned} }

// verdict is what is to be done with a record.
type verdict int

const (
	passOver verdict = iota
	takeIn
	beyondGap // not yet: events before it are missing
)

// judge says what is to be done with a record of ours at an offset, and learns from it
// what the log is.
//
// Errors: [ReplacedError].
func (p *Progress) judge(topic string, o Origin, offset int64) (verdict, error) {
	if err := p.learn(topic, o, offset); err != nil {
		return passOver, err
	}
	switch {
	case p.Lineage.At(o.Position) != o.Lineage.At(o.Position), o.Position <= p.Position:
		return passOver, nil
	case o.Position > p.Position+1:
		if p.Gap == 0 {
			p.Gap = o.Position
		}
		return beyondGap, nil
	}
	p.reach(o.Position)
	p.Foreign = false
	return takeIn, nil
}

// reach moves to a position, before which nothing is missing.
func (p *Progress) reach(to eventstore.Position) { p.Position, p.Gap, p.Sought = to, 0, false }

// learn takes the lineage of a record's log over, if that is a later one.
func (p *Progress) learn(topic string, o Origin, offset int64) error {
	switch {
	case len(p.Lineage) == 0:
		p.Lineage, p.Learned = slices.Clone(o.Lineage), offset
		return nil
	case descends(p.Lineage, o.Lineage): // what is known, or an ancestor of it
		return nil
	case offset <= p.Learned: // older than what is known
		return nil
	}
	return p.follow(topic, o.Lineage, offset)
}

// follow takes a lineage over that the log is known to have.
func (p *Progress) follow(topic string, lineage eventstore.Lineage, offset int64) error {
	at := fork(p.Lineage, lineage)
	if at == 0 && len(p.Lineage) > 0 && len(lineage) > len(p.Lineage) { // it goes on under another name
		at = lineage[len(p.Lineage)].First
	}
	if at > 0 && at <= p.Position {
		return &ReplacedError{Topic: topic, At: at, Lineage: slices.Clone(lineage), Learned: offset}
	}
	p.Lineage, p.Learned = slices.Clone(lineage), max(p.Learned, offset)
	return nil
}

// passed says whether an offset was passed before.
func (p *Progress) passed(partition int32, offset int64) bool {
	return int(partition) < len(p.Offsets) && offset < p.Offsets[partition]
}

// past passes an offset.
func (p *Progress) past(partition int32, offset int64) {
	for int(partition) >= len(p.Offsets) {
		p.Offsets, p.Marks = append(p.Offsets, 0), append(p.Marks, 0)
	}
	p.Offsets[partition] = max(p.Offsets[partition], offset+1)
}

// mark notes what the last record of a partition is.
func (p *Progress) mark(r *Record) {
	if int(r.Partition) < len(p.Offsets) && p.Offsets[r.Partition] == r.Offset+1 {
		p.Marks[r.Partition] = markOf(r)
	}
}

// other says whether a record lies in the place of another, which was the last one: the
// topic has lost its end, and grown again.
func (p *Progress) other(r *Record) bool {
	return int(r.Partition) < len(p.Offsets) && p.Offsets[r.Partition] == r.Offset+1 && p.Marks[r.Partition] != markOf(r)
}

// forget begins with another topic. What has positions is told from what comes again by
// these; what has none was made from a topic that is gone.
//
// Errors: [ReplacedError].
func (p *Progress) forget(topic string) error {
	if p.Position == 0 {
		return &ReplacedError{Topic: topic}
	}
	p.Offsets, p.Marks, p.Learned, p.Sought = nil, nil, -1, false
	return nil
}

// markOf returns a hash of all that makes a record the one it is.
func markOf(r *Record) uint64 {
	h := fnv.New64a()
	for _, text := range [][]byte{r.Key, r.Value, r.Header(headerLog), r.Header(headerPosition), r.Header(headerLineage)} {
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text)))) // it never fails
		_, _ = h.Write(text)
	}
	_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(r.Time.UnixMilli())))
	return h.Sum64()
}

// clone returns a copy that shares nothing.
func (p *Progress) clone() Progress {
	c := *p
	c.Lineage, c.Offsets, c.Marks = slices.Clone(p.Lineage), slices.Clone(p.Offsets), slices.Clone(p.Marks)
	return c
}
