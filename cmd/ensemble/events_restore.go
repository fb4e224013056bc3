package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ensemble/eventstore/sqlite"
)

// restoreCmd makes a data folder from a backup. It does not put a log back in its old
// place: whoever wants that moves the old folder away first, and so still has it when
// the backup turns out to be the wrong one.
type restoreCmd struct {
	File string `arg:"" type:"existingfile" help:"A file that 'events backup' has made."`
	Data string `default:"./ensemble-data" type:"path" help:"Folder for the data; made if it is missing. It may hold keys, but no logs."`
}

// Help implements kong's HelpProvider.
func (restoreCmd) Help() string {
	return `Checks the backup, then makes the logs in the folder and checks them too. Nothing is
overwritten, and a restore that is interrupted leaves nothing that 'up' would start on;
run it again then. What is recorded from now on has another log id than what was
recorded after the backup and is lost, so that clients and consumers can tell.`
}

// Run restores and says what is missing for a start.
func (c *restoreCmd) Run(ctx context.Context, con *console) error {
	bar := &steps{con: con}
	m, err := sqlite.Restore(ctx, c.File, c.Data, bar.move)
	bar.finish()
	if _, ok := errors.AsType[*sqlite.LockedError](err); ok {
		return fmt.Errorf("a system is running in %s; a backup is restored into a folder without logs: choose another with --data", c.Data)
	}
	if err != nil {
		return err
	}
	// What lies there of a log that is gone would be refused at the next start anyway.
	folder := snapshotFolder{dir: filepath.Join(c.Data, snapshotDir)}
	if err := folder.remove(); err != nil {
		return fmt.Errorf("the logs are restored, but the snapshots of another graph could not be deleted: %w", err)
	}
	if err := con.describe(m); err != nil {
		return err
	}
	next := "Start it with 'ensemble up', which makes the read models from the logs."
	if _, err := os.Stat(filepath.Join(c.Data, "keys", "master.key")); err != nil {
		next = "The keys are missing: bring them back with 'ensemble keys restore' before you start it."
	}
	_, err = fmt.Fprintf(con.out, "Restored into %s. %s\n", c.Data, next)
	return err
}
