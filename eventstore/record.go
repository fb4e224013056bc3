package eventstore

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
)

// Record is an event with everything that its checksum covers, and so the same bytes
// in whatever database it lies.
type Record struct {
	Event       *Event
	Name        string   // the stream's name
	Meta        string   // the metadata as it is stored; "" if there is none
	Previous    Position // of the stream's event before this one; 0 if there is none
	Key         []byte   // hash of the idempotency key: 16 bytes, or none
	Fingerprint []byte   // 8 bytes, or none
}

// Summer computes what protects events from silent damage: a checksum for each event
// and a hash that binds each commit to all before it. It is used by one goroutine; its
// buffers go from event to event.
type Summer struct {
	table *crc32.Table
	buf   []byte
	batch hash.Hash // nil: checksums alone
}

// NewSummer returns a Summer that also computes the hashes of commits.
func NewSummer() *Summer {
	s := NewChecker()
	s.batch = sha256.New()
	return s
}

// NewChecker returns a Summer for checksums alone.
func NewChecker() *Summer { return &Summer{table: crc32.MakeTable(crc32.Castagnoli)} }

// Sum returns the CRC32C (RFC 3720, appendix B.4) of a record, and adds the record to
// the commit. The layout is drawn in docs/format/sqlite.md.
func (s *Summer) Sum(r Record) uint32 {
	e := r.Event
	b := s.buf[:0]
	for _, n := range [...]int64{
		int64(e.Position), int64(e.Version), int64(r.Previous), e.Number, e.Time.UnixMicro(),
	} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = appendField(b, r.Name)
	b = appendField(b, e.Type)
	b = appendField(b, e.Data)
	b = appendField(b, r.Meta)
	b = appendField(b, r.Key)
	b = appendField(b, r.Fingerprint)
	s.buf = b
	if s.batch != nil {
		s.batch.Write(b)
	}
	return crc32.Checksum(b, s.table)
}

// Chain ends a commit: it returns the hash that binds its events to all before them,
// and begins the next commit.
func (s *Summer) Chain(previous [32]byte, first Position) [32]byte {
	var b [72]byte
	copy(b[:32], previous[:])
	binary.LittleEndian.PutUint64(b[32:], uint64(first))
	s.batch.Sum(b[:40])
	s.batch.Reset()
	return sha256.Sum256(b[:])
}

// Forget begins the commit anew.
func (s *Summer) Forget() { s.batch.Reset() }

// appendField appends a length and a field, so that no two records have one encoding.
func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}
