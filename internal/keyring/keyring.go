// Package keyring keeps one secret key for each person, so that a person's name
// can be made unreadable everywhere at once, in the log and in every backup of
// it, by destroying one key.
//
// It guarantees that
//
//   - a key that was handed out is on the disk,
//   - keys are wrapped by a master key (AES-256-GCM) and never leave the folder
//     unwrapped,
//   - a destroyed key is overwritten and synced before Destroy returns,
//   - a wrong master key, or a key file that is not its own, is refused when the
//     keyring is opened, with an error that names the repair,
//   - one process has the folder open at a time.
//
// # Why a key for each person
//
// A log is never rewritten, and backups of it lie where nobody can reach them. To
// forget a person all the same, their name is stored encrypted, and only their key
// is destroyed: 64 bytes in one file, instead of every copy of every event.
//
//	master.key ──wraps──► key 1 ──seals──► the names of one person
//	                      key 2 ──seals──► the names of another
//
// A key is numbered on its own, not by its person: the person's id is given only in
// the commit, and the name has to be sealed before it.
//
// The folder holds two files: "master.key", 64 hexadecimal digits, and "keys",
// slots of 64 bytes, drawn in docs/format/keys.md. Back up both, apart from the
// logs. Keys are made and synced in blocks, so that a command that needs one does
// not wait for the disk.
package keyring

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
	lru "github.com/hashicorp/golang-lru/v2"

	"ensemble/user"
)

const (
	firstBlock = 64   // keys made at once at first
	lastBlock  = 4096 // and at most
	cached     = 4096 // unwrapped keys kept in memory
)

// Keyring is an open folder of keys. It implements [user.Keys]; its methods may
// be called concurrently.
type Keyring struct {
	lock   *flock.Flock // nil: opened for reading
	file   *os.File
	master cipher.AEAD
	cache  *lru.Cache[int64, cipher.AEAD] // nil: opened for reading

	reading sync.RWMutex // held while a key goes from the file into the cache

	mu    sync.Mutex
	next  int64 // the next key to hand out
	count int64 // keys in the file
	block int64 // how many to make next time
}

// Open opens the keyring in a folder, and makes it if the folder is empty or
// missing.
//
// Errors: those of the file system, and [Error] when another process has it open
// or a file is missing, damaged or not readable with this master key.
func Open(dir string) (*Keyring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of keys: %w", err)
	}
	cache, err := lru.New[int64, cipher.AEAD](cached)
	if err != nil {
		return nil, fmt.Errorf("make the cache of keys: %w", err)
	}
	k := &Keyring{cache: cache, block: firstBlock, lock: flock.New(filepath.Join(dir, "lock"), flock.SetPermissions(0o600))}
	if err := k.takeLock(dir); err != nil {
		return nil, err
	}
	if err := k.openFiles(filepath.Join(dir, "master.key"), filepath.Join(dir, "keys")); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	k.next = k.count + 1 // what the last block had left is not handed out again
	return k, nil
}

// takeLock keeps other processes out: two that make keys would overwrite each
// other.
func (k *Keyring) takeLock(dir string) error {
	locked, err := k.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock the folder of keys: %w; it has to be writable", err)
	}
	if !locked {
		return &Error{Path: dir, Reason: "it is open in another process", Hint: "Stop that one first, or choose another folder"}
	}
	return nil
}

// openFiles reads the two files, or makes them if there are none.
func (k *Keyring) openFiles(masterPath, keysPath string) error {
	secret, err := readMaster(masterPath)
	if errors.Is(err, os.ErrNotExist) {
		return k.create(masterPath, keysPath)
	}
	if err != nil {
		return err
	}
	if k.master, err = newAEAD(secret); err != nil {
		return err
	}
	file, err := os.OpenFile(keysPath, os.O_RDWR, 0) //nolint:gosec // the operator's folder
	if errors.Is(err, os.ErrNotExist) {
		return &Error{Path: keysPath, Reason: err.Error(), Hint: "Restore it from the backup of the keys"}
	}
	if err != nil {
		return &Error{Path: keysPath, Reason: err.Error(), Hint: "Make it readable and writable for the user that runs this program"}
	}
	k.file = file
	if k.count, err = checkFile(file, keysPath, k.master); err != nil {
		return err
	}
	// Half a slot of a crash must not become a whole one with half a slot of another.
	if err := file.Truncate((k.count + 1) * slotLen); err != nil {
		return fmt.Errorf("cut the file of keys to its last whole key: %w", err)
	}
	return nil
}

