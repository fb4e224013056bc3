package keyring

import (
	"context"
	"errors"
	"os"
	"path/filepath"
)

// ErrReadOnly means that the keyring was opened for reading.
var ErrReadOnly = errors.New("the keyring was opened for reading")

// OpenToRead opens the keyring in a folder for opening what was sealed, also while
// another process has it open for writing. It takes no lock, makes no file, and keeps
// no key in memory: one that the other process destroys opens nothing from then on.
// New and Destroy answer [ErrReadOnly].
//
// Errors: those of the file system, os.ErrNotExist when there is no keyring, and
// [Error] when a file is missing, damaged or not readable with this master key.
func OpenToRead(dir string) (*Keyring, error) {
	masterPath, keysPath := filepath.Join(dir, "master.key"), filepath.Join(dir, "keys")
	secret, err := readMaster(masterPath)
	if err != nil {
		return nil, err
	}
	k := &Keyring{}
	if k.master, err = newAEAD(secret); err != nil {
		return nil, err
	}
	k.file, err = os.Open(keysPath) //nolint:gosec // the operator's folder
	if err != nil {
		return nil, &Error{Path: keysPath, Reason: err.Error(), Hint: "Make it readable, or restore it from the backup of the keys"}
	}
	if k.count, err = checkFile(k.file, keysPath, k.master); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Reading beside a writer is safe because the file of keys only grows, by whole slots
// that are synced before an event names them, and a slot changes only once, to zeros.
// Half of a destroyed slot fails its checksum: it is an error then, never a wrong name.

// writable says why no key can be made or destroyed.
func (k *Keyring) writable(ctx context.Context) error {
	if k.lock == nil {
		return ErrReadOnly
	}
	return ctx.Err()
}
