package api

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ensemble/eventstore"
	"ensemble/wire"
)

// Rebuild makes a projection anew while the old one answers. It tells progress how
// far it is, and returns what it has found of tables, if there are any.
type Rebuild func(ctx context.Context, progress func(done, total eventstore.Position)) ([]wire.RebuiltTable, error)

// rebuilds runs rebuilds, one at a time, and knows the last one of each
// projection.
type rebuilds struct {
	log    *slog.Logger
	ctx    context.Context // a rebuild outlives the request that asked for it, until close
	cancel context.CancelFunc
	run    sync.WaitGroup

	mu      sync.Mutex
	running string // the projection that is being rebuilt; "" if none is
	closed  bool
	last    map[string]wire.Rebuild
}

// newRebuilds returns an owner of rebuilds, of which none runs.
func newRebuilds(log *slog.Logger) *rebuilds {
	ctx, cancel := context.WithCancel(context.Background())
	return &rebuilds{log: log, ctx: ctx, cancel: cancel, last: map[string]wire.Rebuild{}}
}

// close ends what runs and waits for it.
func (b *rebuilds) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.run.Wait()
}

// start begins a rebuild, or says why not.
func (b *rebuilds) start(name string, rebuild Rebuild) (wire.Rebuild, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return wire.Rebuild{}, failure{slug: wire.ShuttingDown, retry: retryStart}
	case b.running != "":
		return wire.Rebuild{}, failure{
			slug:   wire.RebuildUnderWay,
			detail: "The projection " + b.running + " is being rebuilt. Wait until its status says done or failed, then ask again.",
		}
	}
	status := wire.Rebuild{Projection: name, State: wire.RebuildRunning, StartedAt: wire.Time{Time: time.Now()}}
	b.running, b.last[name] = name, status
	b.run.Go(func() {
		b.log.Info("rebuilding", "projection", name)
		tables, err := rebuild(b.ctx, func(done, total eventstore.Position) { b.progress(name, done, total) })
		b.end(name, tables, err)
	})
	return status, nil
}

// progress notes how far a rebuild is.
func (b *rebuilds) progress(name string, done, total eventstore.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	status := b.last[name]
	status.Done, status.Total = int64(done), int64(total)
	b.last[name] = status
}

// end notes what came of a rebuild. Rows that had been wrong were served: the
// operator has to know.
func (b *rebuilds) end(name string, tables []wire.RebuiltTable, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	status := b.last[name]
	status.State, status.EndedAt, status.Tables = wire.RebuildDone, wire.Time{Time: time.Now()}, tables
	if err != nil {
		status.State, status.Error = wire.RebuildFailed, err.Error()
		b.log.Error("rebuild failed; the old one goes on", "projection", name, "error", err)
	} else {
		b.log.Info("rebuilt", "projection", name, "events", status.Total)
	}
	for _, t := range tables {
		if t.Differ > 0 {
			b.log.Error("the old view was wrong; the new one has taken its place", "table", t.Table, "rows", t.Differ, "of", t.Rows)
		}
	}
	b.running, b.last[name] = "", status
}

// status returns the last rebuild of a projection, or false.
func (b *rebuilds) status(name string) (wire.Rebuild, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	status, ok := b.last[name]
	return status, ok
}

// rebuild begins to make a projection anew and says where to look how far it is.
func (a *Admin) rebuild(r *request) error {
	run := a.c.Rebuilds[r.pathParam]
	if run == nil {
		return failure{slug: wire.ProjectionNotFound}
	}
	status, err := a.rebuilds.start(r.pathParam, run)
	if err != nil {
		return err
	}
	r.set("Location", "/admin/v1/projections/"+r.pathParam+"/rebuild")
	return r.replyJSON(http.StatusAccepted, status)
}

// rebuildStatus answers how far the last rebuild of a projection is.
func (a *Admin) rebuildStatus(r *request) error {
	if a.c.Rebuilds[r.pathParam] == nil {
		return failure{slug: wire.ProjectionNotFound}
	}
	status, ok := a.rebuilds.status(r.pathParam)
	if !ok {
		return failure{slug: wire.NotFound, detail: "This projection has not been rebuilt since the start. POST here to have it done."}
	}
	return r.replyJSON(http.StatusOK, status)
}
