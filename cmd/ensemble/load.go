package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"ensemble/client"
	"ensemble/internal/loadgen"
)

// loadCmd drives a running system.
type loadCmd struct {
	Target      string `default:"http://127.0.0.1:9000" help:"Base address of the gateway (${default})."`
	Graph       string `placeholder:"FILE" type:"existingfile" help:"Load a network from an edge list: two numbers a line, separated by spaces, a tab, a comma or a semicolon; gzip or plain."`
	Users       int    `default:"1000" help:"Without --graph: how many people to make up (${default})."`
	Friendships int    `default:"10000" help:"Without --graph: how many friendships to make up (${default})."`
	Reads       int    `default:"10000" help:"How many questions to ask afterwards (${default})."`
	Clients     int    `default:"64" help:"Requests under way at once (${default})."`
	Seed        uint64 `default:"1" help:"The same seed makes the same people, friendships and questions (${default})."`
}

// Validate implements kong's check of flags.
func (c *loadCmd) Validate() error {
	switch {
	case c.Graph == "" && c.Users < 2:
		return errors.New("--users has to be at least 2")
	case c.Friendships < 0 || c.Reads < 0:
		return errors.New("--friendships and --reads can't be negative")
	case c.Clients < 1 || c.Clients > 4096:
		return errors.New("--clients has to be from 1 to 4096")
	}
	return nil
}

// Run loads the network and prints the report.
func (c *loadCmd) Run(ctx context.Context, con *console) error {
	graph, err := c.graph(con)
	if err != nil {
		return err
	}
	bars := newBars(con)
	defer bars.finish()
	report, err := loadgen.Run(ctx, loadgen.Options{
		Client:   client.New(c.Target, &http.Client{Transport: client.Transport(c.Clients), Timeout: time.Minute}),
		Workers:  c.Clients,
		Graph:    graph,
		Reads:    c.Reads,
		Seed:     c.Seed,
		Keys:     "load-" + rand.Text() + "-", // a run of its own
		Progress: bars.move,
	})
	bars.finish()
	if len(report.Phases) > 0 {
		err = errors.Join(report.Write(con.out), err)
	}
	if err != nil {
		return fmt.Errorf("load %s: %w", c.Target, err)
	}
	return nil
}

// graph returns the network to be loaded.
func (c *loadCmd) graph(con *console) (*loadgen.Graph, error) {
	if c.Graph == "" {
		return loadgen.Random(c.Users, c.Friendships, c.Seed), nil
	}
	file, err := os.Open(c.Graph)
	if err != nil {
		return nil, fmt.Errorf("read --graph: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	g, err := loadgen.ReadGraph(file, c.Graph)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(con.out, "%s: %d people, %d friendships; left out %d to oneself and %d repeated\n",
		c.Graph, len(g.People), len(g.Friendships), g.Selves, g.Repeated)
	return g, err
}
