package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"ensemble/internal/durable"
)

// slotLen is the size of a slot in bytes: nonce, wrapped key with its tag,
// CRC32C. Slot 0 holds no key; it shows whether the master key is the right one.
const (
	slotLen  = 64
	nonceLen = 12
	magic    = "ENSKEYS1"
)

// slotNumber binds a wrapped key, and a sealed text, to its place.
func slotNumber(id int64) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(id))
}

// newSlot returns a slot with a new random key.
func newSlot(master cipher.AEAD, id int64) (slot [slotLen]byte, err error) {
	var random [nonceLen + 32]byte
	if _, err := rand.Read(random[:]); err != nil {
		return slot, err
	}
	copy(slot[:], random[:nonceLen])
	master.Seal(slot[nonceLen:nonceLen], random[:nonceLen], random[nonceLen:], slotNumber(id))
	binary.LittleEndian.PutUint32(slot[slotLen-4:], checksum(slot[:slotLen-4]))
	return slot, nil
}

// openSlot unwraps the key in a slot.
func openSlot(master cipher.AEAD, id int64, slot *[slotLen]byte) ([]byte, error) {
	if checksum(slot[:slotLen-4]) != binary.LittleEndian.Uint32(slot[slotLen-4:]) {
		return nil, errors.New("its checksum is wrong")
	}
	secret, err := master.Open(nil, slot[:nonceLen], slot[nonceLen:slotLen-4], slotNumber(id))
	if err != nil {
		return nil, errors.New("the master key does not open it")
	}
	return secret, nil
}

// headSlot returns slot 0: the magic, a nonce, and the tag of nothing.
func headSlot(master cipher.AEAD) (slot [slotLen]byte, err error) {
	copy(slot[:], magic)
	nonce := slot[len(magic) : len(magic)+nonceLen]
	if _, err := rand.Read(nonce); err != nil {
		return slot, err
	}
	master.Seal(slot[len(magic)+nonceLen:len(magic)+nonceLen], nonce, nil, []byte(magic))
	return slot, nil
}

// checkHead checks that slot 0 was made with this master key.
func checkHead(master cipher.AEAD, slot *[slotLen]byte) error {
	nonce := slot[len(magic) : len(magic)+nonceLen]
	tag := slot[len(magic)+nonceLen : len(magic)+nonceLen+master.Overhead()]
	if _, err := master.Open(nil, nonce, tag, []byte(magic)); err != nil || string(slot[:len(magic)]) != magic {
		return errors.New("the master key is another one")
	}
	return nil
}

// checkFile checks slot 0 and returns how many keys there are. A last slot that
// is not whole was being written in a crash; it was never handed out.
func checkFile(file *os.File, path string, master cipher.AEAD) (keys int64, err error) {
	var slot [slotLen]byte
	if _, err := file.ReadAt(slot[:], 0); err != nil || string(slot[:len(magic)]) != magic {
		return 0, &Error{Path: path, Reason: "it is not a file of keys", Hint: "Restore it from the backup of the keys"}
	}
	if err := checkHead(master, &slot); err != nil {
		return 0, &Error{
			Path: path, Reason: "its keys were wrapped by another master key",
			Hint: "Restore the master.key that belongs to it from the backup of the keys",
		}
	}
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("look at the file of keys: %w", err)
	}
	return info.Size()/slotLen - 1, nil
}

// createFile makes a file without keys.
func createFile(path string, master cipher.AEAD) (*os.File, error) {
	slot, err := headSlot(master)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the operator's folder
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(slot[:]); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readMaster reads the master key.
func readMaster(path string) ([]byte, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator's folder
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, &Error{Path: path, Reason: err.Error(), Hint: "Make it readable for the user that runs this program"}
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) != 32 {
		return nil, &Error{Path: path, Reason: "it is not 64 hexadecimal digits", Hint: "Restore it from the backup of the keys"}
	}
	return secret, nil
}

// writeMaster puts the master key in place as a whole or not at all.
func writeMaster(path string, secret []byte) error {
	err := durable.Replace(path, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%x\n", secret)
		return err
	})
	if err != nil {
		return fmt.Errorf("make a master key: %w", err)
	}
	return durable.SyncFolder(filepath.Dir(path))
}

// checksum is CRC32C.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
