package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"ensemble/client"
	"ensemble/internal/loadgen"
)

// loadCmd drives a running system: first with as many requests as some clients can
// send, to fill it, then, if a rate is given, as people would.
type loadCmd struct {
	Target      string `default:"http://127.0.0.1:9000" help:"Base address of the gateway (${default})."`
	Graph       string `placeholder:"FILE" type:"existingfile" help:"Load a network from an edge list: two numbers a line, separated by spaces, a tab, a comma or a semicolon; gzip or plain."`
	Users       int    `default:"1000" help:"Without --graph: how many people to make up (${default})."`
	Friendships int    `default:"10000" help:"Without --graph: how many friendships to make up (${default})."`
	Reads       int    `default:"10000" help:"Without --rate: how many questions to ask afterwards (${default})."`
	Clients     int    `default:"64" help:"Requests under way at once while loading and asking (${default})."`
	Seed        uint64 `default:"1" help:"The same seed makes the same people, friendships and requests (${default})."`
	Output      string `enum:"text,json" default:"text" help:"Report as ${enum} (${default})."`

	openFlags
}

// openFlags are those of an open load; without --rate none of them matters.
type openFlags struct {
	Rate     loadgen.Rate  `placeholder:"N/s" help:"After loading, send requests at this rate however they are answered: an open load."`
	Arrivals string        `enum:"poisson,constant" default:"poisson" help:"With --rate: when requests are due, ${enum} (${default})."`
	Ramp     time.Duration `default:"5s" help:"With --rate: how long the rate grows from 0; not measured (${default})."`
	Warmup   time.Duration `default:"2s" help:"With --rate: how long to go on at the full rate before measuring (${default})."`
	Duration time.Duration `default:"30s" help:"With --rate: how long to measure (${default})."`
	Mix      loadgen.Mix   `default:"create=5,add=20,remove=2,erase=0,friends=20,recommend=40,mutual=10,get=3" help:"With --rate: kinds of requests and their weights (${default})."`
	InFlight int           `default:"1024" help:"With --rate: most requests under way; those that have to wait are counted, and their waiting is part of their latency (${default})."`
}

// Help implements kong's HelpProvider.
func (loadCmd) Help() string {
	return `Creates people, then friendships, then asks questions, each as fast as --clients
connections allow, and reports rates and latencies. The target may be Ensemble or the
Spring system; the people stay there.

With --rate it measures how the target answers people, who come when they want:

	ensemble load --users 5000 --friendships 100000 --rate 2000/s --duration 1m

Requests are sent at times fixed beforehand, and latencies count from those times, so
a target that stalls is blamed for everybody who had to wait. --ramp and --warmup are
sent but not measured. A run in which a single request failed is void and exits with
1. --output json is described in docs/format/load.md.`
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
	case c.InFlight < 1 || c.InFlight > 16384:
		return errors.New("--in-flight has to be from 1 to 16384")
	case c.Ramp < 0 || c.Warmup < 0 || c.Duration <= 0:
		return errors.New("--duration has to be above 0, --ramp and --warmup can't be negative")
	}
	return nil
}

// errVoid means that a run's measures mean nothing.
var errVoid = errors.New("this run is void")

// Run loads the network, loads on if a rate is asked for, and prints the report.
// Whatever was measured is printed, also by a run that fails or is interrupted; only
// its exit code and the reasons behind it tell how far the numbers can be trusted.
func (c *loadCmd) Run(ctx context.Context, con *console) error {
	graph, err := c.graph(con)
	if err != nil {
		return err
	}
	about := loadgen.About{Target: c.Target, Version: version(), Machine: machine(), Date: time.Now(), Seed: c.Seed}
	keys := "load-" + rand.Text() + "-" // a run of its own
	ids := make([]int64, len(graph.People))
	closed, err := c.load(ctx, con, graph, ids, keys)
	if err != nil {
		if len(closed.Phases) > 0 {
			err = errors.Join(c.report(con, about, closed, nil), err)
		}
		return fmt.Errorf("load %s: %w", c.Target, err)
	}
	if c.Rate == 0 {
		return c.report(con, about, closed, nil)
	}
	open, err := c.open(ctx, con, graph, ids, keys)
	if errors.Is(err, loadgen.ErrPlan) {
		return err
	}
	return errors.Join(err, c.report(con, about, closed, &open))
}

