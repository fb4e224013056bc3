// Package memory is a broker in memory: for tests, and as the shortest program that
// keeps the contract of [broker.Publisher]. It has no durability; tests take records
// away from it to see what a broker that has lost some does to others.
package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"ensemble/broker"
)

// ErrAway means that the broker was told to be away.
var ErrAway = errors.New("the broker is away")

// Broker keeps topics in memory. It implements [broker.Publisher].
type Broker struct {
	mu     sync.Mutex
	topics map[string][]partition
	away   bool
	change chan struct{} // closed and replaced when anything changes
}

// partition is a part of a topic: the records from an offset on.
type partition struct {
	begin   int64
	records []broker.Record
}

// end returns the offset that the next record gets.
func (p *partition) end() int64 { return p.begin + int64(len(p.records)) }

// New returns a broker without topics.
func New() *Broker {
	return &Broker{topics: map[string][]partition{}, change: make(chan struct{})}
}

// changed wakes whoever waits. The caller holds mu.
func (b *Broker) changed() {
	close(b.change)
	b.change = make(chan struct{})
}

// SetAway has every call fail with [ErrAway], or ends that.
func (b *Broker) SetAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = away
	b.changed()
}

// Make makes a topic with some partitions, as somebody else may have done.
func (b *Broker) Make(topic string, partitions int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.topics[topic] == nil {
		b.topics[topic] = make([]partition, partitions)
	}
}

// Put appends a record to any partition, as somebody else's producer does.
func (b *Broker) Put(topic string, to int32, r broker.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.store(topic, to, []broker.Record{r})
}

// CutEnd takes the last n records of partition 0 away, as a broker that was not told to
// wait for its replicas loses them. Others may take their place, before anybody can look.
func (b *Broker) CutEnd(topic string, n int, then ...broker.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.topics[topic][0]
	p.records = p.records[:max(0, len(p.records)-n)]
	b.store(topic, 0, then)
}

// CutBegin takes the first n records of partition 0 away, as retention does.
func (b *Broker) CutBegin(topic string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.topics[topic][0]
	n = min(n, len(p.records))
	p.begin, p.records = p.begin+int64(n), p.records[n:]
	b.changed()
}

// Prepare implements [broker.Publisher].
func (b *Broker) Prepare(_ context.Context, topic string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return ErrAway
	}
	if b.topics[topic] == nil {
		b.topics[topic] = make([]partition, 1)
	}
	return nil
}

// Publish implements [broker.Publisher].
func (b *Broker) Publish(ctx context.Context, topic string, records []broker.Record) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case b.away:
		return 0, ErrAway
	case b.topics[topic] == nil:
		return 0, fmt.Errorf("%w: %s", broker.ErrNoTopic, topic)
	}
	return b.store(topic, 0, records), nil
}

// store appends records, which the caller may use again.
func (b *Broker) store(topic string, to int32, records []broker.Record) int64 {
	p := &b.topics[topic][to]
	first := p.end()
	for _, r := range records {
		r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
		r.Partition, r.Offset = to, p.end()
		if r.Time.IsZero() {
			r.Time = time.Now()
		}
		r.Time = r.Time.Truncate(time.Millisecond).UTC() // as Kafka keeps it
		p.records = append(p.records, r)
	}
	b.changed()
	return first
}

// Bounds implements [broker.Publisher].
func (b *Broker) Bounds(_ context.Context, topic string) ([]broker.Bounds, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.away:
		return nil, ErrAway
	case b.topics[topic] == nil:
		return nil, fmt.Errorf("%w: %s", broker.ErrNoTopic, topic)
	}
	var bounds []broker.Bounds
	for _, p := range b.topics[topic] {
		bounds = append(bounds, broker.Bounds{Begin: p.begin, End: p.end()})
	}
	return bounds, nil
}

// Read implements [broker.Publisher].
func (b *Broker) Read(ctx context.Context, topic string, of int32, from, to int64) iter.Seq2[broker.Record, error] {
	return func(yield func(broker.Record, error) bool) {
		for to < 0 || from < to {
			r, change, err := b.at(topic, of, from)
			if err != nil {
				yield(broker.Record{}, err)
				return
			}
			if change == nil {
				if to >= 0 && r.Offset >= to || !yield(r, nil) {
					return
				}
				from = r.Offset + 1
				continue
			}
			select {
			case <-change:
			case <-ctx.Done():
				yield(broker.Record{}, ctx.Err())
				return
			}
		}
	}
}

// at returns the first record from an offset on, or, if there is none yet, what is
// closed when there may be one.
func (b *Broker) at(topic string, of int32, offset int64) (broker.Record, <-chan struct{}, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.away: // a reader waits until it is back
		return broker.Record{}, b.change, nil
	case int(of) >= len(b.topics[topic]):
		return broker.Record{}, nil, fmt.Errorf("%w: partition %d of %s", broker.ErrNoTopic, of, topic)
	}
	p := &b.topics[topic][of]
	if offset > p.end() {
		offset = p.begin
	}
	offset = max(offset, p.begin)
	if offset == p.end() {
		return broker.Record{}, b.change, nil
	}
	return p.records[offset-p.begin], nil, nil
}

// Close implements [broker.Publisher].
func (b *Broker) Close() error { return nil }
