package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/wire"
)

// rebuildCmd makes the read models anew.
type rebuildCmd struct {
	Names []string `arg:"" optional:"" enum:"users,friends,recommendation" help:"What to make anew: users, friends, recommendation (of a running system). Without any: all of it."`
	Data  string   `default:"./ensemble-data" type:"path" help:"Folder with the data of a system that is not running."`
	Admin string   `placeholder:"URL" help:"Address of the administration of a running system, as 'up' prints it: http://127.0.0.1:PORT."`
}

// Help implements kong's HelpProvider.
func (rebuildCmd) Help() string {
	return `Makes the tables of users and friendships anew from the logs, compares them with
the old ones, and reports rows that had been wrong. The old ones answer until the
new ones take over; if anything goes wrong before, they stay.

	ensemble rebuild --data ./ensemble-data          while nothing runs
	ensemble rebuild --admin http://127.0.0.1:PORT   while it serves

A running system makes another graph of recommendations beside the one that answers.
Of a stopped one the snapshots of the graph are deleted, so that the next start makes
it from the logs.`
}

// Run rebuilds where the flags say.
func (c *rebuildCmd) Run(ctx context.Context, cli *cli, con *console) error {
	if c.Admin != "" {
		return c.ask(ctx, con)
	}
	err := c.offline(ctx, cli, con)
	if locked(err) {
		return fmt.Errorf("%w; or rebuild while it runs, with --admin and the address that 'up' prints for admin", err)
	}
	return err
}

// locked says whether another process has the data.
func locked(err error) bool {
	var log *sqlite.LockedError
	var keys *keyring.Error
	return errors.As(err, &log) || errors.As(err, &keys) && strings.Contains(keys.Reason, "another process")
}

// wanted says whether a projection is to be rebuilt.
func (c *rebuildCmd) wanted(name string) bool {
	return len(c.Names) == 0 || slices.Contains(c.Names, name)
}

// offline rebuilds the views of a system that is not running.
func (c *rebuildCmd) offline(ctx context.Context, cli *cli, con *console) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	s, err := openStorage(ctx, c.Data, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if c.wanted("recommendation") {
		folder := snapshotFolder{dir: filepath.Join(c.Data, snapshotDir)}
		if err := folder.remove(); err != nil {
			return fmt.Errorf("delete the snapshots of the graph: %w", err)
		}
	}
	for _, l := range s.logs() {
		name := l.name + "s"
		if !c.wanted(name) {
			continue
		}
		bar := newProgress(con.err, "rebuilding "+name)
		found, err := l.log.Rebuild(ctx, eventstore.Rebuild{Progress: bar.set})
		bar.finish()
		if err != nil {
			return err
		}
		if err := reportRebuild(con, name, int64(found.Position), tablesOf(found)); err != nil {
			return err
		}
	}
	return nil
}

// reportRebuild says what a rebuild has found.
func reportRebuild(con *console, name string, events int64, tables []wire.RebuiltTable) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: made anew from %d events\n", name, events)
	for _, t := range tables {
		fmt.Fprintf(&b, "  table %s: %d rows, ", t.Table, t.Rows)
		if t.Differ > 0 {
			fmt.Fprintf(&b, "THE OLD ONE WAS WRONG in %d rows; the new one has taken its place\n", t.Differ)
		} else {
			fmt.Fprintln(&b, "the same as before")
		}
	}
	_, err := io.WriteString(con.out, b.String())
	return err
}

// ask has a running system rebuild, one projection after the other.
func (c *rebuildCmd) ask(ctx context.Context, con *console) error {
	for _, name := range []string{"users", "friends", "recommendation"} {
		if !c.wanted(name) {
			continue
		}
		if err := c.askOne(ctx, con, name); err != nil {
			return fmt.Errorf("rebuild %s: %w", name, err)
		}
	}
	return nil
}

// lookEvery is how often a rebuild is asked how far it is.
const lookEvery = 100 * time.Millisecond

// askOne begins one rebuild and follows it to its end.
func (c *rebuildCmd) askOne(ctx context.Context, con *console, name string) error {
	url := strings.TrimSuffix(c.Admin, "/") + "/admin/v1/projections/" + name + "/rebuild"
	status, err := askRebuild(ctx, http.MethodPost, url)
	if err != nil {
		return err
	}
	bar := newProgress(con.err, "rebuilding "+name)
	defer bar.finish()
	for status.State == wire.RebuildRunning {
		if status.Total > 0 {
			bar.move(status.Done, status.Total)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err() // the system goes on with it
		}
		if status, err = askRebuild(ctx, http.MethodGet, url); err != nil {
			return err
		}
	}
	bar.finish()
	if status.State != wire.RebuildDone {
		return fmt.Errorf("%s; the old one goes on", status.Error)
	}
	return reportRebuild(con, name, status.Total, status.Tables)
}

// askRebuild sends one request to the administration and returns the status it
// answers with, or the problem.
func askRebuild(ctx context.Context, method, url string) (status wire.Rebuild, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return status, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return status, fmt.Errorf("%w; 'up' prints the address of its administration, and writes it to its --ready-file", err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return status, err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		var problem wire.Problem
		if json.Unmarshal(body, &problem) == nil && problem.Detail != "" {
			return status, fmt.Errorf("%s: %s", problem.Title, problem.Detail)
		}
		return status, fmt.Errorf("%s answered %s; is it the administration?", url, resp.Status)
	}
	return status, json.Unmarshal(body, &status)
}
