package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/client"
	"ensemble/internal/loadgen"
)

// Served is a running system to be measured.
type Served struct {
	Gateway http.Handler
	// Network is loaded first; nil means the demonstration.
	Network *loadgen.Graph
	// Profile, if set, is a folder for profiles of the processor's time.
	Profile string
}

// HTTP measures a running, empty system through its gateway, over connections on
// the loopback interface; the client is in the same process and its time counts. The
// system then holds that network.
func HTTP(ctx context.Context, s Served, size Size) (rows []Row, err error) {
	size = size.Defaults()
	if s.Network == nil {
		if s.Network, err = loadgen.Demo(); err != nil {
			return nil, err
		}
	}
	h := &httpMeasure{Served: s, size: size, ids: make([]int64, len(s.Network.People))}
	if err := h.listen(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	for _, measure := range []func(context.Context) (Row, error){
		h.load, h.commands, h.recommend, h.half,
	} {
		row, err := measure(ctx)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// httpMeasure is what the rows of HTTP have in common.
type httpMeasure struct {
	Served
	size Size
	ids  []int64 // of the network's people

	address   string
	server    *http.Server
	served    chan error
	transport *http.Transport
	oneByOne  atomic.Bool // commands are answered one after the other
	one       sync.Mutex
	peak      float64 // recommendations a second
}

// listen serves the gateway on a port of its own.
func (h *httpMeasure) listen(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.address = "http://" + l.Addr().String()
	h.server = &http.Server{Handler: http.HandlerFunc(h.serve), ReadHeaderTimeout: time.Minute}
	h.served = make(chan error, 1)
	h.transport = client.Transport(1024)
	go func() { h.served <- h.server.Serve(l) }()
	return nil
}

// close waits until nothing is served any more.
func (h *httpMeasure) close() error {
	h.transport.CloseIdleConnections()
	err := h.server.Close()
	if serving := <-h.served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	return err
}

// serve is the gateway, or the gateway with a transaction for each command.
func (h *httpMeasure) serve(w http.ResponseWriter, r *http.Request) {
	if h.oneByOne.Load() {
		h.one.Lock()
		defer h.one.Unlock()
	}
	h.Gateway.ServeHTTP(w, r)
}

// request sends a request and reads the whole answer; one that is not 2xx is an
// error.
func (h *httpMeasure) request(ctx context.Context, method, path string) error {
	r, err := http.NewRequestWithContext(ctx, method, h.address+path, nil)
	if err != nil {
		return err
	}
	answer, err := h.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close() //nolint:errcheck // only read
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s was answered %s", method, path, answer.Status)
	}
	return nil
}

// load loads the network, without a connection in between.
func (h *httpMeasure) load(ctx context.Context) (Row, error) {
	report, err := loadgen.Run(ctx, loadgen.Options{
		Client:  client.New("http://gateway", &http.Client{Transport: loadgen.InProcess{Handler: h.Gateway}}),
		Workers: h.size.Connections, Graph: h.Network, IDs: h.ids, Keys: "bench-",
	})
	if err != nil {
		return Row{}, err
	}
	var done int
	var took time.Duration
	row := Row{What: "commands, handlers in process, loading the network"}
	for _, p := range report.Phases {
		done, took = done+p.Done, took+p.Took
	}
	if void := report.Void(); len(void) > 0 {
		row.Void = void[0]
	}
	row.Measured = perSecond(done, took)
	return row, nil
}

// commands measures addFriend of strangers over connections, against the same with
// a transaction for each.
func (h *httpMeasure) commands(ctx context.Context) (Row, error) {
	row := Row{
		What:   fmt.Sprintf("commands through the edge, %d connections", h.size.Connections),
		Target: "≥ 4x a transaction per command",
	}
	strangers := h.strangers(h.size.Requests + 2*h.size.Alone)
	add := func(n int) (time.Duration, error) {
		pairs := strangers[:n]
		strangers = strangers[n:]
		return Concurrently(ctx, h.size.Connections, n, func(_ *rand.Rand, i int64) error {
			pair := pairs[i-1]
			return h.request(ctx, http.MethodPost, "/friend/v1/users/"+strconv.FormatInt(pair[0], 10)+
				"/commands/addFriend?friendId="+strconv.FormatInt(pair[1], 10))
		})
	}
	if _, err := add(h.size.Alone); err != nil { // opens the connections
		return voidUnlessEnded(ctx, row, err)
	}
	var took time.Duration
	err := h.profiled("addFriend", func() (err error) {
		took, err = add(h.size.Requests)
		return err
	})
	if err != nil {
		return voidUnlessEnded(ctx, row, err)
	}
	h.oneByOne.Store(true)
	defer h.oneByOne.Store(false)
	alone, err := add(h.size.Alone)
	if err != nil {
		return voidUnlessEnded(ctx, row, err)
	}
	row.Measured, row.Baseline = perSecond(h.size.Requests, took), perSecond(h.size.Alone, alone)+" one transaction each, on SQLite"
	row.Ratio = ratio(h.size.Requests, took, h.size.Alone, alone)
	return row, nil
}

// strangers returns so many pairs of people who are not friends, each once.
func (h *httpMeasure) strangers(n int) [][2]int64 {
	rnd := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // repeatable on purpose
	taken := map[[2]int]bool{}
	for _, p := range h.Network.Friendships {
		taken[[2]int{min(p[0], p[1]), max(p[0], p[1])}] = true
	}
	pairs := make([][2]int64, 0, n)
	for len(pairs) < n {
		a, b := rnd.IntN(len(h.ids)), rnd.IntN(len(h.ids))
		if pair := [2]int{min(a, b), max(a, b)}; a != b && !taken[pair] {
			taken[pair] = true
			pairs = append(pairs, [2]int64{h.ids[a], h.ids[b]})
		}
	}
	return pairs
}

// voidUnlessEnded makes a failure a void row, but the end of the run an end.
func voidUnlessEnded(ctx context.Context, row Row, err error) (Row, error) {
	if ctx.Err() != nil {
		return Row{}, ctx.Err()
	}
	row.Void = err.Error()
	return row, nil
}

// recommend measures recommendations over connections.
func (h *httpMeasure) recommend(ctx context.Context) (Row, error) {
	row := Row{
		What: "GET recommendFriends?limit=10 through the edge, 64 connections", Target: "≥ 50x the same on Postgres",
		Baseline: "Postgres: see go test -bench Postgres",
	}
	var took time.Duration
	err := h.profiled("recommendFriends", func() (err error) {
		took, err = Concurrently(ctx, 64, h.size.Requests, func(rnd *rand.Rand, _ int64) error {
			id := h.ids[rnd.IntN(len(h.ids))]
			return h.request(ctx, http.MethodGet,
				"/recommendation/v1/users/"+strconv.FormatInt(id, 10)+"/commands/recommendFriends?limit=10")
		})
		return err
	})
	if err != nil {
		return voidUnlessEnded(ctx, row, err)
	}
	h.peak = float64(h.size.Requests) / took.Seconds()
	row.Measured = perSecond(h.size.Requests, took)
	return row, nil
}

// half measures latencies at half of the peak, by an open load.
func (h *httpMeasure) half(ctx context.Context) (Row, error) {
	row := Row{What: "the same at half of that rate, open load", Target: "p99 ≤ 3 ms"}
	if h.peak == 0 {
		row.Void = "there is no peak to halve"
		return row, nil
	}
	report, err := loadgen.RunOpen(ctx, loadgen.OpenOptions{
		Schedule: loadgen.Schedule{Rate: loadgen.Rate(h.peak / 2), Warmup: time.Second, Duration: 5 * time.Second},
		Client:   client.New(h.address, &http.Client{Transport: h.transport}),
		Mix:      loadgen.Mix{{Kind: loadgen.Recommend, Weight: 1}},
		Seed:     1, Graph: h.Network, IDs: h.ids, InFlight: 1024, Patience: 5 * time.Second,
	})
	if err != nil {
		return Row{}, err
	}
	if void := report.Void(); len(void) > 0 {
		row.Void = void[0]
	}
	l := report.All.FromDue
	row.Measured = fmt.Sprintf("%.0f/s: p50 %v, p99 %v, p99.9 %v, max %v",
		report.Reached, short(l.P50), short(l.P99), short(l.P999), short(l.Max))
	return row, nil
}

// profiled does something and keeps a profile of it, if profiles are wanted.
func (h *httpMeasure) profiled(name string, do func() error) error {
	if h.Profile == "" {
		return do()
	}
	file, err := os.Create(filepath.Join(h.Profile, name+".pprof")) //nolint:gosec // a folder of the operator's choice
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = do()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
