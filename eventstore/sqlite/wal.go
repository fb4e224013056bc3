package sqlite

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"ensemble/eventstore"
)

// checkWAL looks for damage in the write-ahead log before SQLite reads it.
//
// SQLite ends its reading at the first frame whose checksum is wrong, because
// that is what a crash in the middle of a write leaves behind; a flipped bit in
// the middle looks the same, and all commits after it would vanish without a
// word. But a transaction begins only after the one before it was synced. So
// when frames of a later transaction follow a bad frame, the bad one was good
// once: that is damage, and the log must not be opened. Only damage within the
// very last transaction can't be told from a crash.
//
// Source: https://sqlite.org/fileformat2.html#the_write_ahead_log
func checkWAL(path string) error {
	file, err := os.Open(path + "-wal") //nolint:gosec // the operator's path
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the write-ahead log: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	w := walReader{r: bufio.NewReaderSize(file, 1<<20)}
	lost, err := w.lost()
	if err != nil {
		return fmt.Errorf("read the write-ahead log of %s: %w", path, err)
	}
	if lost {
		where := "its header"
		if w.bad > 0 {
			where = fmt.Sprintf("frame %d", w.bad)
		}
		return &eventstore.DamageError{
			Log:    path + "-wal",
			Reason: where + " is not as it was written, and transactions follow it",
			Hint:   "Keep the files as they are, and restore a backup",
		}
	}
	return nil
}

const (
	walHeaderLen   = 32
	frameHeaderLen = 24
	leastPage      = 512
	walMagic       = 0x377f0682 // the lowest bit says: big-endian checksums
)

// walReader walks the frames of a write-ahead log.
type walReader struct {
	r     *bufio.Reader
	order binary.ByteOrder
	salts [8]byte
	sum   [2]uint32 // stored in the frame before
	frame []byte    // header and page
	bad   int       // the first frame that is not as it was written, from 1; 0: none
}

// lost says whether a transaction that was synced can't be read any more.
func (w *walReader) lost() (bool, error) {
	h, ok, err := w.header()
	if err != nil || h == nil {
		return false, err
	}
	if !ok {
		return w.orphaned(h)
	}
	ended := false // a transaction has ended at or after the bad frame
	for n := 1; ; n++ {
		if _, err := io.ReadFull(w.r, w.frame); err != nil {
			return false, ignoreEnd(err)
		}
		whole := w.whole()
		good := whole && w.current()
		switch {
		case good && ended:
			return true, nil
		case !good && w.bad == 0:
			w.bad = n
		}
		// A frame whose checksum continues those before it was written in this
		// generation, whatever its salts say now.
		if w.bad > 0 && (whole || w.current()) && w.commits() {
			ended = true
		}
	}
}

// header reads the header, nil if there is none, and says whether SQLite will take
// it: if not, it forgets all that follows.
func (w *walReader) header() (h []byte, ok bool, err error) {
	h = make([]byte, walHeaderLen)
	if _, err := io.ReadFull(w.r, h); err != nil {
		return nil, false, ignoreEnd(err)
	}
	magic := binary.BigEndian.Uint32(h)
	size := binary.BigEndian.Uint32(h[8:])
	w.order = binary.LittleEndian
	if magic&1 == 1 {
		w.order = binary.BigEndian
	}
	copy(w.salts[:], h[16:24])
	w.sum = w.checksum([2]uint32{}, h[:24])
	if magic&^1 != walMagic || size < leastPage || size > 1<<16 || w.sum != stored(h[24:]) {
		return h, false, nil
	}
	w.frame = make([]byte, frameHeaderLen+size)
	return h, true, nil
}

// orphaned says whether frames follow a header that was good once. A header is synced
// before its first frame is written, so a frame with its salts is the proof; and if it
// is the salts that were damaged, its checksum fits with those of the frame. A frame
// that is not whole was never acknowledged; how long it should be is in the header, so
// all that can be asked for is the shortest page.
func (w *walReader) orphaned(h []byte) (bool, error) {
	frame := make([]byte, frameHeaderLen+leastPage)
	if _, err := io.ReadFull(w.r, frame); err != nil {
		return false, ignoreEnd(err)
	}
	salts := [8]byte(frame[8:16])
	if salts == [8]byte{} {
		return false, nil
	}
	mended := append(h[:16:16], salts[:]...)
	return salts == w.salts || w.checksum([2]uint32{}, mended) == stored(h[24:]), nil
}

// whole says whether the checksum of the current frame continues those before it, and
// notes the one stored in it for the next.
func (w *walReader) whole() bool {
	sum := w.checksum(w.sum, w.frame[:8])
	sum = w.checksum(sum, w.frame[frameHeaderLen:])
	w.sum = stored(w.frame[16:])
	return sum == w.sum
}

// stored reads a checksum.
func stored(b []byte) [2]uint32 {
	return [2]uint32{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// current says whether the frame belongs to this generation of the log; frames
// of an older one lie behind the newest.
func (w *walReader) current() bool { return string(w.frame[8:16]) == string(w.salts[:]) }

// commits says whether the frame ends a transaction.
func (w *walReader) commits() bool { return binary.BigEndian.Uint32(w.frame[4:]) != 0 }

// checksum continues the checksum of the format over b, whose length is a
// multiple of 8.
func (w *walReader) checksum(s [2]uint32, b []byte) [2]uint32 {
	s0, s1 := s[0], s[1]
	if w.order == binary.ByteOrder(binary.LittleEndian) {
		for ; len(b) >= 8; b = b[8:] {
			s0 += binary.LittleEndian.Uint32(b) + s1
			s1 += binary.LittleEndian.Uint32(b[4:]) + s0
		}
		return [2]uint32{s0, s1}
	}
	for ; len(b) >= 8; b = b[8:] {
		s0 += binary.BigEndian.Uint32(b) + s1
		s1 += binary.BigEndian.Uint32(b[4:]) + s0
	}
	return [2]uint32{s0, s1}
}

// ignoreEnd turns the end of the file into none: a frame that is not whole was
// being written.
func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
