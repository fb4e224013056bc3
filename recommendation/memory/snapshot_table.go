package memory

import (
	"slices"

	"ensemble/graph"
	"ensemble/user"
)

// What snapshots need of the table of people is all in this file.

// ids returns everybody's id, ascending. Who is added meanwhile may be missing.
func (b *Backend) ids() []int64 {
	var ids []int64
	for p := range b.people.all() {
		ids = append(ids, p.id)
	}
	slices.Sort(ids)
	return ids
}

// look appends the people with some ids, all of whom have been there.
func (b *Backend) look(dst []user.User, ids []int64) []user.User {
	for _, id := range ids {
		dst = append(dst, b.people.find(id).user())
	}
	return dst
}

// reserve makes room in an empty table, which would otherwise grow, and be filled again
// each time, while everybody waits to be put in.
func (b *Backend) reserve(people uint64) {
	slots := make([]slot, max(leastSlots, (people/3*4/group+2)*group))
	b.people.slots.Store(&slots)
}

// take puts people in as they are. They are made before the others, who take theirs in
// at the same time, have to wait.
func (b *Backend) take(users []user.User) {
	var made [][]person
	for some := range slices.Chunk(users, together) {
		made = append(made, newPeople(some))
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	for _, some := range made {
		for i := range some {
			b.people.put(&some[i])
		}
	}
}

// changesFor returns what the graph has to be told of those who are erased, or of those
// who are there.
func (b *Backend) changesFor(erased bool) (changes []graph.Change) {
	kind := graph.AddUser
	if erased {
		kind = graph.RemoveUser
	}
	for p := range b.people.all() {
		if p.erased() == erased {
			changes = append(changes, graph.Change{Kind: kind, From: p.id})
		}
	}
	return changes
}

// Graph returns the graph below the answers, for whoever checks it.
func (b *Backend) Graph() *graph.Graph { return b.graph }
