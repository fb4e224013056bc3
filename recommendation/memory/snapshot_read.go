package memory

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"

	"ensemble/graph"
	"ensemble/user"
)

// Reading uses all cores, for a start waits for it:
//
//	graph    ── read ─► place, check                        package graph
//	people   ── read ─► checksum ─┬► open names ─► put in
//	                              └► open names ─► put in   one worker a core
//
// Nothing in a file is believed before its checksum, and no length makes anything larger
// than the file is. Whatever is wrong, the answer is [ErrSnapshot] and no backend: a half
// of one would be worse than none.

// parts is a snapshot whose head and foot are as they were written.
type parts struct {
	foot

	meta []byte
	sum  uint32 // of the head
	from int64  // where the graph begins
}

// ReadMeta returns what the writer of a snapshot wanted to be known of it. It reads the
// head and the foot only.
//
// Errors: [ErrSnapshot], those of the reader.
func ReadMeta(r io.ReaderAt, size int64) ([]byte, error) {
	p, err := readParts(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return p.meta, nil
}

// ReadSnapshot returns a backend as it was written, and the meta. keys returns keys for
// one goroutine: names are opened on all cores. Who has been erased since then, which
// shows in their key, is erased in the backend.
//
// Errors: [ErrSnapshot], also when a key does not open its name.
func ReadSnapshot(r io.ReaderAt, size int64, keys func() user.Keys) (*Backend, []byte, error) {
	p, err := readParts(r, size)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	b := New()
	b.reserve(p.people)
	var loading errgroup.Group
	loading.Go(func() error { return b.readGraph(io.NewSectionReader(r, p.from, int64(p.graph)), p.meta) })
	loading.Go(func() error { return b.readPeople(r, p, keys) })
	if err := loading.Wait(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if err := b.agree(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	return b, p.meta, nil
}

// readParts reads the head and the foot. What they say of sizes adds up to the size of
// the file, so nothing larger is ever made on their word.
func readParts(r io.ReaderAt, size int64) (*parts, error) {
	head := make([]byte, headLen)
	if size < int64(headLen+4+footLen) {
		return nil, errors.New("it is cut short")
	}
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte(snapshotMagic)) {
		return nil, fmt.Errorf("it begins with %q", head[:8])
	}
	if v := head[len(snapshotMagic)]; v != snapshotVersion {
		return nil, fmt.Errorf("its format has version %q, this program knows %q: a newer one has written it", v, snapshotVersion)
	}
	n := int(binary.LittleEndian.Uint32(head[len(snapshotMagic)+1:]))
	if n > MaxMeta || int64(headLen+n+4+footLen) > size {
		return nil, errors.New("it is cut short, or its head is damaged")
	}
	head = make([]byte, headLen+n+4)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	if end := len(head) - 4; checksum(0, head[:end]) != binary.LittleEndian.Uint32(head[end:]) {
		return nil, errors.New("the checksum of its head is wrong")
	}
	p := &parts{meta: head[headLen : headLen+n], sum: checksum(0, head), from: int64(len(head))}
	return p, p.readFoot(r, size)
}

// readFoot reads the foot and holds it against the size of the file.
func (p *parts) readFoot(r io.ReaderAt, size int64) error {
	end := make([]byte, footLen)
	if _, err := r.ReadAt(end, size-int64(footLen)); err != nil {
		return err
	}
	if string(end[28:]) != footMagic {
		return errors.New("it is cut short: it has no foot")
	}
	if checksum(p.sum, end[:24]) != binary.LittleEndian.Uint32(end[24:]) {
		return errors.New("the checksum of its foot is wrong")
	}
	p.graph, p.blocks, p.people = binary.LittleEndian.Uint64(end), binary.LittleEndian.Uint64(end[8:]), binary.LittleEndian.Uint64(end[16:])
	rest := uint64(size - p.from - int64(footLen))
	if p.graph > rest || p.blocks != rest-p.graph || p.people > p.blocks/minRecord {
		return errors.New("its parts are not as long as it says")
	}
	return nil
}

// readGraph reads the graph, which has to be of the same snapshot.
func (b *Backend) readGraph(r io.Reader, meta []byte) (err error) {
	g, of, err := graph.ReadSnapshot(r)
	if err != nil {
		return err
	}
	if !bytes.Equal(meta, of) {
		return errors.New("its graph belongs to another one")
	}
	b.graph = g
	return nil
}

// block is a block of people as it lies in the file.
type block struct {
	data   []byte
	people int
}

// readPeople reads the blocks one after the other and opens them on all cores. At most two
// blocks a core are in memory.
func (b *Backend) readPeople(r io.ReaderAt, p *parts, keys func() user.Keys) error {
	from := io.NewSectionReader(r, p.from+int64(p.graph), int64(p.blocks))
	workers := runtime.GOMAXPROCS(0)
	blocks := make(chan block, workers)
	var group errgroup.Group
	for range workers {
		group.Go(func() (err error) {
			mine := keys()
			var people []user.User
			for one := range blocks { // also after an error: the reader must not wait
				if err != nil {
					continue
				}
				if people, err = decodeBlock(people[:0], one.data, one.people, mine); err == nil {
					b.take(people)
				}
			}
			return err
		})
	}
	err := readBlocks(bufio.NewReaderSize(from, 1<<20), p.sum, func(one block) { blocks <- one })
	close(blocks)
	if err := errors.Join(err, group.Wait()); err != nil {
		return err
	}
	if uint64(b.people.count) != p.people {
		return fmt.Errorf("it has %d people and says %d", b.people.count, p.people)
	}
	return nil
}

// readBlocks reads all blocks and passes those on whose checksum is right. The checksums
// are a chain, so they are checked here, in order; that is a small part of the work.
func readBlocks(r io.Reader, sum uint32, each func(block)) error {
	var head [blockHeadLen]byte
	for {
		if _, err := io.ReadFull(r, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		n := binary.LittleEndian.Uint32(head[:])
		if n > maxBlock {
			return fmt.Errorf("a block of people has %d bytes", n)
		}
		one := block{make([]byte, n), int(binary.LittleEndian.Uint32(head[4:]))}
		if _, err := io.ReadFull(r, one.data); err != nil {
			return err
		}
		if sum = checksum(sum, one.data); sum != binary.LittleEndian.Uint32(head[8:]) {
			return errors.New("the checksum of a block of people is wrong")
		}
		each(one)
	}
}

// agree makes the graph and the people one: who is erased, also since then, is so in both,
// and whoever has a name is there in both. Nobody may be known to the graph alone: people
// come into the table before they come into the graph, and were read after it.
func (b *Backend) agree() error {
	erased := b.changesFor(true)
	if err := b.change(erased); err != nil {
		return err
	}
	switch there, known := b.people.count-len(erased), b.graph.Stats().People; {
	case known > there:
		return fmt.Errorf("its graph has %d people, of whom %d have a name", known, there)
	case known < there: // somebody came while it was written
		return b.change(b.changesFor(false))
	}
	return nil
}

// change makes changes in the graph.
func (b *Backend) change(changes []graph.Change) error {
	_, err := b.graph.Apply(changes)
	return err
}
