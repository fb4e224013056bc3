package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/api"
	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/projection"
	"ensemble/recommendation"
	"ensemble/user"
	"ensemble/wire"
)

// Where a graph from topics begins, the first of these that there is:
//
//	a snapshot           the offsets and positions that were saved with it
//	the topic            its first record, if that is the first event of the log
//	the feed of the log  up to where the topic begins; there the two are joined
//
// From a system that is not ours there are no positions, and its topic is all there is.

// topics are the topics of both logs at a broker. What they have no more is read from the
// feeds.
type topics struct {
	sources
	broker  broker.Publisher
	letters *broker.DeadLetters
	again   *sync.Map // by topic: the [broker.Progress] to begin with, of a snapshot, or once its log was replaced
	latest  *atomic.Pointer[topicGraph]
}

// topicGraph is a graph that is made from both topics.
type topicGraph struct {
	graph     *recommendation.Service
	consumers [2]*broker.Consumer // of users, of friendships
	several   bool                // one of the topics has several partitions
}

// newTopics returns the topics at a broker.
func newTopics(feeds sources, b broker.Publisher, letters *broker.DeadLetters) topics {
	return topics{sources: feeds, broker: b, letters: letters, again: new(sync.Map), latest: new(atomic.Pointer[topicGraph])}
}

// progress says how far both topics are in the graph.
func (g *topicGraph) progress() [2]broker.Progress {
	return [2]broker.Progress{g.consumers[0].Progress(), g.consumers[1].Progress()}
}

// follow is that of [generations]: it follows both topics.
func (t topics) follow(ctx context.Context, graph *recommendation.Service) (logs [2]*tracked, err error) {
	users, friends := newFeed(user.Category, t.users, t.logger), newFeed(friend.Category, t.friends, t.logger)
	g := &topicGraph{graph: graph}
	if logs[1], err = t.track(ctx, friends, graph.Friends(), wire.ReadFriendRecord, g, 1); err != nil {
		return logs, err
	}
	if logs[0], err = t.track(ctx, users, graph.Users(), wire.ReadUserRecord, g, 0); err != nil {
		return logs, err
	}
	t.latest.Store(g)
	return logs, nil
}

// track follows the topic of a log into a projection, from its beginning on.
func (t topics) track(
	ctx context.Context, feed *feed, to projection.Projection, decode func(*broker.Record) (broker.Message, error),
	of *topicGraph, which int,
) (*tracked, error) {
	ends, err := t.ends(ctx, feed.name)
	if err != nil {
		return nil, err
	}
	from, _ := t.again.LoadAndDelete(feed.name) // the next graph begins empty
	progress, _ := from.(broker.Progress)       // the zero one is the beginning
	c := broker.NewConsumer(broker.ConsumerConfig{
		Topic: feed.name, Partitions: len(ends), Decode: decode, To: to, From: progress, DeadLetters: t.letters,
		Earlier: &broker.Feed{Head: feed.head, Events: feed.source},
	})
	of.consumers[which], of.several = c, of.several || len(ends) > 1
	position := func() eventstore.Position { return c.Progress().Position }
	var failing atomic.Pointer[error]
	return &tracked{
		name: feed.name, position: position, wait: c.Wait, named: c.Positioned,
		run: func(ctx context.Context) error {
			err := c.Run(ctx, t.broker, func(err error) { failing.Store(&err) })
			if replaced, ok := errors.AsType[*broker.ReplacedError](err); ok {
				t.again.Store(feed.name, replaced.Again())
				return fmt.Errorf("%w: %w", errReplaced, err)
			}
			return err
		},
		whole:   func(ctx context.Context) error { return c.Reach(ctx, ends) },
		lacks:   func() string { return fmt.Sprintf("%d events of %ss are read", position(), feed.name) },
		lineage: func() eventstore.Lineage { return c.Progress().Lineage },
		afar: func(ctx context.Context) (d api.Distance, err error) {
			progress := c.Progress()
			d.Position, d.Head = progress.Position, progress.Position
			if why := failing.Load(); why != nil && *why != nil {
				return d, *why
			}
			now, err := t.broker.Bounds(ctx, feed.name)
			for i, one := range now {
				read := one.Begin
				if i < len(progress.Offsets) {
					read = max(read, progress.Offsets[i])
				}
				d.Head += eventstore.Position(max(0, one.End-read))
			}
			return d, errors.Join(err, c.Check(ctx))
		},
	}, nil
}

// ends returns where the partitions of a topic end. It asks until the broker answers and
// has the topic: the service that owns the log makes it.
//
// Errors: the context's.
func (t topics) ends(ctx context.Context, topic string) ([]broker.Bounds, error) {
	for told, wait := false, askSoon; ; wait = min(2*wait, askLate) {
		ends, err := t.broker.Bounds(ctx, topic)
		if err == nil {
			return ends, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !told {
			t.logger.Warn("a topic can't be read; it is asked for until it can", "topic", topic, "error", err)
			told = true
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// readLetter tries to read a record that was set aside.
func readLetter(l *broker.Letter) error {
	if _, _, err := broker.OriginOf(&l.Record); err != nil {
		return err
	}
	read := wire.ReadFriendRecord
	if l.Topic == user.Category {
		read = wire.ReadUserRecord
	}
	_, err := read(&l.Record)
	return err
}
