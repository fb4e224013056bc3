package memory

import (
	"slices"

	"ensemble/graph"
	"ensemble/user"
)

// What snapshots need of the table of people is all in this file.

// ids returns everybody's id, ascending. Who is added meanwhile may be missing. Writers
// wait for some thousands of people at most: the lock is given back in between, which
// the map allows as long as nobody moves on without it.
func (b *Backend) ids() []int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	ids := make([]int64, 0, len(b.people)+len(b.people)/8)
	for id := range b.people {
		if ids = append(ids, id); len(ids)%blockPeople == 0 {
			b.mu.RUnlock()
			b.mu.RLock()
		}
	}
	slices.Sort(ids)
	return ids
}

// look appends the people with some ids, all of whom have been there.
func (b *Backend) look(dst []user.User, ids []int64) []user.User {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, id := range ids {
		dst = append(dst, b.people[id])
	}
	return dst
}

// take puts people in as they are.
func (b *Backend) take(people []user.User) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range people {
		b.people[u.ID] = u
	}
}

// emptyFor returns an empty backend without a graph, with room for people.
func emptyFor(people uint64) *Backend {
	return &Backend{people: make(map[int64]user.User, people)}
}

// size returns how many people the table has, the erased among them.
func (b *Backend) size() int { return len(b.people) }

// changesFor returns what the graph has to be told of those who are erased, or of those
// who are there.
func (b *Backend) changesFor(erased bool) (changes []graph.Change) {
	kind := graph.AddUser
	if erased {
		kind = graph.RemoveUser
	}
	for id, u := range b.people {
		if u.Erased == erased {
			changes = append(changes, graph.Change{Kind: kind, From: id})
		}
	}
	return changes
}

// Graph returns the graph below the answers, for whoever checks it.
func (b *Backend) Graph() *graph.Graph { return b.graph }
