package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"ensemble/user"
)

// A snapshot is one file, drawn in docs/format/snapshot.md:
//
//	head     magic, what the caller wants to know of it (meta)
//	graph    as graph.WriteSnapshot writes it
//	people   in blocks, with the names sealed
//	foot     how long the parts are: without it the file was cut
//
// # Of which moment it is
//
// The caller notes how far both logs have come, and then begins to write, while events go
// on. The graph has its cut a moment later; the people are read after that, some thousands
// at a time, so that nobody waits for a million. What is written may therefore be newer
// than what was noted, and is never older.
//
// That is enough, because whoever reads the snapshot also gets the events after what was
// noted, and each of them says what is to be, not what to change: a direction of a pair
// connected or not, a name with its time, somebody gone for ever. Whatever an event
// touches ends as the last event about it says, whether the snapshot knew it or not, and
// what no event touches has not changed since. The order within a pair is the log's.
//
// The graph and the people are of two moments. Reading makes one of them ([Backend.agree]):
// otherwise somebody created and renamed in between would be in the table only, and their
// creation, seen again, would be taken for old.
//
// # Names
//
// Each name is sealed with its person's own key, as in the log. Destroying that key makes
// the name unreadable here as well, in this file and in every copy of it; nothing has to
// be rewritten. Whoever's key is destroyed is loaded as erased.

const (
	snapshotMagic   = "ENSRECO" // and the version of the format
	snapshotVersion = '1'
	footMagic       = "ENSRECO." // ends a file
	headLen         = len(snapshotMagic) + 1 + 4
	footLen         = 8 + 8 + 8 + 4 + len(footMagic)

	// MaxMeta is how many bytes of meta a snapshot holds.
	MaxMeta = 1 << 16
)

// ErrSnapshot means that a snapshot can't be used: it is cut short, damaged, or of a newer
// format. The backend has to be filled from the logs.
var ErrSnapshot = errors.New("not a usable snapshot")

// foot is the end of a snapshot.
type foot struct {
	graph  uint64 // bytes
	blocks uint64 // bytes
	people uint64 // the erased among them
}

// WriteSnapshot writes the graph, the people, and up to MaxMeta bytes of the caller's.
// It holds all that was applied before the call, and may hold more. Queries and events
// go on meanwhile. keys seal the names; they are asked in the order of people's ids.
func (b *Backend) WriteSnapshot(w io.Writer, meta []byte, keys user.Keys) error {
	if len(meta) > MaxMeta {
		return fmt.Errorf("%d bytes of meta, at most %d", len(meta), MaxMeta)
	}
	if err := b.writeSnapshot(&counter{w: w}, meta, keys); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	return nil
}

// writeSnapshot writes the four parts.
func (b *Backend) writeSnapshot(out *counter, meta []byte, keys user.Keys) (err error) {
	head := appendHead(nil, meta)
	if _, err := out.Write(head); err != nil {
		return err
	}
	var f foot
	out.n = 0
	if err := b.graph.WriteSnapshot(out, meta); err != nil {
		return err
	}
	f.graph, out.n = out.n, 0
	if f.people, err = b.writePeople(out, checksum(0, head), keys); err != nil {
		return err
	}
	f.blocks = out.n
	_, err = out.Write(f.append(nil, head))
	return err
}

// appendHead appends the beginning of a snapshot, with its checksum.
func appendHead(dst, meta []byte) []byte {
	dst = append(append(dst, snapshotMagic...), snapshotVersion)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(meta)))
	dst = append(dst, meta...)
	return binary.LittleEndian.AppendUint32(dst, checksum(0, dst))
}

// append appends the end of a snapshot that begins with head.
func (f foot) append(dst, head []byte) []byte {
	at := len(dst)
	for _, n := range [...]uint64{f.graph, f.blocks, f.people} {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	dst = binary.LittleEndian.AppendUint32(dst, checksum(checksum(0, head), dst[at:]))
	return append(dst, footMagic...)
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n uint64
}

// Write implements io.Writer.
func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += uint64(n)
	return n, err
}

// checksum continues a CRC32C.
func checksum(sum uint32, b []byte) uint32 {
	return crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), b)
}
