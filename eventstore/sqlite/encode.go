package sqlite

import (
	"encoding/json"
	"fmt"
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

// encoder computes what protects records from silent damage.
type encoder struct{ *eventstore.Summer }

// newEncoder returns an encoder that also computes the hashes of commits.
func newEncoder() encoder { return encoder{eventstore.NewSummer()} }

// newChecker returns an encoder for checksums alone.
func newChecker() encoder { return encoder{eventstore.NewChecker()} }

// castagnoli returns the table of CRC32C, which the standard library keeps.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum returns the CRC32C over all columns of a record but the checksum itself,
// and adds them to the commit.
func (e *encoder) checksum(r *record) uint32 {
	return e.Sum(eventstore.Record{
		Event: &r.event, Name: r.stream, Meta: r.meta, Previous: r.previous, Key: r.key, Fingerprint: r.finger,
	})
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
