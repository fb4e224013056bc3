package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/internal/guard"
	"ensemble/internal/telemetry"
)

// Every command that serves is put together from the same parts, each in a file of its own:
//
//	                    up     user    friend   recommendation   edge
//	process.go          ●       ●        ●            ●            ●    ports, health, start and stop
//	open.go, adapters   ●       ●        ●            ●                 what an address stands for
//	people.go           ●       ●                                       the log of people and its service
//	friendships.go      ●                ●                              that of friendships
//	generations.go                                    ●                 graphs, one after the other
//	feeds.go, topics.go         ●        ●            ●                 logs of other processes
//	remote.go                   ●        ●            ●                 what is asked of other services
//
// In 'up' a follower reads the log itself, and the gateway calls handlers; apart, feeds or
// topics and connections take their place. Nothing behind the ports knows which it is.

// process is what everything that serves has: its ports, its health, what is measured,
// and the order in which it starts and stops. 'up' and the single services differ only in
// what they put behind the ports.
type process struct {
	logger  *slog.Logger
	metrics *telemetry.Metrics
	healths map[string]*telemetry.Health // of the services, by name

	handlers   map[string]http.Handler // by the name of their listener
	endStreams []func()                // of the services that have some
	listening  listeners               // once it runs
	settings   any                     // the configuration, for the administration to show
	limits     guard.Limits            // of each listener; zero: the default ones
	pushTo     string                  // where metrics are sent to; "": nowhere

	stopping    atomic.Bool
	connections atomic.Int64 // open ones
}

// newProcess returns a process that serves nothing yet.
func newProcess(logger *slog.Logger) *process {
	return &process{
		logger: logger, metrics: telemetry.NewMetrics(), healths: map[string]*telemetry.Health{},
		handlers: map[string]http.Handler{},
	}
}

// work is what a process does beside answering.
type work struct {
	// following outlives the requests: it ends when the servers have.
	following []func(context.Context) error
	// stores are the logs. One that stops by itself ends the process.
	stores []*eventstore.Store
	// beside ends with the process's context.
	beside []func(context.Context) error
	// caughtUp returns once what is served is what was recorded before the start. Nil:
	// it always is.
	caughtUp func(context.Context) error
	// ready is called then.
	ready func(context.Context) error
}

// config returns what every service needs.
func (p *process) config(name string) api.Config {
	p.healths[name] = new(telemetry.Health)
	return api.Config{Name: name, Version: version(), Health: p.healths[name], Metrics: p.metrics, Log: p.logger}
}

// drain is how long answers ask their clients to close their connections, at most,
// before those left are closed.
const drain = 500 * time.Millisecond

// run serves until the context ends or a part fails. w.ready is called once everything
// serves.
func (p *process) run(ctx context.Context, listeners listeners, w work) error {
	p.listening = listeners
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	group, ctx := errgroup.WithContext(ctx)
	for _, follow := range w.following {
		group.Go(func() error { return ignoreCanceled(follow(following)) })
	}
	for _, store := range w.stores {
		group.Go(func() error { return watch(ctx, store) })
	}
	for _, beside := range append(w.beside, p.push) {
		group.Go(func() error { return ignoreCanceled(beside(ctx)) })
	}
	servers := p.serve(group, listeners)
	group.Go(func() error {
		if w.caughtUp != nil {
			if err := w.caughtUp(ctx); err != nil {
				return ignoreCanceled(err)
			}
		}
		return ignoreCanceled(w.ready(ctx))
	})
	group.Go(func() error {
		<-ctx.Done()
		defer stopFollowing()
		return p.shutdown(context.WithoutCancel(ctx), listeners, servers)
	})
	return group.Wait()
}

// push sends the metrics to where the configuration says, if it does.
func (p *process) push(ctx context.Context) error {
	if p.pushTo != "" {
		p.metrics.Push(ctx, telemetry.PushConfig{URL: p.pushTo, Application: "ensemble", Log: p.logger})
	}
	return nil
}

// serve starts a server for each listener.
func (p *process) serve(group *errgroup.Group, listeners listeners) []*guard.Server {
	servers := make([]*guard.Server, len(listeners))
	refused := measureRefusals(p.metrics)
	for i, l := range listeners {
		servers[i] = guard.NewServer(p.draining(p.handlers[l.name]), guard.Config{
			Limits: p.limits, Refused: refused, Log: p.logger,
		})
		servers[i].ConnState = p.count
		group.Go(func() error {
			err := servers[i].Serve(l)
			if p.stopping.Load() { // the listener was closed first
				return nil
			}
			return fmt.Errorf("serve %s: %w", l.name, err)
		})
	}
	return servers
}

// count counts the open connections.
func (p *process) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// draining makes answers ask for the end of their connection while the process is
// stopping, so that no client sends a request into a connection being closed.
func (p *process) draining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown answers what was begun, then closes the servers. The doors are closed
// first: a connection that waits to be accepted would be lost. Then every answer
// asks for the end of its connection, so that none is closed under a request that
// is on its way.
func (p *process) shutdown(ctx context.Context, listeners listeners, servers []*guard.Server) error {
	p.stopping.Store(true)
	for _, h := range p.healths {
		h.SetDraining(true)
	}
	p.logger.Info("stopping: answering what was begun")
	listeners.close()
	for _, end := range p.endStreams { // only now: their clients come again at once
		end()
	}
	for end := time.Now().Add(drain); p.connections.Load() > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var errs []error
	for _, server := range servers {
		errs = append(errs, server.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

// watch returns why a log stopped by itself: the process has to end then.
func watch(ctx context.Context, store *eventstore.Store) error {
	select {
	case <-store.Done():
		return store.Err()
	case <-ctx.Done():
		return nil
	}
}

// ignoreCanceled turns the end that was asked for into none.
func ignoreCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
