package main

import (
	"context"
	"encoding/hex"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/recommendation/memory"
	"ensemble/wire"
)

// office makes what operators ask and order of a process, on the port "admin".
func (p *process) office(c api.AdminConfig) *api.Admin {
	c.Config = p.config("ensemble")
	c.Settings = func() any { return p.settings }
	admin := api.NewAdmin(c)
	p.handlers["admin"] = admin
	return admin
}

// administration builds what operators ask and order.
func (s *system) administration() *api.Admin {
	projections := []api.Projected{
		{Name: "users", Log: s.logs[0].name, Store: s.userStore},
		{Name: "friends", Log: s.logs[1].name, Store: s.friendStore},
		{Name: "recommendation", Log: s.logs[0].name, Store: s.userStore, Runner: s.users},
		{Name: "recommendation", Log: s.logs[1].name, Store: s.friendStore, Runner: s.friends},
	}
	return s.office(api.AdminConfig{
		Projections: func() []api.Projected { return projections },
		Instances:   s.instances,
		Breakers:    s.breakers,
		Rebuilds: map[string]api.Rebuild{
			"users":          rebuildViews(s.logs[0], s.userStore),
			"friends":        rebuildViews(s.logs[1], s.friendStore),
			"recommendation": s.rebuildGraph,
		},
	})
}

// parts lists the services of this process and the flags that move them.
func (*system) parts() []struct{ service, listener string } {
	return []struct{ service, listener string }{
		{"edge-service", "edge"},
		{"user-service", "user"},
		{"friend-service", "friend"},
		{"recommendation-service", "recommendation"},
	}
}

// instances lists the parts of this process.
func (s *system) instances(ctx context.Context) []wire.Instance {
	var list []wire.Instance
	for _, p := range s.parts() {
		up := s.healths[p.service].Ready(ctx) == nil
		list = append(list, wire.Instance{Service: p.service, Address: s.listening.address(p.listener), Status: statusWord(up)})
	}
	return list
}

// breakers lists what is between the gateway and the services: here it calls them,
// unless they are not ready.
func (s *system) breakers() []wire.Breaker {
	var list []wire.Breaker
	for _, p := range s.parts()[1:] {
		state := "closed"
		if s.healths[p.service].Ready(context.Background()) != nil {
			state = "open"
		}
		list = append(list, wire.Breaker{Service: p.service, Transport: "in-process", State: state})
	}
	return list
}

// itself lists a process with one service.
func (p *process) itself(service, listener string) func(context.Context) []wire.Instance {
	return func(ctx context.Context) []wire.Instance {
		up := p.healths[service].Ready(ctx) == nil
		return []wire.Instance{{Service: service, Address: p.listening.address(listener), Status: statusWord(up)}}
	}
}

// statusWord says how an instance is.
func statusWord(up bool) string {
	if up {
		return "UP"
	}
	return "DOWN"
}

// rebuildViews makes the views of a log anew while it is written.
func rebuildViews(l ownLog, store *eventstore.Store) api.Rebuild {
	return func(ctx context.Context, progress func(done, total eventstore.Position)) ([]wire.RebuiltTable, error) {
		found, err := l.rebuild(ctx, eventstore.Rebuild{Between: store.Between, Progress: progress})
		return tablesOf(found), err
	}
}

// tablesOf returns what a rebuild has found, as it is shown.
func tablesOf(found eventstore.Rebuilt) []wire.RebuiltTable {
	tables := make([]wire.RebuiltTable, len(found.Tables))
	for i, t := range found.Tables {
		tables[i] = wire.RebuiltTable{Table: t.Name, Rows: t.Rows, Differ: t.Differ, Hash: hex.EncodeToString(t.Hash[:])}
	}
	return tables
}

// rebuildGraph makes a graph beside the one that answers, and lets it take over. The
// snapshots of the old one go first.
func (s *system) rebuildGraph(
	ctx context.Context, progress func(done, total eventstore.Position),
) ([]wire.RebuiltTable, error) {
	return nil, s.snapshots.doubt(ctx, func() error {
		return s.recommendations.Rebuild(ctx, memory.New(), s.snapshots.from, progress)
	})
}
