package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"ensemble/eventstore"
	"ensemble/internal/durable"
)

// indexFile is an index as it is saved beside the log. It is only a shortcut:
// without it the log is read again. Drawn in docs/format/heads.md.
type indexFile struct {
	index    *index
	uuid     [16]byte // of the log's last lineage entry
	position eventstore.Position
	chain    [32]byte
	outcome  int64 // the highest id in outcomes
}

const (
	indexMagic  = "ENSHEAD2"
	indexMagic1 = "ENSHEAD1" // has the times of keys in seconds
)

// errNoIndex means that there is no saved index.
var errNoIndex = errors.New("no saved heads")

// streamLen is how many bytes a stream takes in the file.
const streamLen = 16

// streamsAtOnce is how many are written and read together.
const streamsAtOnce = 4096

// maxIndexEntries bounds what a damaged file can make us allocate before its
// checksum is known to be wrong.
const maxIndexEntries = 1 << 34

// write replaces the file at path: a crash leaves the old one or the new one.
func (f *indexFile) write(path string) error {
	return durable.Replace(path, func(w io.Writer) error {
		out := &checkedWriter{w: bufio.NewWriterSize(w, 1<<20)}
		f.encode(out)
		binary.LittleEndian.PutUint32(out.scratch[:], out.sum)
		out.bytes(out.scratch[:4])
		return errors.Join(out.err, out.w.Flush())
	})
}

// encode writes the whole file but its checksum.
func (f *indexFile) encode(w *checkedWriter) {
	x := f.index
	w.bytes([]byte(indexMagic))
	w.bytes(f.uuid[:])
	w.bytes(f.chain[:])
	for _, n := range [...]uint64{
		uint64(f.position), uint64(f.outcome), x.seed, x.mask,
		uint64(x.streams.count), uint64(len(x.overflow)), uint64(len(x.numbers)), uint64(len(x.keys.order) - x.keys.first),
	} {
		w.word(n)
	}
	w.streams(&x.streams)
	for name, t := range x.overflow {
		w.text(name)
		w.word(uint64(t))
	}
	for name, n := range x.numbers {
		w.text(name)
		w.word(uint64(n))
	}
	for _, e := range x.keys.order[x.keys.first:] {
		w.word(e.hash)
		w.word(uint64(e.ref))
		w.word(uint64(e.time))
	}
}

// readIndexFile reads a saved index.
//
// Errors: errNoIndex, or what is wrong with the file.
func readIndexFile(path string, o Options) (*indexFile, error) {
	file, err := os.Open(path) //nolint:gosec // the operator's path
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoIndex
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return decodeIndex(file, info.Size(), o)
}

// decodeIndex reads a whole file of so many bytes and believes nothing before its checksum.
func decodeIndex(file io.Reader, size int64, o Options) (*indexFile, error) {
	r := &checkedReader{r: bufio.NewReaderSize(file, 1<<20)}
	f := &indexFile{index: newIndex(o)}
	var magic [len(indexMagic)]byte
	r.bytes(magic[:])
	tick := int64(1) // microseconds of what the file counts in
	switch {
	case string(magic[:]) == indexMagic1:
		tick = 1_000_000
	case r.err == nil && string(magic[:]) != indexMagic:
		return nil, errors.New("not a file of saved heads")
	}
	f.decode(r, tick, uint64(size)/streamLen)
	sum := r.sum
	r.bytes(r.scratch[:4])
	if r.err != nil {
		return nil, fmt.Errorf("cut short: %w", r.err)
	}
	if sum != binary.LittleEndian.Uint32(r.scratch[:4]) {
		return nil, errors.New("its checksum is wrong")
	}
	if len(f.index.keys.overflow) > 0 {
		return nil, errors.New("two keys share a hash")
	}
	return f, nil
}

