// Package memory keeps people and friendships in memory, over package graph.
//
// It guarantees the contract of [recommendation.Backend]; after a restart it is
// empty and has to be fed from the logs again, or from a snapshot ([ReadSnapshot]) and
// what came after it.
//
// # Two structures
//
//	graph    who is connected to whom: numbers only, no names
//	people   who they are: by id, with the erased kept as such
//
// A question is answered in two steps. The graph ranks ids, without a lock that a
// writer would have to wait for; then the people behind the ids are looked up one by
// one, while the answer is being written. In between somebody may be erased, and is
// left out; that is why a list is filled up from what comes after the limit.
package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
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
func (b *Backend) Recommend(
	ctx context.Context, id int64, q recommendation.Query,
) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		a := answer{backend: b, asker: id, explain: q.Explain, yield: yield}
		rest := graph.Query{Limit: q.Limit, MinWeight: q.MinWeight, After: graph.Ranked(q.After)}
		for {
			ranked, err := b.graph.Rank(nil, id, rest)
			if err != nil {
				yield(recommendation.Candidate{}, fmt.Errorf("recommend for %d: %w", id, err))
				return
			}
			shown, wantsMore := a.show(ctx, ranked)
			// Somebody who was erased since the ranking leaves a gap. It is filled
			// from behind, or a page that is short would be taken for the last.
			if !wantsMore || q.Limit <= 0 || len(ranked) < rest.Limit || shown == rest.Limit {
				return
			}
			rest.Limit, rest.After = rest.Limit-shown, ranked[len(ranked)-1]
		}
	}
}

// answer is one list of candidates on its way to who asked.
type answer struct {
	backend *Backend
	asker   int64
	explain bool
	shared  []int64 // scratch
	yield   func(recommendation.Candidate, error) bool
}

// show yields those of the ranked who are still there, and says how many they were
// and whether more are wanted.
func (a *answer) show(ctx context.Context, ranked []graph.Ranked) (shown int, wantsMore bool) {
	for i, r := range ranked {
		if err := pause(ctx, i); err != nil {
			a.yield(recommendation.Candidate{}, err)
			return shown, false
		}
		u, ok := a.backend.find(r.ID)
		if !ok {
			continue
		}
		c := recommendation.Candidate{User: u, Weight: r.Weight}
		if a.explain {
			var err error
			if c.Shared, err = a.explanation(r.ID); err != nil {
				a.yield(recommendation.Candidate{}, err)
				return shown, false
			}
		}
		shown++
		if !a.yield(c, nil) {
			return shown, false
		}
	}
	return shown, true
}

// explanation returns the lowest ids of the friends that the asker shares with
// somebody.
func (a *answer) explanation(other int64) (ids []int64, err error) {
	if a.shared, err = a.backend.graph.Mutual(a.shared[:0], a.asker, other); err != nil {
		return nil, fmt.Errorf("mutual friends of %d and %d: %w", a.asker, other, err)
	}
	shown := min(len(a.shared), recommendation.MaxExplained)
	return append(make([]int64, 0, shown), a.shared[:shown]...), nil
}

// Mutual implements [recommendation.Backend].
func (b *Backend) Mutual(ctx context.Context, x, y, after int64) iter.Seq2[user.User, error] {
	return func(yield func(user.User, error) bool) {
		ids, err := b.graph.Mutual(nil, x, y)
		if err != nil {
			yield(user.User{}, fmt.Errorf("mutual friends of %d and %d: %w", x, y, err))
			return
		}
		first, found := slices.BinarySearch(ids, after)
		if found {
			first++
		}
		for i, id := range ids[first:] {
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
