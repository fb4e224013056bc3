package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/recommendation/neo4j"
)

// graphs makes the graph of the next generation. again says that there was one before:
// what it holds is of a log that was replaced.
type graphs func(ctx context.Context, again bool) (recommendation.Backend, error)

// openGraph returns where graphs are kept. A database has one: it is emptied for the next
// generation, and answers what is in it meanwhile.
func openGraph(ctx context.Context, address string, r *resources) (graphs, error) {
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
		if again {
			if err := b.Empty(ctx); err != nil {
				return nil, fmt.Errorf("empty the graph: %w", err)
			}
		}
		// Followed from the first event on, it takes in what it does not hold yet.
		_, _, err := b.Marks(ctx)
		return b, errors.Join(err)
	}, nil
}
