package bench

import (
	"context"
	"errors"
	"fmt"
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
// the loopback interface; the client is in the same process and its time counts,
// which is why it is made of [Connection]. The system then holds that network.
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

	address  string
	server   *http.Server
	served   chan error
	fast     map[int]Connections // by how many they are
	oneByOne atomic.Bool         // commands are answered one after the other
	one      sync.Mutex
	peak     float64 // recommendations a second
}

// listen serves the gateway on a port of its own.
func (h *httpMeasure) listen(ctx context.Context) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h.address, h.fast = l.Addr().String(), map[int]Connections{}
	h.server = &http.Server{Handler: http.HandlerFunc(h.serve), ReadHeaderTimeout: time.Minute}
	h.served = make(chan error, 1)
	go func() { h.served <- h.server.Serve(l) }()
	return nil
}

// close waits until nothing is served any more.
func (h *httpMeasure) close() error {
	var err error
	for _, connections := range h.fast {
		err = errors.Join(err, connections.Close())
	}
	err = errors.Join(err, h.server.Close())
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

// connections returns so many connections. Opening them is no part of what is measured:
// they are kept for the next row.
func (h *httpMeasure) connections(ctx context.Context, n int) (Connections, error) {
	if open := h.fast[n]; open != nil {
		return open, nil
	}
	open, err := DialAll(ctx, h.address, n)
	if err == nil {
		h.fast[n] = open
	}
	return open, err
}

// send sends n requests over so many connections, which stay open. An answer that is
// not 2xx is an error.
func (h *httpMeasure) send(ctx context.Context, connections, n int, write func(dst []byte, i int64) []byte) (took time.Duration, err error) {
	open, err := h.connections(ctx, connections)
	if err != nil {
		return 0, err
	}
	if took, err = open.Send(ctx, n, write); err != nil {
		delete(h.fast, connections) // they may be in the middle of an answer
		err = errors.Join(err, open.Close())
	}
	return took, err
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
		return h.send(ctx, h.size.Connections, n, func(dst []byte, i int64) []byte {
			return AppendAddFriend(dst, h.address, pairs[i-1][0], pairs[i-1][1])
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
		took, err = h.send(ctx, 64, h.size.Requests, func(dst []byte, i int64) []byte {
			return AppendRecommend(dst, h.address, h.ids[Scattered(i, len(h.ids))])
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

// AppendRecommend appends the request for ten recommendations.
func AppendRecommend(dst []byte, host string, id int64) []byte {
	return AppendRequest(dst, http.MethodGet, host,
		"/recommendation/v1/users/"+strconv.FormatInt(id, 10)+"/commands/recommendFriends?limit=10")
}

// AppendAddFriend appends the command that makes two people friends.
func AppendAddFriend(dst []byte, host string, by, to int64) []byte {
	return AppendRequest(dst, http.MethodPost, host,
		"/friend/v1/users/"+strconv.FormatInt(by, 10)+"/commands/addFriend?friendId="+strconv.FormatInt(to, 10))
}

// Scattered returns an index below n for the i-th request: over n requests each
// once, in an order that is as good as random.
func Scattered(i int64, n int) int {
	const prime = 2_654_435_761
	return int(i % int64(n) * prime % int64(n))
}

// half measures latencies at half of the peak, by an open load.
func (h *httpMeasure) half(ctx context.Context) (Row, error) {
	row := Row{What: "the same at half of that rate, open load", Target: "p99 ≤ 3 ms"}
	if h.peak == 0 {
		row.Void = "there is no peak to halve"
		return row, nil
	}
	all, err := h.connections(ctx, 64)
	if err != nil {
		return Row{}, err
	}
	times, err := all.Pace(ctx, h.size.Requests, h.peak/2, func(dst []byte, i int64) []byte {
		return AppendRecommend(dst, h.address, h.ids[Scattered(i, len(h.ids))])
	})
	if err != nil {
		return voidUnlessEnded(ctx, row, err)
	}
	row.Measured = fmt.Sprintf("%.0f/s: p50 %v, p99 %v, p99.9 %v, max %v", h.peak/2, short(quantile(times, 0.5)),
		short(quantile(times, 0.99)), short(quantile(times, 0.999)), short(quantile(times, 1)))
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
