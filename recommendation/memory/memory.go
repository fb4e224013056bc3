// Package memory keeps people and friendships in memory, over package graph.
//
// It guarantees the contract of [recommendation.Backend]; after a restart it is
// empty and has to be fed from the logs again.
package memory

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"ensemble/friend"
	"ensemble/graph"
	"ensemble/recommendation"
	"ensemble/user"
)

// Backend is a graph with the names of its people. It implements
// [recommendation.Backend].
type Backend struct {
	graph *graph.Graph

	writing sync.Mutex // one writer: the two logs are followed by two goroutines
	changes []graph.Change

	mu     sync.RWMutex
	people map[int64]user.User // who are there, and the erased without their names
}

// New returns an empty backend.
func New() *Backend { return &Backend{graph: graph.New(), people: map[int64]user.User{}} }

// ApplyUsers implements [recommendation.Backend].
func (b *Backend) ApplyUsers(_ context.Context, people []recommendation.Person) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.changes = b.changes[:0]
	b.mu.Lock()
	for _, p := range people {
		if change, ok := b.person(p); ok {
			b.changes = append(b.changes, change)
		}
	}
	b.mu.Unlock()
	return b.apply()
}

// person takes in what happened to one person.
func (b *Backend) person(p recommendation.Person) (graph.Change, bool) {
	before := b.people[p.ID]
	if before.Erased {
		return graph.Change{}, false
	}
	after := user.Evolve(before, p.Event)
	after.ID = p.ID
	switch p.Event.Event.(type) {
	case user.Created:
		if before.ID != 0 && before.LastModified.After(after.LastModified) {
			return graph.Change{}, false // seen again: it was renamed since
		}
		b.people[p.ID] = after
		return graph.Change{Kind: graph.AddUser, From: p.ID}, true
	case user.Erased:
		b.people[p.ID] = user.User{ID: p.ID, Erased: true}
		return graph.Change{Kind: graph.RemoveUser, From: p.ID}, true
	case user.Renamed:
		if !before.LastModified.After(after.LastModified) {
			b.people[p.ID] = after
		}
	}
	return graph.Change{}, false
}

// ApplyFriends implements [recommendation.Backend].
func (b *Backend) ApplyFriends(_ context.Context, events []friend.Event) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.changes = b.changes[:0]
	for _, event := range events {
		switch e := event.(type) {
		case friend.Added:
			b.changes = append(b.changes, graph.Change{Kind: graph.Connect, From: e.By, To: e.To})
		case friend.Removed:
			b.changes = append(b.changes, graph.Change{Kind: graph.Disconnect, From: e.By, To: e.To})
		}
	}
	return b.apply()
}

// apply brings the gathered changes into the graph.
func (b *Backend) apply() error {
	if _, err := b.graph.Apply(b.changes); err != nil {
		return fmt.Errorf("change the graph: %w", err)
	}
	return nil
}

// Recommend implements [recommendation.Backend].
func (b *Backend) Recommend(ctx context.Context, id int64, limit int) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		ranked, err := b.graph.Recommend(nil, id, limit)
		if err != nil {
			yield(recommendation.Candidate{}, fmt.Errorf("recommend for %d: %w", id, err))
			return
		}
		for i, r := range ranked {
			if err := pause(ctx, i); err != nil {
				yield(recommendation.Candidate{}, err)
				return
			}
			u, ok := b.find(r.ID)
			if ok && !yield(recommendation.Candidate{User: u, Weight: r.Weight}, nil) {
				return
			}
		}
	}
}

// Mutual implements [recommendation.Backend].
func (b *Backend) Mutual(ctx context.Context, x, y int64) iter.Seq2[user.User, error] {
	return func(yield func(user.User, error) bool) {
		ids, err := b.graph.Mutual(nil, x, y)
		if err != nil {
			yield(user.User{}, fmt.Errorf("mutual friends of %d and %d: %w", x, y, err))
			return
		}
		for i, id := range ids {
			if err := pause(ctx, i); err != nil {
				yield(user.User{}, err)
				return
			}
			if u, ok := b.find(id); ok && !yield(u, nil) {
				return
			}
		}
	}
}

// find returns somebody who is there. People may be erased between the ranking
// and this question; they are left out.
func (b *Backend) find(id int64) (user.User, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	u, ok := b.people[id]
	return u, ok && !u.Erased
}

// Stats says how large the graph is.
func (b *Backend) Stats() graph.Stats { return b.graph.Stats() }

// pause looks at the context now and then.
func pause(ctx context.Context, i int) error {
	if i%1024 == 1023 {
		return ctx.Err()
	}
	return nil
}
