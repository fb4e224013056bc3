package adopt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/projection"
	"ensemble/wire"
)

// Topics names the topics of another system.
type Topics struct{ Users, Friends string }

// ErrGap means that a topic of ours has lost events: what it holds is not the whole
// network.
var ErrGap = errors.New("the topic lacks events")

// FromTopics reads two topics up to where they end now: of a Spring system, or of ours.
// Records that can't be read are in the network's report, and so are what the records say
// that makes no sense: a person who was never created, a friendship removed that was not
// there.
//
// Errors: [ErrGap], broker.ErrNoTopic, those of the broker, the context's.
func FromTopics(ctx context.Context, b broker.Publisher, t Topics) (n Network, err error) {
	people := &topicPeople{}
	people.clear()
	if err := readTopic(ctx, b, t.Users, reading{people.decode, people, people.clear, &people.odd}); err != nil {
		return n, err
	}
	people.finish()
	rows := &topicRows{rows: map[[2]int64]Row{}}
	if err := readTopic(ctx, b, t.Friends, reading{rows.decode, rows, rows.clear, &rows.odd}); err != nil {
		return n, err
	}
	return Network{
		People: slices.Collect(maps.Values(people.people)), Rows: slices.Collect(maps.Values(rows.rows)),
		Odd: slices.Concat(people.odd, rows.odd),
	}, nil
}

// reading is how a topic is read into something.
type reading struct {
	decode func(*broker.Record) (broker.Message, error)
	into   projection.Projection
	clear  func() // begins anew
	odd    *Report
}

// readTopic takes in what a topic has now. A log that was restored while the topic was
// written is taken as it is now.
func readTopic(ctx context.Context, b broker.Publisher, topic string, r reading) error {
	ends, err := b.Bounds(ctx, topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", topic, err)
	}
	from := broker.Progress{}
	for {
		letters, err := broker.OpenDeadLetters("")
		if err != nil {
			return err
		}
		c := broker.NewConsumer(broker.ConsumerConfig{
			Topic: topic, Partitions: len(ends), Decode: r.decode, To: r.into, From: from, DeadLetters: letters,
		})
		err = upTo(ctx, b, c, ends)
		var replaced *broker.ReplacedError
		switch {
		case errors.As(err, &replaced):
			from = replaced.Again()
			r.clear()
			continue
		case err != nil:
			return fmt.Errorf("topic %s: %w", topic, err)
		case c.Progress().Gap > 0:
			return fmt.Errorf("%w: %w", ErrGap, c.Check(ctx))
		}
		for _, l := range letters.List() {
			r.odd.Note("a record that can't be read", "left out", l.ID+": "+l.Reason)
		}
		return nil
	}
}

// errReached ends what runs beside reaching the ends.
var errReached = errors.New("the ends are reached")

// upTo runs a consumer until it has come to some ends.
func upTo(ctx context.Context, b broker.Publisher, c *broker.Consumer, ends []broker.Bounds) error {
	group, running := errgroup.WithContext(ctx)
	group.Go(func() error { return c.Run(running, b, nil) })
	group.Go(func() error {
		if err := c.Reach(running, ends); err != nil {
			return err
		}
		return errReached
	})
	if err := group.Wait(); !errors.Is(err, errReached) {
		return err
	}
	return nil
}

// topicPeople are the people of a topic.
type topicPeople struct {
	people  map[int64]Person
	created map[int64]bool    // of all that were spoken of
	changes []wire.UserChange // read, and not taken in yet or taken in
	odd     Report
}

// decode reads a record, and keeps what it says until it is taken in.
func (t *topicPeople) decode(r *broker.Record) (broker.Message, error) {
	c, err := wire.ReadUser(r)
	if err == nil {
		t.created[c.ID] = t.created[c.ID] || c.New
	}
	t.changes = append(t.changes, c)
	return kept(len(t.changes), fmt.Sprint(c.ID)), err
}

// kept returns a message that says where what was read is kept.
func kept(at int, about string) broker.Message {
	return broker.Message{About: about, Events: []eventstore.Event{{Number: int64(at - 1)}}}
}

// Apply implements [projection.Projection].
func (t *topicPeople) Apply(_ context.Context, events []eventstore.Event) error {
	for _, e := range events {
		c := t.changes[e.Number]
		if !t.people[c.ID].Erased {
			t.people[c.ID] = Person{ID: c.ID, FirstName: c.FirstName, LastName: c.LastName, Erased: c.Erased}
		}
	}
	t.changes = t.changes[:0]
	return nil
}

// finish notes who was never created.
func (t *topicPeople) finish() {
	for _, id := range slices.Sorted(maps.Keys(t.created)) {
		if !t.created[id] {
			t.odd.Note("a person who was never created, but renamed", "taken in", fmt.Sprintf("user %d", id))
		}
	}
}

// clear begins anew.
func (t *topicPeople) clear() {
	t.people, t.created, t.changes, t.odd = map[int64]Person{}, map[int64]bool{}, nil, nil
}

// topicRows are the friendships of a topic.
type topicRows struct {
	rows    map[[2]int64]Row // by direction
	changes []wire.FriendChange
	odd     Report
}

// decode reads a record, and keeps what it says until it is taken in.
func (t *topicRows) decode(r *broker.Record) (broker.Message, error) {
	c, err := wire.ReadFriend(r)
	t.changes = append(t.changes, c)
	return kept(len(t.changes), fmt.Sprintf("%d>%d", c.By, c.To)), err
}

// Apply implements [projection.Projection].
func (t *topicRows) Apply(_ context.Context, events []eventstore.Event) error {
	for _, e := range events {
		c := t.changes[e.Number]
		direction := [2]int64{c.By, c.To}
		_, there := t.rows[direction]
		switch {
		case c.Removed && !there:
			t.odd.Note("a friendship that was removed and was not there", "left out", fmt.Sprintf("%d added %d", c.By, c.To))
		case c.Removed:
			delete(t.rows, direction)
		case there:
			t.odd.Note("a friendship that was added again", "left out", fmt.Sprintf("%d added %d", c.By, c.To))
		default:
			t.rows[direction] = Row{ID: c.Row, By: c.By, To: c.To}
		}
	}
	t.changes = t.changes[:0]
	return nil
}

// clear begins anew.
func (t *topicRows) clear() { t.rows, t.changes, t.odd = map[[2]int64]Row{}, nil, nil }