// create makes a new keyring. The master key comes last: if it is missing while
// there are keys, somebody has lost it.
func (k *Keyring) create(masterPath, keysPath string) error {
	if info, err := os.Stat(keysPath); err == nil && info.Size() > slotLen {
		return &Error{
			Path: masterPath, Reason: "it is missing, but there are keys wrapped by it",
			Hint: "Restore it from the backup of the keys",
		}
	}
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return fmt.Errorf("make a master key: %w", err)
	}
	var err error
	if k.master, err = newAEAD(secret[:]); err != nil {
		return err
	}
	if k.file, err = createFile(keysPath, k.master); err != nil {
		return fmt.Errorf("make the file of keys: %w", err)
	}
	return writeMaster(masterPath, secret[:])
}

// New returns the id of a key that nobody has. It is on the disk.
func (k *Keyring) New(ctx context.Context) (int64, error) {
	if err := k.writable(ctx); err != nil {
		return 0, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.next > k.count {
		if err := k.extend(); err != nil {
			return 0, fmt.Errorf("make keys: %w", err)
		}
	}
	id := k.next
	k.next++
	return id, nil
}

// extend appends a block of keys and syncs it.
func (k *Keyring) extend() error {
	slots := make([]byte, 0, k.block*slotLen)
	for i := range k.block {
		slot, err := newSlot(k.master, k.count+1+i)
		if err != nil {
			return err
		}
		slots = append(slots, slot[:]...)
	}
	if _, err := k.file.WriteAt(slots, (k.count+1)*slotLen); err != nil {
		return err
	}
	if err := k.file.Sync(); err != nil {
		return err
	}
	k.count += k.block
	k.block = min(2*k.block, lastBlock)
	return nil
}

// Seal encrypts a text with a key. Two calls give different results.
//
// Errors: [user.ErrKeyDestroyed], [Error].
func (k *Keyring) Seal(id int64, plain []byte) ([]byte, error) {
	aead, err := k.key(id)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, id, plain)
}

// sealWith encrypts a text with an unwrapped key, under a nonce of its own.
func sealWith(aead cipher.AEAD, id int64, plain []byte) ([]byte, error) {
	sealed := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	if _, err := rand.Read(sealed); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return aead.Seal(sealed, sealed, plain, slotNumber(id)), nil
}

// Open decrypts what Seal has made with the same key.
//
// Errors: [user.ErrKeyDestroyed], [Error].
func (k *Keyring) Open(id int64, sealed []byte) ([]byte, error) {
	aead, err := k.key(id)
	if err != nil {
		return nil, err
	}
	return k.openWith(aead, id, sealed)
}

// openWith decrypts a text with an unwrapped key.
func (k *Keyring) openWith(aead cipher.AEAD, id int64, sealed []byte) ([]byte, error) {
	plain, err := openWith(aead, id, sealed)
	if err != nil {
		return nil, k.damaged(id, err.Error())
	}
	return plain, nil
}

// openWith decrypts what sealWith has made with the same key.
func openWith(aead cipher.AEAD, id int64, sealed []byte) ([]byte, error) {
	if len(sealed) < aead.NonceSize() {
		return nil, errors.New("the sealed text is too short")
	}
	nonce, text := sealed[:aead.NonceSize()], sealed[aead.NonceSize():]
	plain, err := aead.Open(nil, nonce, text, slotNumber(id))
	if err != nil {
		return nil, errors.New("it does not open what was sealed with it")
	}
	return plain, nil
}

