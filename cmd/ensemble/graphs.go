package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/recommendation/neo4j"
	"ensemble/user"
)

// graphs makes the graph of the next generation. again says that there was one before:
// what it holds is of a log that was replaced.
type graphs func(ctx context.Context, again bool) (recommendation.Backend, error)

// openGraph returns where graphs are kept. A database has one: it is emptied for the next
// generation, and answers nothing meanwhile. Its logs are those of the sources.
func openGraph(ctx context.Context, address string, from sources, r *resources) (graphs, error) {
	if address == "memory" {
		return func(context.Context, bool) (recommendation.Backend, error) { return memory.New(), nil }, nil
	}
	b, err := neo4j.Open(ctx, neo4j.Config{URL: address})
	if err != nil {
		return nil, fmt.Errorf("--graph %s: %w", masked(address), err)
	}
	r.add(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return b.Close(ctx)
	})
	return func(ctx context.Context, again bool) (recommendation.Backend, error) {
		users, friends, err := b.Marks(ctx)
		if err != nil {
			return nil, err
		}
		if !again {
			again, err = from.replaced(ctx, users, friends)
		}
		if err == nil && again {
			err = b.Empty(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("begin with the graph in the database: %w", err)
		}
		// Followed from the first event on, it takes in what it does not hold yet.
		return b, nil
	}, nil
}

// replaced says whether a graph holds events of a log that is another one by now.
func (s sources) replaced(ctx context.Context, users, friends recommendation.Mark) (bool, error) {
	for _, one := range []struct {
		feed *feed
		mark recommendation.Mark
	}{{newFeed(user.Category, s.users, s.logger), users}, {newFeed(friend.Category, s.friends, s.logger), friends}} {
		log := recommendation.Log{Name: one.feed.name, ReadAll: one.feed.readAll}
		err := log.Holds(ctx, one.mark)
		if errors.Is(err, recommendation.ErrOtherLog) {
			s.logger.Warn("the graph in the database is of another log; it is made anew", "error", err)
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// readAll returns the event after a position, if there is one. It asks until it is told.
func (f *feed) readAll(ctx context.Context, after eventstore.Position, _ int) ([]eventstore.Event, error) {
	head, err := f.open(ctx)
	if err != nil || head.Position <= after {
		return nil, err
	}
	next, err := f.client.Next(ctx, f.name, int64(after))
	if err != nil {
		return nil, err
	}
	event, _, err := next.Recorded()
	return []eventstore.Event{event}, err
}
