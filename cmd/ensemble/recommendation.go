package main

import (
	"context"
	"errors"
	"time"

	"ensemble/api"
	"ensemble/broker"
	"ensemble/eventstore"
	"ensemble/wire"
)

// recommendationFlags is the configuration of 'recommendation'.
type recommendationFlags struct {
	Addr          string        `default:"127.0.0.1:8110" placeholder:"HOST:PORT" help:"Where the service listens; port 0 is any free one (${default})." json:"addr"`
	AdminAddr     string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens, or 'off' (${default})." json:"admin-addr"`
	Broker        string        `default:"none" placeholder:"URL" help:"Where events come from: none (the feeds of both services), kafka://HOST:PORT (${default})." json:"broker"`
	UserURL       string        `name:"user-url" default:"http://127.0.0.1:8120" placeholder:"URL" help:"The service of people, whose feed is followed (${default})." json:"user-url"`
	FriendURL     string        `name:"friend-url" default:"http://127.0.0.1:8100" placeholder:"URL" help:"The service of friendships, whose feed is followed (${default})." json:"friend-url"`
	Data          string        `type:"path" placeholder:"DIR" help:"With a broker and the graph in memory: folder in which the graph is saved now and then, with how far both topics are in it, so that a start need not read them from their beginning." json:"data,omitempty"`
	SnapshotEvery time.Duration `default:"5m" help:"With --data: how often the graph is saved; 0: only when the service stops (${default})." json:"snapshot-every"`

	DeadLetters string `placeholder:"FILE" type:"path" help:"Where records of other systems are kept that can't be read, one JSON object a line; without it in memory." json:"dead-letters,omitempty"`
	Graph       string `default:"memory" placeholder:"URL" help:"Where the graph is kept: memory, neo4j://HOST:PORT (${default})." json:"graph"`

	servingFlags
}

// recommendationCmd runs the service of recommendations by itself.
type recommendationCmd struct {
	recommendationFlags
}

// Help implements kong's HelpProvider.
func (recommendationCmd) Help() string {
	return `The service of recommendations. It owns nothing: it reads both feeds of events from
their beginning into a graph in memory, and follows them. Until everything is read that
was there when it began, it is not ready, and questions are answered 503 with Retry-After;
afterwards it answers also while the other services are away. Run as many as you like.

	ensemble recommendation --user-url http://127.0.0.1:8120 --friend-url http://127.0.0.1:8100

PORT, SERVER_PORT and the other variables of the Spring system work too.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *recommendationCmd) Run(ctx context.Context, cli *cli, con *console) error {
	return single{
		name: "recommendation", serving: &c.servingFlags, settings: c.recommendationFlags,
		parts: []part{{"recommendation", "addr", c.Addr}, {"admin", "admin-addr", c.AdminAddr}},
		tries: func(address string) []string {
			return []string{"curl '" + address + "/v1/users/1/commands/recommendFriends?limit=3'"}
		},
	}.run(ctx, cli, con, c.open)
}

// open puts the service beside those that it follows.
func (c *recommendationCmd) open(ctx context.Context, p *process) (w work, closeAll func() error, err error) {
	r := new(resources)
	b, err := openBroker(c.Broker, r)
	if err = errors.Join(err, checkGraph(c.Graph), checkURL("user-url", c.UserURL), checkURL("friend-url", c.FriendURL)); err != nil {
		return w, r.close, err
	}
	letters, err := broker.OpenDeadLetters(c.DeadLetters)
	if err != nil {
		return w, r.close, err
	}
	r.add(letters.Close)
	feeds := sources{users: c.UserURL, friends: c.FriendURL, logger: p.logger}
	graphs, err := openGraph(ctx, c.Graph, feeds, r)
	if err != nil {
		return w, r.close, err
	}
	follow, topics := feeds.follow, newTopics(feeds, b, letters)
	if b != nil {
		follow = topics.follow
	}
	var keep *topicSnapshots
	if b != nil && c.Data != "" && c.Graph == "memory" {
		if keep, err = openTopicSnapshots(ctx, c.Data, p.logger, r); err != nil {
			return w, r.close, err
		}
		graphs = keep.graphs(topics)
	}
	g := newGenerations(p, graphs, follow) //nolint:contextcheck // a request has its own
	g.shared = c.Graph != "memory"
	run := g.run
	if keep != nil {
		run = keep.keep(topics, g, c.SnapshotEvery)
	}
	admin := p.office(api.AdminConfig{
		Projections: g.projections,
		DeadLetters: &api.DeadLetters{Letters: letters, Read: readLetter, Projection: "recommendation"},
		Instances:   p.itself("recommendation-service", "recommendation"),
		Breakers:    func() []wire.Breaker { return []wire.Breaker{} },
		Rebuilds: map[string]api.Rebuild{
			"recommendation": func(ctx context.Context, progress func(done, total eventstore.Position)) ([]wire.RebuiltTable, error) {
				return nil, g.rebuild(ctx, progress)
			},
		},
	})
	r.add(func() error { admin.Close(); return nil })
	measureGenerations(p.metrics, g) //nolint:contextcheck // a scrape has none
	return work{following: []func(context.Context) error{run}, caughtUp: g.wait}, r.close, nil
}
