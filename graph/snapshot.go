package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// snapshotMagic begins every snapshot; its last character is the version of the
// format, which is drawn in docs/format/graph.md.
const snapshotMagic = "ENSGRAF2"

// MaxMeta is how many bytes of meta a snapshot holds.
const MaxMeta = 1 << 20

// ErrSnapshot means that a snapshot can't be used. The graph has to be built from
// its history again.
var ErrSnapshot = errors.New("not a usable snapshot")

// WriteSnapshot writes the graph and up to MaxMeta bytes of the caller's, such as
// the positions it has reached. The graph is written as it is when the first byte is;
// until then Apply waits, for as long as it takes to copy 16 bytes a person. Queries
// and Apply run on while the rest is written.
func (g *Graph) WriteSnapshot(w io.Writer, meta []byte) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("%d bytes of meta, at most %d", len(meta), MaxMeta)
	}
	r, t := g.cut()
	defer r.leave()
	s := snapshotWriter{w: w, tables: t}
	s.order, s.place = byFriends(t.people)
	s.header(meta, len(t.people))
	for first := 0; first < len(t.people); {
		first = s.part(first)
	}
	if s.err != nil {
		return fmt.Errorf("write snapshot: %w", s.err)
	}
	return nil
}

// cut returns the graph as it is now; no block of it is reused before the reader leaves.
func (g *Graph) cut() (*reader, *tables) {
	room := g.roomForPeople()
	g.writing.Lock()
	defer g.writing.Unlock()
	r, t := g.readers.enter(), *g.tables.Load()
	t.people = append(room, t.people[:g.people]...)
	return r, &t
}

// roomForPeople returns an empty slice with room for everybody, and for some who come
// until it is used. Its memory was touched: the first time costs several times as much as
// copying does, and is not what Apply should wait for.
func (g *Graph) roomForPeople() []person {
	g.writing.Lock()
	people := g.people
	g.writing.Unlock()
	room := makeHuge[person](people + people/64 + firstPeople)
	clear(room)
	return room[:0]
}

// The parts of a snapshot: at most so many people, and entries unless one person has
// more.
const (
	partPeople  = 1 << 15
	partEntries = 1 << 18
)

// partHead is what a part begins with: how many people and entries it has, and the
// checksum of all that follows.
const partHead = 3 * 4

// perPerson is how many bytes of a part a person has, besides the entries.
const perPerson = 8 + 4

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// snapshotWriter writes the parts.
type snapshotWriter struct {
	w      io.Writer
	tables *tables
	order  []uint32 // numbers as they are written
	place  []uint32 // of each number in that order: what it is in the snapshot
	buffer []byte
	err    error
}

// byFriends returns the numbers of people in the order in which they are written, those
// with most friends first, and the place of each.
//
// Whoever reads the snapshot numbers people in this order. Most ways over two friendships
// end at few people, those with many friends, and now the counters of these few lie side
// by side, in a cache nearer to the processor.
func byFriends(people []person) (order, place []uint32) {
	before := make([]uint32, len(people)+1) // by how many friends; nobody has more than there are people
	for _, p := range people {
		before[word(p.word).length()]++
	}
	sum := uint32(0)
	for length := len(people); length >= 0; length-- {
		before[length], sum = sum, sum+before[length]
	}
	order, place = make([]uint32, len(people)), make([]uint32, len(people))
	for n, p := range people {
		at := &before[word(p.word).length()]
		order[*at], place[n] = uint32(n), *at
		*at++
	}
	return order, place
}

// flush writes what is in the buffer; after an error it does nothing.
func (s *snapshotWriter) flush() {
	if s.err == nil {
		_, s.err = s.w.Write(s.buffer)
	}
}

// header writes the magic, the meta, and how many people there are.
func (s *snapshotWriter) header(meta []byte, people int) {
	b := append(s.buffer[:0], snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(meta)))
	b = append(b, meta...)
	b = binary.LittleEndian.AppendUint32(b, uint32(people))
	s.buffer = binary.LittleEndian.AppendUint32(b, castagnoli(b))
	s.flush()
}

// part writes people from a first one on, and returns the one after them.
func (s *snapshotWriter) part(first int) (next int) {
	people, entries := s.tables.people, 0
	for next = first; next < len(people) && next-first < partPeople; next++ {
		n := word(people[s.order[next]].word).length()
		if next > first && entries+n > partEntries {
			break
		}
		entries += n
	}
	b := binary.LittleEndian.AppendUint32(s.buffer[:0], uint32(next-first))
	b = binary.LittleEndian.AppendUint32(b, uint32(entries))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, n := range s.order[first:next] {
		b = binary.LittleEndian.AppendUint64(b, uint64(people[n].id))
	}
	for _, n := range s.order[first:next] {
		b = binary.LittleEndian.AppendUint32(b, uint32(people[n].word)) // presence and length
	}
	for _, n := range s.order[first:next] {
		b = s.appendEntries(b, s.tables.list(word(people[n].word)))
	}
	binary.LittleEndian.PutUint32(b[partHead-4:], castagnoli(b[partHead:]))
	s.buffer = b
	s.flush()
	return next
}

// appendEntries appends a list, little-endian.
func (s *snapshotWriter) appendEntries(b []byte, list []entry) []byte {
	n := len(b)
	b = slices.Grow(b, 4*len(list))[:n+4*len(list)]
	for i, e := range list {
		binary.LittleEndian.PutUint32(b[n+4*i:], s.place[e.number()]<<entryBits|uint32(e&bothWays))
	}
	return b
}
