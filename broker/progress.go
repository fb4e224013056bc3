package broker

import (
	"fmt"
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
// A record without headers of ours is taken in once, by its offset.
type Progress struct {
	Lineage  eventstore.Lineage  `json:"lineage,omitempty"` // of the log, as far as it is known
	Learned  int64               `json:"learned,omitempty"` // the offset of the record that said so
	Position eventstore.Position `json:"position"`          // the last event taken in
	Offsets  []int64             `json:"offsets"`           // by partition: where to go on
	Foreign  bool                `json:"foreign,omitempty"` // the last record was not one of ours
	Gap      eventstore.Position `json:"gap,omitempty"`     // the first event beyond a gap after Position; 0: none
}

// ReplacedError means that the log behind a topic was replaced: a backup was restored, and
// went on from a position that was left behind. What was made from the events since then
// has to be made anew, from the beginning of the topic.
type ReplacedError struct {
	Topic   string
	At      eventstore.Position // the first position that is another event now
	Lineage eventstore.Lineage  // of the log that took its place
	Learned int64               // the offset of the record that says so
}

// Error implements error.
func (e *ReplacedError) Error() string {
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
	p.Position, p.Gap, p.Foreign = o.Position, 0, false
	return takeIn, nil
}

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
	at := fork(p.Lineage, o.Lineage)
	if at == 0 { // it goes on under another name
		at = o.Lineage[len(p.Lineage)].First
	}
	if at <= p.Position {
		return &ReplacedError{Topic: topic, At: at, Lineage: slices.Clone(o.Lineage), Learned: offset}
	}
	p.Lineage, p.Learned = slices.Clone(o.Lineage), offset
	return nil
}

// past says whether an offset was passed before, and passes it.
func (p *Progress) past(partition int32, offset int64) bool {
	for int(partition) >= len(p.Offsets) {
		p.Offsets = append(p.Offsets, 0)
	}
	if offset < p.Offsets[partition] {
		return true
	}
	p.Offsets[partition] = offset + 1
	return false
}

// clone returns a copy that shares nothing.
func (p *Progress) clone() Progress {
	c := *p
	c.Lineage, c.Offsets = slices.Clone(p.Lineage), slices.Clone(p.Offsets)
	return c
}