// Destroy makes keys, and all that was sealed with them, unreadable for ever, with
// one sync for all of them. It is done when it returns. Destroying a key twice is no
// error; if one of the keys does not exist, none is destroyed.
func (k *Keyring) Destroy(ctx context.Context, ids ...int64) error {
	if err := k.writable(ctx); err != nil || len(ids) == 0 {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		if id < 1 || id > k.count {
			return k.damaged(id, "there is no such key")
		}
	}
	for _, id := range ids {
		if _, err := k.file.WriteAt(make([]byte, slotLen), id*slotLen); err != nil {
			return fmt.Errorf("destroy key %d: %w", id, err)
		}
		k.forget(id)
	}
	// Also when the slot was zeros already: nobody knows whether the sync after
	// that came to its end.
	if err := k.file.Sync(); err != nil {
		return fmt.Errorf("destroy keys: %w", err)
	}
	return nil
}

// forget takes a key out of the memory.
func (k *Keyring) forget(id int64) {
	k.reading.Lock()
	defer k.reading.Unlock()
	k.cache.Remove(id)
}

// Destroyed returns the keys that were destroyed, ascending. It reads the whole
// file, 64 bytes a key, a piece at a time.
func (k *Keyring) Destroyed(ctx context.Context) (ids []int64, err error) {
	k.mu.Lock()
	last := k.count
	k.mu.Unlock()
	piece := make([]byte, 4096*slotLen)
	for first := int64(1); first <= last; first += 4096 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := piece[:min(4096, last-first+1)*slotLen]
		if _, err := k.file.ReadAt(b, first*slotLen); err != nil {
			return nil, fmt.Errorf("look for destroyed keys: %w", err)
		}
		for i := int64(0); len(b) > 0; i, b = i+1, b[slotLen:] {
			if [slotLen]byte(b) == ([slotLen]byte{}) {
				ids = append(ids, first+i)
			}
		}
	}
	return ids, nil
}

// key returns an unwrapped key.
func (k *Keyring) key(id int64) (cipher.AEAD, error) {
	if k.cache != nil {
		if aead, ok := k.cache.Get(id); ok {
			return aead, nil
		}
	}
	if id < 1 {
		return nil, k.damaged(id, "there is no such key")
	}
	// A key that is read while it is destroyed must not get into the cache after
	// it was taken out.
	k.reading.RLock()
	defer k.reading.RUnlock()
	var slot [slotLen]byte
	if _, err := k.file.ReadAt(slot[:], id*slotLen); err != nil {
		return nil, k.damaged(id, err.Error())
	}
	aead, err := k.unwrap(id, &slot)
	if err == nil && k.cache != nil {
		k.cache.Add(id, aead)
	}
	return aead, err
}

// unwrap returns the key in a slot.
func (k *Keyring) unwrap(id int64, slot *[slotLen]byte) (cipher.AEAD, error) {
	if *slot == ([slotLen]byte{}) {
		return nil, fmt.Errorf("key %d: %w", id, user.ErrKeyDestroyed)
	}
	secret, err := openSlot(k.master, id, slot)
	if err != nil {
		return nil, k.damaged(id, err.Error())
	}
	return newAEAD(secret)
}

// Close closes the file and lets go of the folder.
func (k *Keyring) Close() error {
	var err error
	if k.file != nil {
		err = k.file.Close()
	}
	if k.lock == nil {
		return err
	}
	return errors.Join(err, k.lock.Unlock())
}

// damaged returns the error for a key that can not be used.
func (k *Keyring) damaged(id int64, reason string) error {
	return &Error{
		Path: k.file.Name(), Reason: fmt.Sprintf("key %d: %s", id, reason),
		Hint: "Restore the file from the backup of the keys",
	}
}

// newAEAD returns AES-256-GCM (NIST SP 800-38D) under a key of 32 bytes.
func newAEAD(secret []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("use a key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("use a key: %w", err)
	}
	return aead, nil
}

// Error means that a file of the keyring is missing or not as it was written.
type Error struct{ Path, Reason, Hint string }

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s. %s", e.Path, e.Reason, e.Hint) }
