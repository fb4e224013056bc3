package keyring

import (
	"bufio"
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"ensemble/internal/durable"
)

// A backup is the magic, the master key, the slots and a SHA-256 of all that, drawn
// in docs/format/keys.md.
const (
	backupMagic = "ENSKEYB1"
	masterLen   = 32
)

// Count says what a backup holds.
type Count struct{ Keys, Destroyed int64 }

// Backup writes a copy of the keys in a folder, also while another process has it
// open: each slot is in the copy as it was at some moment, and every key that was
// handed out before the call is there unless it was destroyed. Whoever has the copy
// can read the names in the log.
//
// Errors: those of the file system, [Error] when a file is missing or damaged, the
// context's.
func Backup(ctx context.Context, dir string, to io.Writer) (c Count, err error) {
	secret, err := readMaster(filepath.Join(dir, "master.key"))
	if err != nil {
		return c, fmt.Errorf("back up the keys: %w", err)
	}
	master, err := newAEAD(secret)
	if err != nil {
		return c, err
	}
	path := filepath.Join(dir, "keys")
	file, err := os.Open(path) //nolint:gosec // the operator's folder
	if err != nil {
		return c, fmt.Errorf("back up the keys: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	keys, err := checkFile(file, path, master)
	if err != nil {
		return c, err
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(to, sum), 1<<16)
	b := &backup{path: path, master: master, out: w}
	_, err = w.Write(append([]byte(backupMagic), secret...))
	for id := int64(0); id <= keys && err == nil; id++ {
		err = b.copySlot(ctx, file, id)
	}
	if err = errors.Join(err, w.Flush()); err != nil {
		return c, fmt.Errorf("back up the keys: %w", err)
	}
	_, err = to.Write(sum.Sum(nil))
	return b.count, err
}

// backup is a copy of slots under way.
type backup struct {
	path   string
	master cipher.AEAD
	out    io.Writer
	count  Count
}

// copySlot copies one slot once it is whole: another process may be overwriting it.
func (b *backup) copySlot(ctx context.Context, from io.ReaderAt, id int64) error {
	var slot [slotLen]byte
	for try := 0; ; try++ {
		if _, err := from.ReadAt(slot[:], id*slotLen); err != nil {
			return err
		}
		err := b.take(id, &slot)
		if err == nil {
			_, err = b.out.Write(slot[:])
			return err
		}
		if try == 10 {
			return &Error{
				Path: b.path, Reason: fmt.Sprintf("key %d: %s", id, err), Hint: "Keep the files, and restore them from a backup of the keys",
			}
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take checks a slot and counts it.
func (b *backup) take(id int64, slot *[slotLen]byte) error {
	switch {
	case id == 0:
		return checkHead(b.master, slot)
	case *slot == [slotLen]byte{}:
		b.count.Destroyed++
		return nil
	}
	if _, err := openSlot(b.master, id, slot); err != nil {
		return err
	}
	b.count.Keys++
	return nil
}

// Restore brings the keys of a backup into a folder that has none. The backup is
// checked before the folder is touched; after an error there are no keys in it.
//
// A key that was destroyed after the backup was made is there again. Those whose
// person is erased in the log are destroyed when the system starts.
//
// Errors: [Error] when the backup is not whole, or the folder has keys or is in use;
// those of the file system, the context's.
func Restore(ctx context.Context, path, dir string) (c Count, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return c, fmt.Errorf("make the folder of keys: %w", err)
	}
	k := &Keyring{lock: flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))}
	if err := k.takeLock(dir); err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, k.lock.Unlock()) }()
	for _, name := range []string{"master.key", "keys"} {
		taken := filepath.Join(dir, name)
		if _, err := os.Lstat(taken); !errors.Is(err, os.ErrNotExist) {
			return c, errors.Join(err, &Error{
				Path: taken, Reason: "it is there already, and nothing is overwritten",
				Hint: "Move the folder away first, or choose another one",
			})
		}
	}
	var secret []byte
	err = durable.Replace(filepath.Join(dir, "keys"), func(w io.Writer) (err error) {
		c, secret, err = unpack(ctx, path, w)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("restore the keys: %w", err)
	}
	return c, writeMaster(filepath.Join(dir, "master.key"), secret)
}

// unpack copies the slots of a backup, and returns the master key. It has checked
// everything when it returns.
func unpack(ctx context.Context, path string, to io.Writer) (c Count, secret []byte, err error) {
	bad := func(reason string) error {
		return &Error{Path: path, Reason: reason, Hint: "Take another backup of the keys"}
	}
	file, err := os.Open(path) //nolint:gosec // the operator's path
	if err != nil {
		return c, nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return c, nil, err
	}
	const frame = int64(len(backupMagic) + masterLen + sha256.Size)
	if size := info.Size() - frame; size < slotLen || size%slotLen != 0 {
		return c, nil, bad("it is not a whole backup of keys")
	}
	sum := sha256.New()
	in := io.TeeReader(bufio.NewReaderSize(file, 1<<16), sum)
	head := make([]byte, len(backupMagic)+masterLen)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:len(backupMagic)]) != backupMagic {
		return c, nil, errors.Join(err, bad("it is not a backup of keys"))
	}
	secret = head[len(backupMagic):]
	master, err := newAEAD(secret)
	if err != nil {
		return c, nil, err
	}
	b := &backup{path: path, master: master, out: to}
	for id := range (info.Size() - frame) / slotLen {
		var slot [slotLen]byte
		if _, err := io.ReadFull(in, slot[:]); err != nil {
			return c, nil, err
		}
		if err := b.take(id, &slot); err != nil {
			return c, nil, bad(fmt.Sprintf("key %d: %s", id, err))
		}
		if _, err := to.Write(slot[:]); err != nil {
			return c, nil, err
		}
	}
	if err := checkSum(file, sum); err != nil {
		return c, nil, bad(err.Error())
	}
	return b.count, secret, ctx.Err()
}

// checkSum compares the last bytes of a backup with what they should be.
func checkSum(file io.ReadSeeker, sum hash.Hash) error {
	var want [sha256.Size]byte
	if _, err := file.Seek(-sha256.Size, io.SeekEnd); err != nil {
		return err
	}
	if _, err := io.ReadFull(file, want[:]); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), want[:]) {
		return errors.New("its checksum is wrong")
	}
	return nil
}
