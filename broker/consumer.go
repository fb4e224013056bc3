package broker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ensemble/eventstore"
	"ensemble/projection"
)

// Message is what a record says, read by whoever knows its language.
type Message struct {
	// Events is what happened, as a projection takes it in. Of a record of ours it is
	// one event.
	Events []eventstore.Event
	// About names what it is about: of two records about the same, the later one counts.
	About string
}

// ConsumerConfig is what a consumer works with.
type ConsumerConfig struct {
	Topic string
	// Partitions is how many the topic has.
	Partitions int
	// Decode reads a record. It is never asked about one that is taken in already.
	Decode func(r *Record) (Message, error)
	// To is the read side.
	To projection.Projection
	// From is how far the read side has come.
	From Progress
	// Earlier has the events that the topic has no more. Nil: nobody has them, and a
	// consumer waits until the relay has sent them again.
	Earlier *Feed
	// DeadLetters keeps foreign records that can't be read. Nil: one stops the consumer.
	DeadLetters *DeadLetters
}

// Feed is the log itself, where its service hands it out.
type Feed struct {
	// Head says where the log ends and which log it is.
	Head func(context.Context) (eventstore.Head, error)
	// Events are those after a position, in the form in which Decode returns them.
	Events projection.Source
}

// Consumer takes the records of a topic into a read side, each event once, whatever the
// topic looks like. It is a projection of the topic's [Source]; its methods may be called
// concurrently, also Apply, by one runner for each partition.
type Consumer struct {
	c ConsumerConfig

	applying sync.Mutex // held while records are taken in
	latest   map[string]stamp

	mu       sync.Mutex
	progress Progress
	moved    chan struct{} // closed and replaced when progress moves
}

// stamp says how new the latest record about something is, in a topic of several
// partitions.
type stamp struct {
	time      time.Time
	partition int32
}

// NewConsumer returns a consumer.
func NewConsumer(c ConsumerConfig) *Consumer {
	consumer := &Consumer{c: c, progress: c.From.clone(), moved: make(chan struct{})}
	if c.Partitions > 1 {
		consumer.latest = map[string]stamp{}
	}
	return consumer
}

// errSeek ends a runner whose topic has to be read from the beginning again.
var errSeek = errors.New("events are missing before this one")

// Run takes in what a topic has and gets, until the context ends. A broker that is away is
// asked again and again; failing, if it is not nil, is told why, and nil once it answers.
//
// Errors: those of Apply; the context's.
func (c *Consumer) Run(ctx context.Context, from Publisher, failing func(error)) error {
	for seek := false; ; seek = true {
		offsets, err := c.begin(ctx, from, failing)
		if err != nil {
			return err
		}
		if seek {
			offsets = nil
		}
		group, running := errgroup.WithContext(ctx)
		for i := range c.c.Partitions {
			after := eventstore.Position(0)
			if i < len(offsets) {
				after = eventstore.Position(max(0, offsets[i]-1)) // is it the same topic still?
			}
			source := Source(from, c.c.Topic, int32(i), failing)
			group.Go(func() error { return projection.New(c.c.Topic, source, c, after).Run(running) })
		}
		if err := group.Wait(); ctx.Err() != nil || !errors.Is(err, errSeek) {
			return err
		}
	}
}

// begin returns where to read on. A topic that ends before that has lost its end.
func (c *Consumer) begin(ctx context.Context, from Publisher, failing func(error)) ([]int64, error) {
	bounds, err := untilAnswered(ctx, failing, func() ([]Bounds, error) { return from.Bounds(ctx, c.c.Topic) })
	if err != nil {
		return nil, err
	}
	c.applying.Lock()
	defer c.applying.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, next := range c.progress.Offsets {
		if i >= len(bounds) || next > bounds[i].End {
			if err := c.progress.forget(c.c.Topic); err != nil {
				return nil, err
			}
			break
		}
	}
	return slices.Clone(c.progress.Offsets), nil
}

// Apply implements [projection.Projection].
//
// Errors: [ReplacedError]; a record of ours that can't be read; those of the read side.
func (c *Consumer) Apply(ctx context.Context, events []eventstore.Event) error {
	c.applying.Lock()
	defer c.applying.Unlock()
	b := &batch{Consumer: c, progress: c.Progress()}
	for i := range events {
		record := opened(&events[i])
		if err := b.take(ctx, &record); err != nil {
			// What came before it is taken in, so that the next start begins here.
			return errors.Join(err, b.flush(ctx))
		}
	}
	return b.flush(ctx)
}

// batch is what a read side takes in at once, and the progress with it.
type batch struct {
	*Consumer
	progress Progress
	events   []eventstore.Event
	last     *Record // what was passed last
}

