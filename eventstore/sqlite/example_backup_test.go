package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
)

// A backup of a log that is open, and what comes of it elsewhere.
func ExampleBackup() {
	dir, err := os.MkdirTemp("", "backup")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	if err := backUpAndRestore(context.Background(), dir); err != nil {
		fmt.Println(err)
	}
	// Output:
	// in the backup: thing up to 1
	// position 1 keeps its name: true
	// position 2 has a new one: true
}

func backUpAndRestore(ctx context.Context, dir string) (err error) {
	log, err := sqlite.Open(ctx, filepath.Join(dir, "thing.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	_, err = log.Commit(ctx, []eventstore.Write{{
		Stream: eventstore.Stream{Category: "thing", ID: "1"},
		Events: []eventstore.NewEvent{{Type: "ThingMade", Data: []byte("{}")}},
	}})
	if err != nil {
		return err
	}
	quiet := func(string, int64, int64) {}
	file, to := filepath.Join(dir, "backup.tar"), filepath.Join(dir, "restored")
	m, err := sqlite.Backup(ctx, file, "an example", []*sqlite.Log{log}, quiet)
	if err != nil {
		return err
	}
	fmt.Println("in the backup:", m.Logs[0].Name, "up to", m.Logs[0].Position)
	if _, err := sqlite.Restore(ctx, file, to, quiet); err != nil {
		return err
	}
	again, err := sqlite.Open(ctx, filepath.Join(to, "thing.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, again.Close()) }()
	before, errBefore := log.Head(ctx)
	after, errAfter := again.Head(ctx)
	fmt.Println("position 1 keeps its name:", before.Lineage.At(1) == after.Lineage.At(1))
	fmt.Println("position 2 has a new one:", before.Lineage.At(2) != after.Lineage.At(2))
	return errors.Join(errBefore, errAfter)
}
