package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ensemble/internal/bench"
)

// benchCmd measures this build on this machine.
type benchCmd struct {
	What    string `arg:"" optional:"" enum:"log,graph,http,all" default:"all" help:"Which table: ${enum} (${default})."`
	Dir     string `placeholder:"DIR" type:"existingdir" help:"Folder for the files that are written and removed again; choose the disk to be measured. Without it, the folder for temporary files."`
	People  int    `default:"100000" help:"People of the generated network; a million take three minutes and 3 GB (${default})."`
	Queries int    `default:"10000" help:"Questions of each row of the graph (${default})."`
	Events  int    `default:"200000" help:"Commands of each row of the log (${default})."`
	Streams int    `default:"1000000" help:"Streams of the log that is opened again (${default})."`
	Request int    `name:"requests" default:"50000" help:"Requests of each row of HTTP (${default})."`
	Profile string `placeholder:"DIR" type:"existingdir" help:"Keep profiles of addFriend and recommendFriends there, for 'go tool pprof'."`
}

// Help implements kong's HelpProvider.
func (benchCmd) Help() string {
	return `Measures the log on SQLite, the graph, and HTTP through the gateway, in this process,
with their baselines in the same run, and prints tables for docs/benchmarks.md. Takes
about two minutes. Nothing of a running system is touched.

	ensemble bench > now.md
	ensemble bench graph --people 1000000

What binds is the ratio: absolute figures depend on what else the machine does. A row
with a single request that failed is void, and the command then exits with 1. Against
Postgres, which it does not bring along: 'go test -bench Postgres ./cmd/ensemble'.`
}

// Validate implements kong's check of flags.
func (c *benchCmd) Validate() error {
	for _, f := range []struct {
		flag                 string
		value, lowest, limit int
	}{
		{"--people", c.People, 1000, 100_000_000},
		{"--queries", c.Queries, 100, 100_000_000},
		{"--events", c.Events, 1000, 100_000_000},
		{"--streams", c.Streams, 1000, 100_000_000},
		{"--requests", c.Request, 100, 1_000_000}, // the network has four million pairs to choose from
	} {
		if f.value < f.lowest || f.value > f.limit {
			return fmt.Errorf("%s has to be from %d to %d", f.flag, f.lowest, f.limit)
		}
	}
	return nil
}

// Run measures what is asked for and prints it.
func (c *benchCmd) Run(ctx context.Context, con *console) (err error) {
	dir, err := os.MkdirTemp(c.Dir, "ensemble-bench-")
	if err != nil {
		return fmt.Errorf("make a folder to measure in: %w; choose another with --dir", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	report := bench.Report{Machine: machine(), Version: version(), Command: c.command(), Date: time.Now()}
	for _, t := range c.tables(dir) {
		if c.What != "all" && c.What != t.name {
			continue
		}
		_, _ = fmt.Fprintf(con.err, "measuring: %s\n", t.title) // what can't be said is no reason to stop
		rows, err := t.measure(ctx)
		if err != nil {
			return fmt.Errorf("bench %s: %w", t.name, err)
		}
		report.Tables = append(report.Tables, bench.Table{Name: t.title, Note: t.note, Rows: rows})
	}
	if err := report.Markdown(con.out); err != nil {
		return err
	}
	if void := report.Void(); len(void) > 0 {
		return fmt.Errorf("void: %s", strings.Join(void, "; "))
	}
	return nil
}

// benchTable is one table and how it is measured.
type benchTable struct {
	name, title, note string
	measure           func(context.Context) ([]bench.Row, error)
}

// tables lists the tables in the order in which they are measured.
func (c *benchCmd) tables(dir string) []benchTable {
	size := bench.Size{Events: c.Events, Streams: c.Streams, People: c.People, Queries: c.Queries, Requests: c.Request}
	return []benchTable{
		{
			"log", "The log on SQLite",
			fmt.Sprintf("%d commands: 10 %% people, 90 %% random friendships, 256 clients unless said. "+
				"The baseline is the same log with a commit for each command.", c.Events),
			func(ctx context.Context) ([]bench.Row, error) { return bench.Log(ctx, dir, size) },
		},
		{
			"graph", "The graph",
			fmt.Sprintf("%d people with lognormal degrees (mean about 100) in communities, generated; one goroutine unless said. "+
				"A path is a way over two friendships, which a recommendation counts.", c.People),
			func(ctx context.Context) ([]bench.Row, error) { return bench.Graph(ctx, dir, size) },
		},
		{
			"http", "HTTP",
			fmt.Sprintf("Ego-Facebook (4,039 people, 88,234 friendships) in the whole system, %d requests over loopback connections, "+
				"client in the same process.", c.Request),
			func(ctx context.Context) ([]bench.Row, error) { return c.http(ctx, filepath.Join(dir, "data"), size) },
		},
	}
}

// http measures the system that 'up' runs, on an empty folder.
func (c *benchCmd) http(ctx context.Context, data string, size bench.Size) (rows []bench.Row, err error) {
	began := time.Now()
	s, err := openSystem(ctx, data, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ready, ended := make(chan time.Duration, 1), make(chan error, 1)
	go func() {
		ended <- s.run(running, nil, func(context.Context) error {
			ready <- time.Since(began)
			return nil
		})
	}()
	defer func() {
		stop()
		err = errors.Join(err, <-ended, s.close())
	}()
	select {
	case took := <-ready:
		rows = []bench.Row{{What: "start on an empty folder, without the process", Target: "< 300 ms", Measured: took.Round(time.Millisecond).String()}}
	case err := <-ended:
		ended <- nil // for the owner above, who waits
		return nil, cmp.Or(err, ctx.Err())
	}
	measured, err := bench.HTTP(ctx, bench.Served{Gateway: s.handlers["edge"], Profile: c.Profile}, size)
	return slices.Concat(rows, measured), err
}

// command returns how this run is repeated.
func (c *benchCmd) command() string {
	words := []string{"ensemble bench", c.What}
	for _, f := range []struct {
		flag             string
		value, byDefault int
	}{
		{"--people", c.People, 100_000},
		{"--queries", c.Queries, 10_000},
		{"--events", c.Events, 200_000},
		{"--streams", c.Streams, 1_000_000},
		{"--requests", c.Request, 50_000},
	} {
		if f.value != f.byDefault {
			words = append(words, fmt.Sprintf("%s %d", f.flag, f.value))
		}
	}
	return strings.Join(words, " ")
}
