package keyring

import (
	"crypto/cipher"
	"fmt"

	"ensemble/user"
)

// Who starts from a snapshot opens a million names, each with a key of its own. Asked for
// one by one, each key costs a read of the file and a place in the cache, which is too
// small to be of use: two thirds of the time. People's ids and their keys' mostly
// ascend together, so that slots lie in the file in the order in which they are needed.

// ahead is how many slots are read at once by who goes through keys in order.
const ahead = 4096

// inOrder is a keyring for one goroutine that goes through many keys.
type inOrder struct {
	*Keyring

	first int64  // the key whose slot piece begins with
	piece []byte // whole slots
}

// InOrder returns the same keys for one goroutine that goes through many of them, with
// ids that mostly ascend: it reads 4,096 slots at once and leaves the cache to others,
// so that a key costs a third of what Seal and Open of the keyring take. A key that is
// destroyed meanwhile may work a little longer.
func (k *Keyring) InOrder() user.Keys { return &inOrder{Keyring: k} }

// Seal implements [user.Keys].
func (o *inOrder) Seal(id int64, plain []byte) ([]byte, error) {
	aead, err := o.key(id)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, id, plain)
}

// Open implements [user.Keys].
func (o *inOrder) Open(id int64, sealed []byte) ([]byte, error) {
	aead, err := o.key(id)
	if err != nil {
		return nil, err
	}
	return o.openWith(aead, id, sealed)
}

// key returns an unwrapped key.
func (o *inOrder) key(id int64) (cipher.AEAD, error) {
	slot, ok := o.slot(id)
	if !ok {
		if err := o.read(id); err != nil {
			return nil, err
		}
		if slot, ok = o.slot(id); !ok {
			return nil, o.damaged(id, "there is no such key")
		}
	}
	return o.unwrap(id, slot)
}

// slot returns the slot of a key that has been read ahead.
func (o *inOrder) slot(id int64) (*[slotLen]byte, bool) {
	i := id - o.first
	if i < 0 || i >= int64(len(o.piece))/slotLen {
		return nil, false
	}
	return (*[slotLen]byte)(o.piece[i*slotLen:]), true
}

// read reads slots from that of a key on: many only if the key is not far behind those
// read last, for a key on its own is not worth them.
func (o *inOrder) read(id int64) error {
	if id < 1 {
		return o.damaged(id, "there is no such key")
	}
	slots := int64(1)
	if id >= o.first && id < o.first+2*ahead {
		slots = ahead
	}
	if cap(o.piece) < ahead*slotLen {
		o.piece = make([]byte, ahead*slotLen)
	}
	o.first, o.piece = id, o.piece[:slots*slotLen]
	n, err := o.file.ReadAt(o.piece, id*slotLen)
	o.piece = o.piece[:n-n%slotLen]
	if len(o.piece) == 0 {
		return o.damaged(id, fmt.Sprint("there is no such key: ", err))
	}
	return nil
}
