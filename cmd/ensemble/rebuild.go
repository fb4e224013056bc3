package main

import (
	"context"
	"errors"
	"fmt"
)

// rebuildCmd drops the read models and fills them from the logs.
type rebuildCmd struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder with the data of a system that is not running."`
}

// Run rebuilds the views of both logs.
func (c *rebuildCmd) Run(ctx context.Context, cli *cli, con *console) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	s, err := openStorage(ctx, c.Data, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, l := range s.logs() {
		bar := newProgress(con.err, "rebuilding the views of "+l.name)
		if err := l.log.Rebuild(ctx, bar.set); err != nil {
			return fmt.Errorf("rebuild %s: %w", l.name, err)
		}
		bar.finish()
		if err := l.report(ctx, con); err != nil {
			return err
		}
	}
	return nil
}

// report says what a rebuilt log holds.
func (l *namedLog) report(ctx context.Context, con *console) error {
	head, err := l.log.Head(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "%s: views rebuilt from %d events\n", l.name, head.Position)
	return err
}
