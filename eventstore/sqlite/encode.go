package sqlite

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"hash/crc32"
	"time"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// record is an event with the columns that only this driver knows.
type record struct {
	event    eventstore.Event
	stream   string // the stream's name
	meta     string // the metadata as JSON; "" if there is none
	previous eventstore.Position
	key      []byte // 16 bytes, or none
	finger   []byte // 8 bytes, or none
	crc      uint32
}

// encoder computes what protects events from silent damage. Its buffers are
// reused from event to event.
type encoder struct {
	table *crc32.Table
	buf   []byte
	batch hash.Hash
}

// newEncoder returns an encoder that also computes the digests of batches.
func newEncoder() encoder { return encoder{table: castagnoli(), batch: sha256.New()} }

// newChecker returns an encoder for checksums alone.
func newChecker() encoder { return encoder{table: castagnoli()} }

// castagnoli returns the table of CRC32C, which the standard library keeps.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum returns the CRC32C (RFC 3720, appendix B.4) over all columns of a
// record but the checksum itself, and adds them to the digest of the batch. The
// layout is drawn in docs/format/sqlite.md.
func (e *encoder) checksum(r *record) uint32 {
	ev := &r.event
	b := e.buf[:0]
	for _, n := range [...]int64{
		int64(ev.Position), int64(ev.Version), int64(r.previous), ev.Number, ev.Time.UnixMicro(),
	} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = appendField(b, r.stream)
	b = appendField(b, ev.Type)
	b = appendField(b, ev.Data)
	b = appendField(b, r.meta)
	b = appendField(b, r.key)
	b = appendField(b, r.finger)
	e.buf = b
	if e.batch != nil {
		e.batch.Write(b)
	}
	return crc32.Checksum(b, e.table)
}

// chain ends a batch: it returns the hash that binds its events to all before
// them, and begins the next batch.
func (e *encoder) chain(previous [32]byte, first eventstore.Position) [32]byte {
	var b [72]byte
	copy(b[:32], previous[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(first))
	e.batch.Sum(b[:40])
	e.batch.Reset()
	return sha256.Sum256(b[:])
}

// appendField appends a length and a field, so that no two records have one encoding.
func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

// encodeMeta returns the metadata as JSON with sorted names, "" for none.
func encodeMeta(m eventstore.Metadata) (string, error) {
	if len(m) == 0 {
		return "", nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode metadata: %w", err)
	}
	return string(b), nil
}

// columns is what decode reads, in its order.
const columns = "position, stream, version, previous, number, type, time, crc, data, meta, key, fingerprint"

// decode reads a record from the current row of a statement over columns. It
// does not check the checksum.
func decode(s *sqlite.Stmt, r *record) error {
	stream := s.ColumnText(1)
	*r = record{
		event: eventstore.Event{
			Position: eventstore.Position(s.ColumnInt64(0)),
			Version:  eventstore.Version(s.ColumnInt64(2)),
			Number:   s.ColumnInt64(4),
			Type:     s.ColumnText(5),
			Time:     time.UnixMicro(s.ColumnInt64(6)).UTC(),
			Data:     columnBytes(s, 8),
		},
		stream:   stream,
		previous: eventstore.Position(s.ColumnInt64(3)),
		crc:      uint32(s.ColumnInt64(7)),
		meta:     s.ColumnText(9),
	}
	if !s.ColumnIsNull(10) {
		r.key, r.finger = columnBytes(s, 10), columnBytes(s, 11)
	}
	var err error
	if r.event.Stream, err = eventstore.ParseStream(stream); err != nil {
		return err
	}
	if r.meta != "" {
		return json.Unmarshal([]byte(r.meta), &r.event.Meta)
	}
	return nil
}

// columnBytes copies a column: its memory belongs to SQLite until the next step.
func columnBytes(s *sqlite.Stmt, column int) []byte {
	b := make([]byte, s.ColumnLen(column))
	s.ColumnBytes(column, b)
	return b
}
