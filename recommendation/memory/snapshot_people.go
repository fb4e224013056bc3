package memory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"ensemble/user"
)

// People are written in blocks, ascending by id, so that they can be opened on all cores
// and keys are read in the order in which they lie. Each block's checksum goes on from
// that of the block before, and the first from the head's: a block that is missing, or
// of another file, is found.
//
// A record has what [Backend.person] needs to know whether an event is older than what is
// there, and what answers show: id, key, two times, the names. Numbers are varints, ids
// and times as differences: 15 bytes with a key below 2,000,000, and the names with the
// 28 bytes that sealing adds.

const (
	blockPeople  = 4096     // people of a block
	maxBlock     = 16 << 20 // bytes of a block: two names have at most 2 KiB
	blockHeadLen = 4 + 4 + 4
	minRecord    = 2 // bytes: a difference of ids, and that somebody is erased
)

// What is known of a person in a record.
const (
	recordErased = 0
	recordThere  = 1
)

// errRecord means that a record of a person makes no sense.
var errRecord = errors.New("a person makes no sense")

// writePeople writes everybody and returns how many there are. The checksum of what
// stands before them is sum. Each block is read from the table, sealed and written on its
// own; nothing is held meanwhile, and no more than one block is in memory.
func (b *Backend) writePeople(w io.Writer, sum uint32, keys user.Keys) (people uint64, err error) {
	var users []user.User
	var block []byte
	for ids := range slices.Chunk(b.ids(), blockPeople) {
		users = b.look(users[:0], ids)
		block = append(block[:0], make([]byte, blockHeadLen)...)
		var last int64
		for _, u := range users {
			if block, err = appendRecord(block, last, u, keys); err != nil {
				return 0, err
			}
			last = u.ID
		}
		sum = checksum(sum, block[blockHeadLen:])
		binary.LittleEndian.PutUint32(block, uint32(len(block)-blockHeadLen))
		binary.LittleEndian.PutUint32(block[4:], uint32(len(users)))
		binary.LittleEndian.PutUint32(block[8:], sum)
		if _, err := w.Write(block); err != nil {
			return 0, err
		}
		people += uint64(len(users))
	}
	return people, nil
}

// appendRecord appends a person, whose id is above last. Somebody whose key has been
// destroyed is written as erased: the event that says so is on its way.
func appendRecord(dst []byte, last int64, u user.User, keys user.Keys) ([]byte, error) {
	dst = binary.AppendUvarint(dst, uint64(u.ID-last))
	if u.Erased {
		return append(dst, recordErased), nil
	}
	sealed, err := user.SealNames(keys, u)
	if errors.Is(err, user.ErrKeyDestroyed) {
		return append(dst, recordErased), nil
	}
	if err != nil {
		return nil, fmt.Errorf("seal the name of %d: %w", u.ID, err)
	}
	dst = append(dst, recordThere)
	dst = binary.AppendUvarint(dst, uint64(u.Key))
	dst = binary.AppendVarint(dst, u.CreatedAt.UnixMicro())
	dst = binary.AppendVarint(dst, u.LastModified.UnixMicro()-u.CreatedAt.UnixMicro())
	dst = binary.AppendUvarint(dst, uint64(len(sealed)))
	return append(dst, sealed...), nil
}

// decodeBlock appends the people of a block, which has to hold exactly n. Somebody whose
// key was destroyed is erased: nothing but the id is left of them.
//
// The checksum was right, so what makes no sense here was written by a program that is
// wrong; it is refused like any damage, and never half taken.
func decodeBlock(dst []user.User, block []byte, n int, keys user.Keys) ([]user.User, error) {
	r := records{rest: block}
	for range n {
		u := user.User{ID: r.id()}
		switch r.byte() {
		case recordErased:
			u.Erased = true
		case recordThere:
			var err error
			if u, err = r.person(u, keys); err != nil {
				return nil, err
			}
		default:
			r.bad = true
		}
		if r.bad {
			return nil, fmt.Errorf("%w after %d", errRecord, r.last)
		}
		dst = append(dst, u)
	}
	if len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errRecord, len(r.rest))
	}
	return dst, nil
}

// records reads what a block is made of. Once something is bad, all that follows is zero.
type records struct {
	rest []byte
	last int64
	bad  bool
}

// id reads the next person's id.
func (r *records) id() int64 {
	step := int64(r.unsigned())
	if step < 1 || r.last+step < r.last {
		r.bad = true
		return 0
	}
	r.last += step
	return r.last
}

// person reads somebody who is there.
func (r *records) person(u user.User, keys user.Keys) (user.User, error) {
	u.Key = int64(r.unsigned())
	created := r.signed()
	modified := created + r.signed()
	sealed := r.bytes(r.unsigned())
	if r.bad {
		return u, nil
	}
	u.CreatedAt, u.LastModified = time.UnixMicro(created).UTC(), time.UnixMicro(modified).UTC()
	opened, err := user.OpenNames(keys, u, sealed)
	if errors.Is(err, user.ErrKeyDestroyed) {
		return user.User{ID: u.ID, Erased: true}, nil
	}
	if err != nil {
		return u, fmt.Errorf("open the name of %d: %w", u.ID, err)
	}
	return opened, nil
}

// byte reads one byte.
func (r *records) byte() byte {
	if b := r.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// bytes reads n bytes.
func (r *records) bytes(n uint64) []byte {
	if r.bad = r.bad || n > uint64(len(r.rest)); r.bad {
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// unsigned reads a number.
func (r *records) unsigned() uint64 {
	v, n := binary.Uvarint(r.rest)
	return advance(r, v, n)
}

// signed reads a number that may be negative.
func (r *records) signed() int64 {
	v, n := binary.Varint(r.rest)
	return advance(r, v, n)
}

// advance goes on after a number of n bytes; without any there was none.
func advance[N int64 | uint64](r *records, v N, n int) N {
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.rest = r.rest[n:]
	return v
}
