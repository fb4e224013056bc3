// Package durable puts files in place so that a crash leaves the old one or the new one,
// never half of one.
//
// It guarantees that what Replace has returned from is on the disk, and that crashes do
// not pile up what was being written: the next attempt uses the same name again.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Replace writes a file that only its owner may read, and gives it its name once it is on
// the disk. After an error the old file is as it was; after a crash there may be one
// called path.new besides. Two may not replace the same file at once.
//
// That the name leads to the new file after a loss of power takes [SyncFolder] as well.
//
// Errors: those of write and of the file system.
func Replace(path string, write func(io.Writer) error) error {
	temp := path + ".new"
	file, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	if err = write(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return nil
}

// SyncFolder makes new names in a folder durable. Windows can't sync a folder and does
// not need it.
func SyncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the caller's path
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer d.Close() //nolint:errcheck // only synced
	if err := d.Sync(); err != nil && os.PathSeparator == '/' {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
