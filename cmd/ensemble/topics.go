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

// topics are the topics of both logs at a broker. What they have no more is read from the
// feeds.
type topics struct {
	sources
	broker  broker.Publisher
	letters *broker.DeadLetters
	again   *sync.Map // by topic: the [broker.Progress] to begin with, once its log was replaced
}

// follow is that of [generations]: it follows both topics.
func (t topics) follow(ctx context.Context, graph *recommendation.Service) (logs [2]*tracked, err error) {
	users, friends := newFeed(user.Category, t.users, t.logger), newFeed(friend.Category, t.friends, t.logger)
	if logs[1], err = t.track(ctx, friends, graph.Friends(), wire.ReadFriendRecord); err != nil {
		return logs, err
	}
	logs[0], err = t.track(ctx, users, graph.Users(), wire.ReadUserRecord)
	return logs, err
}

// track follows the topic of a log into a projection, from its beginning on.
func (t topics) track(
	ctx context.Context, feed *feed, to projection.Projection, decode func(*broker.Record) (broker.Message, error),
) (*tracked, error) {
	ends, err := t.ends(ctx, feed.name)
	if err != nil {
		return nil, err
	}
	from, _ := t.again.Load(feed.name)
	progress, _ := from.(broker.Progress) // the zero one is the beginning
	c := broker.NewConsumer(broker.ConsumerConfig{
		Topic: feed.name, Partitions: len(ends), Decode: decode, To: to, From: progress, DeadLetters: t.letters,
		Earlier: &broker.Feed{Head: feed.head, Events: feed.source},
	})
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
