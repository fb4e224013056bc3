package graph

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// snapshotMagic begins every snapshot; its last character is the version of the
// format, which is drawn in docs/format/graph.md.
const snapshotMagic = "ENSGRAF1"

// MaxMeta is how many bytes of meta a snapshot holds.
const MaxMeta = 1 << 20

// ErrSnapshot means that a snapshot can't be used. The graph has to be built from
// its history again.
var ErrSnapshot = errors.New("not a usable snapshot")

// WriteSnapshot writes the graph and up to MaxMeta bytes of the caller's, such as
// the positions it has reached. Apply waits meanwhile.
func (g *Graph) WriteSnapshot(w io.Writer, meta []byte) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("%d bytes of meta, at most %d", len(meta), MaxMeta)
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := &snapshotWriter{w: bufio.NewWriterSize(w, 1<<16)}
	s.write([]byte(snapshotMagic))
	s.word(uint32(len(meta)))
	s.write(meta)
	s.word(uint32(len(g.people)))
	for i := range g.people {
		s.person(&g.people[i])
	}
	s.word(s.sum)
	if s.err != nil {
		return fmt.Errorf("write snapshot: %w", s.err)
	}
	return s.w.Flush()
}

// ReadSnapshot returns the graph that was written, and its meta.
//
// Errors: [ErrSnapshot], and those of the reader.
func ReadSnapshot(r io.Reader) (*Graph, []byte, error) {
	s := &snapshotReader{r: bufio.NewReaderSize(r, 1<<16)}
	magic := s.read(len(snapshotMagic))
	if s.err == nil && string(magic) != snapshotMagic {
		return nil, nil, fmt.Errorf("%w: it begins with %q", ErrSnapshot, magic)
	}
	n := s.word()
	if n > MaxMeta {
		return nil, nil, fmt.Errorf("%w: %d bytes of meta", ErrSnapshot, n)
	}
	meta := append([]byte(nil), s.read(int(n))...)
	g := New()
	people := s.word()
	for i := uint32(0); i < people && s.err == nil; i++ {
		s.person(g, people)
	}
	sum := s.sum
	if stored := s.word(); s.err == nil && stored != sum {
		s.err = errors.New("its checksum is wrong")
	}
	if s.err == nil {
		s.err = g.check()
	}
	if s.err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, s.err)
	}
	return g, meta, nil
}

// snapshotWriter writes the primitives of the format and sums them up.
type snapshotWriter struct {
	w       *bufio.Writer
	sum     uint32
	err     error
	scratch [8]byte
}

// write writes raw bytes; after an error it does nothing.
func (s *snapshotWriter) write(b []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
		s.sum = crc32.Update(s.sum, crc32.MakeTable(crc32.Castagnoli), b)
	}
}

// word writes 4 bytes, little-endian.
func (s *snapshotWriter) word(n uint32) {
	binary.LittleEndian.PutUint32(s.scratch[:4], n)
	s.write(s.scratch[:4])
}

// person writes a person and their list, with the list's own encoding.
func (s *snapshotWriter) person(p *person) {
	binary.LittleEndian.PutUint64(s.scratch[:], uint64(p.id))
	s.write(s.scratch[:])
	s.word(uint32(p.presence))
	s.word(uint32(len(p.friends)))
	for _, e := range p.friends {
		s.word(uint32(e))
	}
}

// snapshotReader is the counterpart of snapshotWriter.
type snapshotReader struct {
	r       *bufio.Reader
	sum     uint32
	err     error
	scratch []byte
}

// read returns n bytes, which are good until the next call.
func (s *snapshotReader) read(n int) []byte {
	if cap(s.scratch) < n {
		s.scratch = make([]byte, n)
	}
	b := s.scratch[:n]
	if s.err != nil {
		clear(b)
		return b
	}
	_, s.err = io.ReadFull(s.r, b)
	s.sum = crc32.Update(s.sum, crc32.MakeTable(crc32.Castagnoli), b)
	return b
}

// word reads 4 bytes, little-endian; 0 after an error.
func (s *snapshotReader) word() uint32 { return binary.LittleEndian.Uint32(s.read(4)) }

// person reads one person into the graph. A forged length allocates only as much
// as there is to read.
func (s *snapshotReader) person(g *Graph, people uint32) {
	id := int64(binary.LittleEndian.Uint64(s.read(8)))
	p, n := presence(s.word()), s.word()
	if s.err != nil {
		return
	}
	number, err := g.number(id)
	if err != nil || int(number) != len(g.people)-1 || p > erased || n >= people {
		s.err = errors.Join(err, fmt.Errorf("person %d makes no sense", id))
		return
	}
	g.setPresence(number, p)
	list := make([]entry, 0, min(n, 1<<12))
	for ; n > 0 && s.err == nil; n-- {
		list = append(list, entry(s.word()))
	}
	g.people[number].friends = list
	g.halves += len(list)
}

// check makes sure that every entry names a person and has its counterpart.
func (g *Graph) check() error {
	seen := make(map[[2]uint32]entry, g.halves)
	for n := range g.people {
		for _, e := range g.people[n].friends {
			pair := [2]uint32{uint32(n), e.number()}
			if _, twice := seen[pair]; twice || int(e.number()) >= len(g.people) || int(e.number()) == n || e&bothWays == 0 {
				return fmt.Errorf("person %d has a connection that makes no sense", g.people[n].id)
			}
			seen[pair] = e & bothWays
		}
	}
	for pair, e := range seen {
		if seen[[2]uint32{pair[1], pair[0]}] != e>>1|e<<1&bothWays {
			return fmt.Errorf("person %d has a connection in one list only", g.people[pair[0]].id)
		}
	}
	return nil
}