// decode reads what encode has written. After an error it reads zeros, and the
// error is looked at once at the end. There can't be more than most streams.
func (f *indexFile) decode(r *checkedReader, tick int64, most uint64) {
	x := f.index
	r.bytes(f.uuid[:])
	r.bytes(f.chain[:])
	f.position = eventstore.Position(r.word())
	f.outcome = int64(r.word())
	x.seed = r.word()
	if mask := r.word(); mask != x.mask && r.err == nil {
		r.err = errors.New("other hashes")
	}
	streams, overflow, numbers, keys := r.count(), r.count(), r.count(), r.count()
	r.streams(&x.streams, streams, most)
	for ; overflow > 0 && r.err == nil; overflow-- {
		name := r.text()
		x.overflow[name] = tail(r.word())
	}
	for ; numbers > 0 && r.err == nil; numbers-- {
		name := r.text()
		x.numbers[name] = int64(r.word())
	}
	for ; keys > 0 && r.err == nil; keys-- {
		e := keyEntry{hash: r.word(), ref: ref(r.word()), time: int64(r.word()) * tick}
		x.keys.restore(e)
	}
}

// restore takes a saved key. Two with one hash can't be told apart without
// their rows; the file is not used then.
func (k *keys) restore(e keyEntry) {
	if _, taken := k.refs[e.hash]; taken {
		k.overflow[[16]byte{}] = e.ref
	}
	k.refs[e.hash] = e.ref
	k.order = append(k.order, e)
}

// checkedWriter writes the primitives of the format and sums them up.
type checkedWriter struct {
	w       *bufio.Writer
	sum     uint32
	err     error
	scratch [8]byte
}

// bytes writes raw bytes; after an error it does nothing.
func (w *checkedWriter) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.w.Write(b)
		w.sum = crc32.Update(w.sum, castagnoli(), b)
	}
}

// word writes 8 bytes, little-endian.
func (w *checkedWriter) word(n uint64) {
	binary.LittleEndian.PutUint64(w.scratch[:], n)
	w.bytes(w.scratch[:])
}

// text writes a length and the bytes.
func (w *checkedWriter) text(s string) {
	w.word(uint64(len(s)))
	w.bytes([]byte(s))
}

// streams writes where streams end, many at a time.
func (w *checkedWriter) streams(h *heads) {
	b := make([]byte, 0, streamsAtOnce*streamLen)
	for hash, t := range h.all() {
		b = binary.LittleEndian.AppendUint64(b, hash)
		b = binary.LittleEndian.AppendUint64(b, uint64(t))
		if len(b) == cap(b) {
			w.bytes(b)
			b = b[:0]
		}
	}
	w.bytes(b)
}

// checkedReader is the counterpart of checkedWriter.
type checkedReader struct {
	r       *bufio.Reader
	sum     uint32
	err     error
	scratch [8]byte
}

// bytes fills b; after an error it does nothing.
func (r *checkedReader) bytes(b []byte) {
	if r.err == nil {
		_, r.err = io.ReadFull(r.r, b)
		r.sum = crc32.Update(r.sum, castagnoli(), b)
	}
}

// word reads 8 bytes, little-endian; 0 after an error.
func (r *checkedReader) word() uint64 {
	r.bytes(r.scratch[:])
	if r.err != nil {
		return 0
	}
	return binary.LittleEndian.Uint64(r.scratch[:])
}

// count reads a count and refuses impossible ones.
func (r *checkedReader) count() uint64 {
	n := r.word()
	if n > maxIndexEntries && r.err == nil {
		r.err = errors.New("an impossible count")
	}
	return n
}

// streams reads where so many streams end, many at a time. There can't be more than most.
func (r *checkedReader) streams(h *heads, count, most uint64) {
	if r.err == nil {
		h.reserve(min(count, most)) // growing would cost as much again
	}
	all := make([]byte, streamsAtOnce*streamLen)
	for count > 0 && r.err == nil {
		n := min(count, streamsAtOnce)
		b := all[:n*streamLen]
		r.bytes(b)
		for ; len(b) > 0 && r.err == nil; b = b[streamLen:] {
			t := tail(binary.LittleEndian.Uint64(b[8:]))
			if t == 0 {
				r.err = errors.New("a stream that ends nowhere")
				return
			}
			h.put(binary.LittleEndian.Uint64(b), t)
		}
		count -= n
	}
}

// text reads a length and the bytes.
func (r *checkedReader) text() string {
	n := r.word()
	if n > 2*eventstore.MaxName+1 {
		r.err = errors.Join(r.err, errors.New("an impossible length"))
		return ""
	}
	b := make([]byte, n)
	r.bytes(b)
	return string(b)
}
