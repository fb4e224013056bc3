package graph

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
)

// ReadSnapshot returns the graph that was written, and its meta. Other goroutines
// place what was read while it reads on, and check the whole in the end. A reader that
// knows its Size, as those of files and bytes do, is read faster: nothing has to grow.
//
// Errors: [ErrSnapshot], and those of the reader.
func ReadSnapshot(r io.Reader) (*Graph, []byte, error) {
	s := snapshotReader{r: r, graph: New(), spare: make(chan []byte, runtime.GOMAXPROCS(0)+1)}
	for range cap(s.spare) {
		s.spare <- nil
	}
	meta, people, err := s.header()
	if sized, ok := r.(interface{ Size() int64 }); ok && err == nil && int64(people)*perPerson <= sized.Size() {
		s.graph.reserve(people) // no more than there is
	}
	for err == nil && s.graph.people < people {
		err = s.part(people)
	}
	s.placing.Wait()
	if err == nil {
		err = s.graph.check()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return s.graph, meta, nil
}

// snapshotReader reads the parts.
type snapshotReader struct {
	r       io.Reader
	graph   *Graph
	placing sync.WaitGroup
	spare   chan []byte // buffers; as many as there are parts in memory
}

// read appends n bytes. A forged length allocates only about as much as there is.
func (s *snapshotReader) read(b []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, max(1<<20, len(b)))
		b = slices.Grow(b, step)
		if _, err := io.ReadFull(s.r, b[len(b):len(b)+step]); err != nil {
			return b, fmt.Errorf("read: %w", err)
		}
		b = b[:len(b)+step]
		n -= step
	}
	return b, nil
}

// header returns the meta and how many people there should be.
func (s *snapshotReader) header() (meta []byte, people int, err error) {
	b, err := s.read(nil, len(snapshotMagic)+4)
	if err != nil {
		return nil, 0, err
	}
	if magic := string(b[:len(snapshotMagic)]); magic != snapshotMagic {
		return nil, 0, fmt.Errorf("it begins with %q", magic)
	}
	n := binary.LittleEndian.Uint32(b[len(snapshotMagic):])
	if n > MaxMeta {
		return nil, 0, fmt.Errorf("%d bytes of meta", n)
	}
	if b, err = s.read(b, int(n)+8); err != nil {
		return nil, 0, err
	}
	sum := len(b) - 4
	if castagnoli(b[:sum]) != binary.LittleEndian.Uint32(b[sum:]) {
		return nil, 0, errors.New("the checksum of its head is wrong")
	}
	meta = slices.Clone(b[len(snapshotMagic)+4 : sum-4])
	if count := binary.LittleEndian.Uint32(b[sum-4:]); count <= MaxPeople {
		return meta, int(count), nil
	}
	return nil, 0, errors.New("it has more people than a graph can have")
}

// part reads some people, and has their lists placed.
func (s *snapshotReader) part(all int) error {
	b, err := s.read((<-s.spare)[:0], partHead)
	if err != nil {
		return err
	}
	people, entries := int(binary.LittleEndian.Uint32(b)), int(binary.LittleEndian.Uint32(b[4:]))
	sum := binary.LittleEndian.Uint32(b[8:])
	if people == 0 || people > min(partPeople, all-s.graph.people) || entries > MaxPeople {
		return fmt.Errorf("a part of %d people and %d entries", people, entries)
	}
	if b, err = s.read(b[:0], people*perPerson+entries*4); err != nil {
		return err
	}
	if castagnoli(b) != sum {
		return errors.New("the checksum of a part is wrong")
	}
	first := s.graph.people
	if err := s.graph.place(b, people, entries); err != nil {
		return err
	}
	s.placing.Go(func() {
		s.graph.fill(first, b[people*perPerson:])
		s.spare <- b
	})
	return nil
}

// place makes the people of a part and room for their lists.
func (g *Graph) place(b []byte, people, entries int) error {
	for i := range people {
		id := int64(binary.LittleEndian.Uint64(b[8*i:]))
		w := word(binary.LittleEndian.Uint32(b[8*people+4*i:]))
		next := g.people
		n, err := g.numberOf(id)
		if err != nil || int(n) != next || w.presence() > erased || w.length() > entries {
			return errors.Join(err, fmt.Errorf("person %d makes no sense", id))
		}
		block, err := g.take(w.length())
		if err != nil {
			return err
		}
		entries -= w.length()
		g.counts[unknown].Add(-1)
		g.counts[w.presence()].Add(1)
		g.halves.Add(int64(w.length()))
		g.tables.Load().set(n, list(block, w.presence(), w.length()))
	}
	if entries > 0 {
		return fmt.Errorf("%d entries are nobody's", entries)
	}
	return nil
}

// fill fills the lists of people from a first one on.
func (g *Graph) fill(first int, b []byte) {
	t := g.tables.Load()
	for n := first; len(b) > 0; n++ {
		list := t.list(t.word(uint32(n)))
		for i := range list {
			list[i] = entry(binary.LittleEndian.Uint32(b[4*i:]))
		}
		b = b[4*len(list):]
	}
}

// check makes sure that every entry names a person, once, and has its counterpart.
func (g *Graph) check() error {
	workers := runtime.GOMAXPROCS(0)
	var (
		wg       sync.WaitGroup
		checkers = make([]checker, workers)
		balance  uint64
		errs     []error
	)
	t := g.tables.Load()
	for i := range checkers {
		wg.Go(func() { checkers[i].lists(t, g.people, g.people*i/workers, g.people*(i+1)/workers) })
	}
	wg.Wait()
	for i := range checkers {
		balance += checkers[i].balance
		errs = append(errs, checkers[i].err)
	}
	if balance != 0 {
		errs = append(errs, errors.New("a connection is in one list only"))
	}
	return errors.Join(errs...)
}

// checker checks some lists.
type checker struct {
	// Each pair of entries adds and takes away the same: 0 if all have a counterpart.
	balance uint64
	err     error
}

// lists checks the lists of people from first to last.
func (c *checker) lists(t *tables, people, first, last int) {
	seen := make([]uint32, people) // the number of the last list where somebody was, plus one
	for n := first; n < last; n++ {
		for _, e := range t.list(t.word(uint32(n))) {
			other := int(e.number())
			if other >= people || other == n || e&bothWays == 0 || seen[other] == uint32(n)+1 {
				c.err = fmt.Errorf("person %d has a connection that makes no sense", t.people[n].id)
				return
			}
			seen[other] = uint32(n) + 1
			if n < other {
				c.balance += weigh(n, other, e&bothWays)
			} else {
				c.balance -= weigh(other, n, e>>1&1|e<<1&in)
			}
		}
	}
}

// weigh returns a number for a connection as the lower of the two has it. Damage that
// leaves the sum as it was is one case of 2^64
// (the mixing is that of Steele, Lea and Flood, Fast Splittable Pseudorandom Number
// Generators, 2014).
func weigh(low, high int, directions entry) uint64 {
	h := (uint64(low)<<32 | uint64(high)<<entryBits | uint64(directions)) * 0x9E3779B97F4A7C15
	h = (h ^ h>>30) * 0xBF58476D1CE4E5B9
	return h ^ h>>27
}