// take takes a record in, if it is new.
func (b *batch) take(ctx context.Context, r *Record) error {
	if b.progress.other(r) {
		return cmp.Or(b.progress.forget(b.c.Topic), errSeek)
	}
	o, ours, err := OriginOf(r)
	if err != nil {
		return b.setAside(r, err)
	}
	if !ours {
		return b.takeForeign(r)
	}
	before := b.progress.clone()
	what, err := b.progress.judge(b.c.Topic, o, r.Offset)
	if err != nil {
		return err
	}
	if what == beyondGap && b.c.Earlier != nil {
		if err := b.fill(ctx, o, r.Offset); err != nil {
			return err
		}
		if what, err = b.progress.judge(b.c.Topic, o, r.Offset); err != nil {
			return err
		}
	}
	if what == beyondGap && !b.progress.Sought {
		// They may lie further ahead in a topic that has lost its end and grown again.
		b.progress.Sought = true
		return errSeek
	}
	if what == takeIn {
		m, err := b.c.Decode(r)
		if err != nil {
			b.progress = before
			return fmt.Errorf("event %d at offset %d of topic %s: %w", o.Position, r.Offset, b.c.Topic, err)
		}
		for i := range m.Events {
			m.Events[i].Position = o.Position
		}
		b.events = append(b.events, m.Events...)
	}
	b.pass(r)
	return nil
}

// pass moves behind a record.
func (b *batch) pass(r *Record) {
	b.progress.past(r.Partition, r.Offset)
	b.last = r
}

// takeForeign takes a record in that says nothing of logs.
func (b *batch) takeForeign(r *Record) error {
	if b.progress.passed(r.Partition, r.Offset) {
		return nil
	}
	m, err := b.c.Decode(r)
	if err != nil {
		return b.setAside(r, err)
	}
	b.pass(r)
	b.progress.Foreign = true
	if b.latest != nil {
		now, before := stamp{r.Time, r.Partition}, b.latest[m.About]
		if before.partition != now.partition && before.time.After(now.time) {
			return nil
		}
		b.latest[m.About] = now
	}
	b.events = append(b.events, m.Events...)
	return nil
}

// setAside keeps a record that can't be read.
func (b *batch) setAside(r *Record, reason error) error {
	if b.c.DeadLetters == nil {
		return fmt.Errorf("the record at offset %d of partition %d of topic %s: %w", r.Offset, r.Partition, b.c.Topic, reason)
	}
	if err := b.c.DeadLetters.add(b.c.Topic, r, reason); err != nil {
		return err
	}
	b.pass(r)
	return nil
}

// fill takes in the events that the topic does not have, up to a record that lies behind
// them, unless the log has left that one behind.
//
// Errors: [ReplacedError].
func (b *batch) fill(ctx context.Context, behind Origin, offset int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	head, err := b.c.Earlier.Head(ctx)
	if err != nil {
		return fmt.Errorf("ask for the log behind topic %s: %w", b.c.Topic, err)
	}
	if err := b.progress.follow(b.c.Topic, head.Lineage, offset); err != nil {
		return err
	}
	if head.Lineage.At(behind.Position) != behind.Lineage.At(behind.Position) {
		return nil
	}
	for e, err := range b.c.Earlier.Events(ctx, b.progress.Position) {
		if err != nil {
			return fmt.Errorf("read the events that topic %s has no more: %w", b.c.Topic, err)
		}
		b.events = append(b.events, e)
		b.progress.reach(e.Position)
		if len(b.events) >= 1000 {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
		if e.Position >= behind.Position-1 {
			break
		}
	}
	return nil
}

// flush brings the gathered events into the read side, then moves the progress.
func (b *batch) flush(ctx context.Context) error {
	if len(b.events) > 0 {
		if err := b.c.To.Apply(ctx, b.events); err != nil {
			return err
		}
	}
	b.events = b.events[:0]
	if b.last != nil {
		b.progress.mark(b.last)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.Consumer.progress = b.progress.clone()
	close(b.moved)
	b.moved = make(chan struct{})
	return nil
}

// Progress says how far the read side has come.
func (c *Consumer) Progress() Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress.clone()
}

// Positioned says whether the read side is at a position of a log: not if the topic has
// several partitions, or its last record was none of ours.
func (c *Consumer) Positioned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.c.Partitions <= 1 && !c.progress.Foreign
}

// Reach returns once the records of each partition before an offset are taken in.
//
// Errors: the context's.
func (c *Consumer) Reach(ctx context.Context, ends []Bounds) error {
	return c.until(ctx, func(p *Progress) bool {
		for i, end := range ends {
			if end.End > 0 && (i >= len(p.Offsets) || p.Offsets[i] < end.End) {
				return false
			}
		}
		return true
	})
}

// Wait returns once all events of the log up to a position are taken in.
//
// Errors: the context's.
func (c *Consumer) Wait(ctx context.Context, p eventstore.Position) error {
	return c.until(ctx, func(at *Progress) bool { return at.Position >= p })
}

// until returns once the progress is as it should be.
func (c *Consumer) until(ctx context.Context, there func(*Progress) bool) error {
	for {
		c.mu.Lock()
		done, moved := there(&c.progress), c.moved
		c.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Check returns what is wrong with the topic, nil if nothing is.
func (c *Consumer) Check(context.Context) error {
	if p := c.Progress(); p.Gap > 0 {
		return fmt.Errorf("topic %s lacks the events from %d to %d; empty it, so that they are sent again, or name the service that has them",
			c.c.Topic, p.Position+1, p.Gap-1)
	}
	return nil
}
