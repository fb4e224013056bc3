package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"ensemble/eventstore/sqlite"
)

// eventsCmd looks at the logs.
type eventsCmd struct {
	Verify verifyCmd `cmd:"" help:"Check every checksum, the chain of commits, and that nothing is missing."`
}

// verifyCmd checks the logs from beginning to end.
type verifyCmd struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data; the system may be running."`
}

// Run verifies both logs, also when the first is damaged.
func (c *verifyCmd) Run(ctx context.Context, con *console) error {
	var errs []error
	for _, name := range logNames() {
		errs = append(errs, verifyLog(ctx, con, name, filepath.Join(c.Data, name+".db")))
	}
	return errors.Join(errs...)
}

// verifyLog checks one log and says what it holds.
func verifyLog(ctx context.Context, con *console, name, path string) (err error) {
	log, err := sqlite.Open(ctx, path, sqlite.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("verify %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	bar := newProgress(con.err, "verifying "+name)
	v, err := log.Verify(ctx, bar.set)
	bar.finish()
	if err != nil {
		return fmt.Errorf("verify %s: %w", name, err)
	}
	_, err = fmt.Fprintf(con.out, "%s: %d events in %d streams and %d commits are as they were written\n",
		name, v.Events, v.Streams, v.Commits)
	return err
}
