// Package graph knows who is connected to whom, and answers in microseconds whom
// somebody might befriend. It lives in memory and imports nothing of ours.
//
// It guarantees that
//
//   - answers are exact: nothing is precomputed, sampled or cut off,
//   - the same changes lead to the same graph, however often each is repeated and
//     however those of different pairs are mixed, as long as each pair's own
//     changes keep their order; connections may come before their people,
//   - only people that were added and not removed count and appear,
//   - queries wait for nobody and lock nothing, and allocate only until they have met
//     a graph of this size.
//
// # What a query sees while changes are made
//
// Each list of friends as it was at one moment during the query, and never half a
// change of it. Two lists may be of two moments: a friendship that is being made or
// ended can be in the list of the one and not yet in that of the other. Between two
// calls of Apply there is nothing of that kind to see.
//
// # Memory
//
// People are numbered densely in the order in which they are first heard of. Each has
// 16 bytes: the id, and one word that says all of their list, so that it is read and
// published at once.
//
//	 63                    32 31    30 29                     0
//	+------------------------+--------+------------------------+
//	| block                  |presence| length                 |   the word of a person
//	+------------------------+--------+------------------------+
//
// A list is a block of entries in a slab, unsorted: appending is cheaper than sorting,
// and a query counts instead of merging. Slabs are large slices without pointers,
// which the garbage collector need not scan; blocks are multiples of eight entries that
// grow by at most a quarter. Each entry carries two bits, one for each direction, so
// that the same connection asked for from both sides is one connection, and a repeated
// change changes nothing.
//
//	 31                    2   1   0
//	+------------------------+---+---+
//	|  number of the other   | in|out|                             an entry of a list
//	+------------------------+---+---+
//
// # One writer, any number of readers
//
// Apply appends behind the end of a list, where no reader looks, and then publishes
// the new length. Every other change is made in a new block; the old one is retired
// with the number of the present epoch, and reused once no reader is left that began
// in that epoch or before. So a reader pins the epoch by one store, and needs nothing
// else to be safe (Fraser, Practical Lock-Freedom, 2004, 5.2.3).
//
// # Counting
//
// A recommendation walks the lists of all friends and counts how often everybody turns
// up there; who turns up twice has two mutual friends. The counters are 16 bits each
// and are not cleared between queries: each query counts on from a base above
// everything that was counted before. There is no branch that depends on the data: who
// reaches the count that the best have is written down by a store that the next one
// overwrites unless it was due. The bar rises while counting.
package graph

import (
	"errors"
	"sync"
	"sync/atomic"
)

// MaxPeople is how many people a graph holds.
const MaxPeople = 1 << 30

// The reasons for which Apply refuses a change.
var (
	ErrID   = errors.New("a person's id has to be at least 1")
	ErrFull = errors.New("the graph holds as many people or friendships as it can")
)

// Kind says what a change does.
type Kind uint8

// The kinds of changes.
const (
	Connect    Kind = iota // From connects to To
	Disconnect             // takes back From's connecting to To
	AddUser                // From is there
	RemoveUser             // From is gone for ever
)

// Change is one step of the graph's history.
type Change struct {
	Kind     Kind
	From, To int64
}

// Ranked is a candidate and how many friends they share with the asker.
type Ranked struct {
	ID     int64
	Weight int
}

// Graph is the graph. Queries may run concurrently with each other and with Apply and
// WriteSnapshot; calls of Apply wait for each other.
type Graph struct {
	tables  atomic.Pointer[tables] // where every query begins
	readers readers
	apart   int // how many paths are counted on several cores; fewer on one

	writing sync.Mutex // guards what follows
	people  int        // how many numbers are given away
	room    int        // how many there are
	memory  memory
	wave    wave

	counts [erased + 1]atomic.Int64 // people by presence
	halves atomic.Int64             // entries in all lists
	bytes  atomic.Int64             // of the tables and the slabs
}

// New returns an empty graph.
func New() *Graph {
	g := &Graph{apart: 1 << 20, room: MaxPeople}
	g.memory.limit = maxSlabs
	g.readers.init()
	g.publish(&tables{people: make([]person, firstPeople), slots: make([]uint64, firstSlots), newest: &g.tables})
	return g
}

// Stats says how large a graph is.
type Stats struct {
	People      int   // who are there
	Stubs       int   // who were heard of, but not added yet
	Erased      int   // who were removed
	Friendships int   // pairs connected in at least one direction, whoever they are
	Bytes       int64 // of the lists and the tables of people, with what they have in reserve
}

// Stats returns how large the graph is. While changes are made, its numbers may be of
// different moments.
func (g *Graph) Stats() Stats {
	return Stats{
		People:      int(g.counts[known].Load()),
		Stubs:       int(g.counts[unknown].Load()),
		Erased:      int(g.counts[erased].Load()),
		Friendships: int(g.halves.Load() / 2),
		Bytes:       g.bytes.Load(),
	}
}