// load makes the people and friendships, and asks questions unless an open load
// follows, which asks its own.
func (c *loadCmd) load(ctx context.Context, con *console, graph *loadgen.Graph, ids []int64, keys string) (loadgen.Report, error) {
	transport := client.Transport(c.Clients)
	defer transport.CloseIdleConnections()
	bars := newBars(con)
	defer bars.finish()
	o := loadgen.Options{
		Client:   client.New(c.Target, &http.Client{Transport: transport, Timeout: time.Minute}),
		Workers:  c.Clients,
		Graph:    graph,
		Reads:    c.Reads,
		Seed:     c.Seed,
		Keys:     keys,
		IDs:      ids,
		Progress: bars.move,
	}
	if c.Rate > 0 {
		o.Reads = 0
	}
	return loadgen.Run(ctx, o)
}

// open sends requests at a rate. Every request under way may need a connection of
// its own; with fewer, requests would wait in the transport, where nobody counts.
func (c *loadCmd) open(ctx context.Context, con *console, graph *loadgen.Graph, ids []int64, keys string) (loadgen.OpenReport, error) {
	transport := client.Transport(c.InFlight)
	defer transport.CloseIdleConnections()
	line := &liveLine{out: con.err}
	defer line.clear()
	return loadgen.RunOpen(ctx, loadgen.OpenOptions{
		Schedule: loadgen.Schedule{
			Rate: c.Rate, Ramp: c.Ramp, Warmup: c.Warmup, Duration: c.Duration, Constant: c.Arrivals == "constant",
		},
		Client:   client.New(c.Target, &http.Client{Transport: transport, Timeout: time.Minute}),
		Mix:      c.Mix,
		Seed:     c.Seed,
		Graph:    graph,
		IDs:      ids,
		Keys:     keys,
		InFlight: c.InFlight,
		Patience: 10 * time.Second,
		Progress: line.show,
	})
}

// report prints what was measured, and returns errVoid if it means nothing. The
// document is made for both forms, so that both agree on what is void.
func (c *loadCmd) report(con *console, about loadgen.About, closed loadgen.Report, open *loadgen.OpenReport) error {
	doc := loadgen.NewDocument(about, closed, open)
	write := doc.Write
	if c.Output == "text" {
		write = func(out io.Writer) error { return writeLoadText(out, doc, closed, open) }
	}
	if err := write(con.out); err != nil {
		return err
	}
	if len(doc.Void) > 0 {
		return fmt.Errorf("%w: %s", errVoid, strings.Join(doc.Void, "; "))
	}
	return nil
}

// writeLoadText writes the report for people.
func writeLoadText(out io.Writer, doc *loadgen.Document, closed loadgen.Report, open *loadgen.OpenReport) error {
	if _, err := fmt.Fprintf(out, "%s from %s, version %s, seed %d, %s\n\n",
		doc.Target, doc.Machine, doc.Version, doc.Seed, doc.Date.Format(time.RFC3339)); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := closed.Write(out); err != nil || open == nil {
		return err
	}
	_, _ = fmt.Fprintln(out)
	return open.Write(out)
}

// machine says on what the process runs.
func machine() string {
	return fmt.Sprintf("%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version())
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
	_, err = fmt.Fprintf(con.err, "%s: %d people, %d friendships; left out %d to oneself and %d repeated\n",
		c.Graph, len(g.People), len(g.Friendships), g.Selves, g.Repeated)
	return g, err
}
