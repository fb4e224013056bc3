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
//
// Neither step takes a lock that others wait for, so it does not matter how slowly
// an answer is read. People are kept as the JSON that answers show: reading them is
// copying bytes, and costs no allocation for each.
package memory

import (
	"context"
	"fmt"
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

	people people // who are there, and the erased without their names

	scratch sync.Pool // of *scratch
}

// New returns an empty backend.
func New() *Backend {
	return &Backend{graph: graph.New(), scratch: sync.Pool{New: func() any { return new(scratch) }}}
}

// ApplyUsers implements [recommendation.Backend].
func (b *Backend) ApplyUsers(_ context.Context, people []recommendation.Person) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.changes = b.changes[:0]
	for _, p := range people {
		if change, ok := b.person(p); ok {
			b.changes = append(b.changes, change)
		}
	}
	return b.apply()
}

// person takes in what happened to one person.
func (b *Backend) person(p recommendation.Person) (graph.Change, bool) {
	var before user.User
	if there := b.people.find(p.ID); there != nil {
		before = there.user()
	}
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
		b.people.put(newPerson(after))
		return graph.Change{Kind: graph.AddUser, From: p.ID}, true
	case user.Erased:
		b.people.put(newPerson(after))
		return graph.Change{Kind: graph.RemoveUser, From: p.ID}, true
	case user.Renamed:
		if !before.LastModified.After(after.LastModified) {
			b.people.put(newPerson(after))
		}
	}
	return graph.Change{}, false
}

// ApplyFriends implements [recommendation.Backend].
func (b *Backend) ApplyFriends(_ context.Context, events []recommendation.Friendship) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.changes = b.changes[:0]
	for _, event := range events {
		switch e := event.Event.Event.(type) {
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

// Stats says how large the graph is.
func (b *Backend) Stats() graph.Stats { return b.graph.Stats() }
