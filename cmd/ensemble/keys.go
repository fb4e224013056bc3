package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ensemble/internal/keyring"
)

// keysCmd copies the keys out and in.
type keysCmd struct {
	Backup  keysBackupCmd  `cmd:"" help:"Copy the keys into a file; the system may be running."`
	Restore keysRestoreCmd `cmd:"" help:"Bring the keys of such a file into a data folder without keys."`
}

// keysBackupCmd copies the keys into a file.
type keysBackupCmd struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
	File string `arg:"" type:"path" help:"The file to make; it must not be there yet."`
}

// Help implements kong's HelpProvider.
func (keysBackupCmd) Help() string {
	return `The file opens every name in a backup of the logs: keep it apart from them, where
few can read it. Make it after the backup of the logs, so that no key is missing.
Delete it when the people who were erased since must be forgotten there too.`
}

// Run makes the file, as a whole or not at all.
func (c *keysBackupCmd) Run(ctx context.Context, con *console) (err error) {
	file, err := os.OpenFile(c.File, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("back up the keys: %w; nothing is overwritten, choose another file", err)
	}
	count, err := keyring.Backup(ctx, filepath.Join(c.Data, "keys"), file)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(c.File))
	}
	_, err = fmt.Fprintf(con.out, "%s: %d keys, and %d that were destroyed\n", c.File, count.Keys, count.Destroyed)
	return err
}

// keysRestoreCmd brings keys into a data folder.
type keysRestoreCmd struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data of a system that is not running."`
	File string `arg:"" type:"existingfile" help:"A file that 'keys backup' has made."`
}

// Run restores the keys into a folder that has none.
func (c *keysRestoreCmd) Run(ctx context.Context, con *console) error {
	count, err := keyring.Restore(ctx, c.File, filepath.Join(c.Data, "keys"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "%d keys restored; those of people who are erased in the log are destroyed when the system starts\n", count.Keys)
	return err
}
