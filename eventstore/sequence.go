package eventstore

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Sequencer turns a batch of writes into numbered events. It is the part of a
// commit that drivers with a single writer share: they say what is in the log,
// it decides what comes next. A batch that was not committed must be forgotten
// with it: take a new Sequencer for each batch.
type Sequencer struct {
	Position Position                              // of the last event in the log
	Last     time.Time                             // of the last event in the log
	Version  func(Stream) (Version, error)         // of a stream in the log; 0 if there is none
	Number   func(category string) int64           // the highest number of a counter in the log
	Outcome  func([16]byte) (Outcome, bool, error) // what the log remembers of a key
	versions map[Stream]Version                    // of the streams this batch has touched
	numbers  map[string]int64                      // of the counters this batch has touched
	outcomes map[[16]byte]Outcome                  // of the keys this batch has used
}

// Sequenced is what a batch comes to: Events in order of their positions, and
// for each write its Result and the range of its events.
type Sequenced struct {
	Events  []Event
	Results []Result
	First   []int // index into Events of each write's first event; len(writes)+1 entries
}

// Sequence numbers a batch. Writes that can't be appended get their error in
// their Result; an error of its own means that the log could not be read.
func (q *Sequencer) Sequence(batch []Write, now time.Time) (Sequenced, error) {
	q.versions = make(map[Stream]Version, len(batch))
	q.numbers = make(map[string]int64, 1)
	q.outcomes = make(map[[16]byte]Outcome)
	q.Last = later(q.Last, now.UTC().Truncate(time.Microsecond))
	out := Sequenced{
		Events:  make([]Event, 0, len(batch)),
		Results: make([]Result, len(batch)),
		First:   make([]int, 0, len(batch)+1),
	}
	for i := range batch {
		out.First = append(out.First, len(out.Events))
		result, err := q.write(&batch[i], &out.Events)
		if err != nil {
			return Sequenced{}, err
		}
		out.Results[i] = result
	}
	out.First = append(out.First, len(out.Events))
	return out, nil
}

// write numbers the events of one write and appends them to events.
func (q *Sequencer) write(w *Write, events *[]Event) (Result, error) {
	if previous, err := q.previous(w.Key); err != nil || previous != nil {
		return Result{Previous: previous}, err
	}
	stream, numbers, highest, err := q.name(w)
	if err != nil {
		return Result{Err: err}, nil //nolint:nilerr // it refuses this write, not the batch
	}
	version, err := q.version(stream)
	if err != nil {
		return Result{}, err
	}
	if stream != (Stream{}) && w.Expected != Any && w.Expected != version {
		return Result{Err: &ConflictError{Stream: stream, Expected: w.Expected, Actual: version}}, nil
	}
	result := Result{Stream: stream}
	for i := range w.Events {
		version++
		q.Position++
		*events = append(*events, q.event(stream, version, numbers[i], &w.Events[i]))
		if result.Number == 0 {
			result.Number = numbers[i]
		}
	}
	result.Version, result.Position, result.Time = version, q.Position, q.Last
	if len(w.Events) > 0 { // only now: a refused write burns no number
		q.numbers[stream.Category] = highest
	}
	q.remember(w, result)
	return result, nil
}

// event returns an event at the current position and time.
func (q *Sequencer) event(stream Stream, version Version, number int64, e *NewEvent) Event {
	return Event{
		Stream: stream, Version: version, Position: q.Position, Number: number,
		Type: e.Type, Time: q.Last, Data: e.Data, Meta: e.Meta,
	}
}

// remember makes the write known to the rest of the batch.
func (q *Sequencer) remember(w *Write, r Result) {
	if len(w.Events) > 0 {
		q.versions[r.Stream] = r.Version
	}
	if w.Key != nil {
		q.outcomes[w.Key.Hash] = Outcome{
			Fingerprint: w.Key.Fingerprint, Stream: r.Stream, Version: r.Version,
			Position: r.Position, Events: len(w.Events), Data: w.Key.Outcome,
		}
	}
}

// previous returns the outcome of an earlier write with the same key, or nil.
func (q *Sequencer) previous(key *Key) (*Outcome, error) {
	if key == nil {
		return nil, nil
	}
	if o, ok := q.outcomes[key.Hash]; ok {
		return &o, nil
	}
	o, ok, err := q.Outcome(key.Hash)
	if err != nil || !ok {
		return nil, err
	}
	return &o, nil
}

// name gives the write's events their numbers and the stream its ID. It also
// returns what the counter's highest number is if the write is accepted.
func (q *Sequencer) name(w *Write) (stream Stream, numbers []int64, highest int64, err error) {
	stream = w.Stream
	if len(w.Events) == 0 {
		return stream, nil, 0, nil
	}
	highest, touched := q.numbers[stream.Category]
	if !touched {
		highest = q.Number(stream.Category)
	}
	numbers = make([]int64, len(w.Events))
	for i := range w.Events {
		if w.Events[i].Number == NoNumber {
			continue
		}
		if highest, err = next(highest, w.Events[i].Number); err != nil {
			return stream, nil, 0, fmt.Errorf("%w in %s", err, stream.Category)
		}
		numbers[i] = highest
	}
	if stream.ID == "" {
		stream.ID = strconv.FormatInt(numbers[0], 10)
	}
	return stream, numbers, highest, nil
}

// next returns the number for an event that asks for one, or brings one along.
func next(highest, asked int64) (int64, error) {
	switch {
	case highest == math.MaxInt64:
		return 0, fmt.Errorf("%w: the numbers are used up", ErrInvalid)
	case asked == NextNumber:
		return highest + 1, nil
	case asked <= highest:
		return 0, fmt.Errorf("%w: number %d is not above the highest, %d", ErrInvalid, asked, highest)
	}
	return asked, nil
}

// version returns a stream's version after what came before in the batch.
func (q *Sequencer) version(s Stream) (Version, error) {
	if v, ok := q.versions[s]; ok {
		return v, nil
	}
	if s == (Stream{}) {
		return 0, nil
	}
	return q.Version(s)
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
