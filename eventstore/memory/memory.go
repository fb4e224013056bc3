// Package memory keeps a log in memory: for tests, and to read the contract of
// [eventstore.Driver] in its shortest form.
//
// It guarantees all of that contract but durability: the log is gone with the
// process.
//
// # How to read it
//
// A commit is a few lines here, because nothing has to be made durable. What it does
// is what any driver does, in the same order:
//
//	sequence   positions, versions, numbers and the time of the whole batch
//	views      the rows that each event changes, in every generation
//	append     events to a slice, streams to an index, keys to a map
//
// Everything is under one lock, so a reader sees all of a commit or nothing of it.
// Whatever this package gets away with and SQLite does not is not part of the
// contract: package storetest runs the same sentences over both.
package memory

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"ensemble/eventstore"
)

// Options configures a [Log]. The zero value is ready to use.
type Options struct {
	// Views are written in the same commit as the events.
	Views []eventstore.View
	// KeepKeys is how many idempotency keys are remembered, the latest ones.
	// 0 means 5,000,000.
	KeepKeys int
	// KeepKeysFor is how long a key is remembered. 0 means 24 hours.
	KeepKeysFor time.Duration
}

// Log is a log in memory. It implements [eventstore.Driver].
type Log struct {
	opts    Options
	lineage eventstore.Lineage

	mu      sync.RWMutex
	closed  bool
	events  []eventstore.Event
	streams map[eventstore.Stream][]int // indices into events
	numbers map[string]int64
	keys    map[[16]byte]eventstore.Outcome
	order   []usedKey // the oldest first
	tables  map[string]*table
	green   map[string]*table // written too; nil unless the views are being rebuilt

	rebuilding sync.Mutex // one rebuild at a time
}

// usedKey is a key in the order of its commit.
type usedKey struct {
	hash [16]byte
	at   time.Time
}

// New returns an empty log.
func New(opts Options) *Log {
	if opts.KeepKeys == 0 {
		opts.KeepKeys = 5_000_000
	}
	if opts.KeepKeysFor == 0 {
		opts.KeepKeysFor = 24 * time.Hour
	}
	l := &Log{
		opts:    opts,
		lineage: eventstore.Lineage{{First: 1}},
		streams: map[eventstore.Stream][]int{},
		numbers: map[string]int64{},
		keys:    map[[16]byte]eventstore.Outcome{},
		tables:  newTables(opts.Views),
	}
	_, _ = rand.Read(l.lineage[0].UUID[:]) // it never fails, since Go 1.24
	return l
}

// Commit implements [eventstore.Driver].
func (l *Log) Commit(_ context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, eventstore.ErrClosed
	}
	now := time.Now()
	l.expire(now)
	q := l.sequencer()
	s, err := q.Sequence(batch, now)
	if err != nil {
		return nil, err
	}
	rows, err := l.rows(s.Events)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", eventstore.ErrUnknown, err)
	}
	for i := range s.Events {
		l.append(s.Events[i])
	}
	applyTo(l.tables, rows)
	if l.green != nil {
		applyTo(l.green, rows)
	}
	for i := range batch {
		l.remember(&batch[i], &s.Results[i], now)
	}
	return s.Results, nil
}

// sequencer says what is in the log.
func (l *Log) sequencer() eventstore.Sequencer {
	q := eventstore.Sequencer{
		Position: eventstore.Position(len(l.events)),
		Version: func(s eventstore.Stream) (eventstore.Version, error) {
			return eventstore.Version(len(l.streams[s])), nil
		},
		Number: func(category string) int64 { return l.numbers[category] },
		Outcome: func(hash [16]byte) (eventstore.Outcome, bool, error) {
			o, ok := l.keys[hash]
			return o, ok, nil
		},
	}
	if n := len(l.events); n > 0 {
		q.Last = l.events[n-1].Time
	}
	return q
}

// rows returns what the events change in the views, before anything is changed.
func (l *Log) rows(events []eventstore.Event) (rows []eventstore.Row, err error) {
	for _, v := range l.opts.Views {
		for i := range events {
			r, err := v.Rows(events[i])
			if err != nil {
				return nil, fmt.Errorf("view of event %d: %w", events[i].Position, err)
			}
			rows = append(rows, r...)
		}
	}
	for i := range rows {
		if l.tables[rows[i].Table] == nil {
			return nil, fmt.Errorf("no view has the table %s", rows[i].Table)
		}
	}
	return rows, nil
}

// append adds one sequenced event.
func (l *Log) append(e eventstore.Event) {
	l.streams[e.Stream] = append(l.streams[e.Stream], len(l.events))
	l.events = append(l.events, clone(e))
	l.numbers[e.Stream.Category] = max(l.numbers[e.Stream.Category], e.Number)
}

// remember keeps the outcome of a write with a key.
func (l *Log) remember(w *eventstore.Write, r *eventstore.Result, now time.Time) {
	if w.Key == nil || r.Err != nil || r.Previous != nil {
		return
	}
	l.keys[w.Key.Hash] = eventstore.Outcome{
		Fingerprint: w.Key.Fingerprint, Stream: r.Stream, Version: r.Version,
		Position: r.Position, Events: len(w.Events), Data: slices.Clone(w.Key.Outcome),
	}
	l.order = append(l.order, usedKey{hash: w.Key.Hash, at: now})
	l.expire(now)
}

// expire forgets the keys that are too old or too many.
func (l *Log) expire(now time.Time) {
	oldest := now.Add(-l.opts.KeepKeysFor)
	for len(l.order) > l.opts.KeepKeys || len(l.order) > 0 && l.order[0].at.Before(oldest) {
		delete(l.keys, l.order[0].hash)
		l.order = l.order[1:]
	}
}

// ReadStream implements [eventstore.Driver].
func (l *Log) ReadStream(
	ctx context.Context, stream eventstore.Stream, after eventstore.Version, limit int,
) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	indices := l.streams[stream]
	indices = indices[min(int(after), len(indices)):]
	var events []eventstore.Event
	for _, i := range indices[:min(limit, eventstore.MaxPage, len(indices))] {
		events = append(events, clone(l.events[i]))
	}
	return events, nil
}

// ReadAll implements [eventstore.Driver].
func (l *Log) ReadAll(ctx context.Context, after eventstore.Position, limit int) ([]eventstore.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	rest := l.events[min(int(after), len(l.events)):]
	var events []eventstore.Event
	for _, e := range rest[:min(limit, eventstore.MaxPage, len(rest))] {
		events = append(events, clone(e))
	}
	return events, nil
}

// Head implements [eventstore.Driver].
func (l *Log) Head(ctx context.Context) (eventstore.Head, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Head{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	h := eventstore.Head{Position: eventstore.Position(len(l.events)), Lineage: slices.Clone(l.lineage)}
	if n := len(l.events); n > 0 {
		h.Time = l.events[n-1].Time
	}
	return h, nil
}

// Outcome implements [eventstore.Driver].
func (l *Log) Outcome(ctx context.Context, hash [16]byte) (eventstore.Outcome, bool, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Outcome{}, false, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	o, ok := l.keys[hash]
	return o, ok, nil
}

// Close implements [eventstore.Driver].
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return nil
}

// clone returns an event that shares no memory with the log.
func clone(e eventstore.Event) eventstore.Event {
	e.Data = slices.Clone(e.Data)
	e.Meta = maps.Clone(e.Meta)
	return e
}
