package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// upFlags is the configuration of 'up'.
type upFlags struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder for the logs and the keys; made if it is missing." json:"data"`
	Demo bool   `help:"On the first start, load a real network: 4,039 people with made-up names and 88,234 friendships." json:"demo"`

	EdgeAddr           string `default:"127.0.0.1:9000" placeholder:"HOST:PORT" help:"Where the gateway listens; port 0 is any free one (${default})." json:"edge-addr"`
	UserAddr           string `default:"127.0.0.1:8120" placeholder:"HOST:PORT" help:"Where the service of users listens, or 'off' (${default})." json:"user-addr"`
	FriendAddr         string `default:"127.0.0.1:8100" placeholder:"HOST:PORT" help:"Where the service of friendships listens, or 'off' (${default})." json:"friend-addr"`
	RecommendationAddr string `default:"127.0.0.1:8110" placeholder:"HOST:PORT" help:"Where the service of recommendations listens, or 'off' (${default})." json:"recommendation-addr"`
	DiscoveryAddr      string `default:"off" placeholder:"HOST:PORT" help:"Where a registry for clients of Eureka listens, in which these services are registered (${default})." json:"discovery-addr"`
	AdminAddr          string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens: lag, rebuilds, profiles, metrics; or 'off' (${default})." json:"admin-addr"`

	SnapshotEvery time.Duration `default:"5m" help:"How often the graph is saved, if enough has happened, so that a start need not read the logs; 0: only when it stops (${default})." json:"snapshot-every"`

	EmbeddedKafka string `default:"off" placeholder:"HOST:PORT" help:"A demonstration: a broker in this process that speaks Kafka's protocol, with the topics user and friend, for consumers of the Spring system; or 'off' (${default})." json:"embedded-kafka"`

	servingFlags
}

// upCmd runs everything in one process.
type upCmd struct {
	upFlags
}

// Help implements kong's HelpProvider.
func (upCmd) Help() string {
	return `Starts the gateway, the services of users, friendships and recommendations, and
the two logs they stand on, in one process. Needs nothing else: no database, no
broker. Everything it keeps is in the data folder; it survives kill -9.

	ensemble up --demo
	curl 'http://127.0.0.1:9000/recommendation/v1/users/1/commands/recommendFriends?limit=5'

Stop it with Ctrl-C or SIGTERM: requests under way are answered first.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *upCmd) Run(ctx context.Context, cli *cli, con *console) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	listeners, err := listenAll(ctx, c.parts(), c.InsecureNoAuth)
	if err != nil {
		return err
	}
	system, err := openSystem(ctx, c.Data, logger)
	if err != nil {
		listeners.close()
		return err
	}
	defer func() { err = errors.Join(err, system.close()) }()
	system.snapshotEvery = c.SnapshotEvery
	c.configure(system.process, c.upFlags)
	if c.EmbeddedKafka != "off" {
		if err := system.embedKafka(ctx, c.EmbeddedKafka, c.InsecureNoAuth); err != nil {
			listeners.close()
			return err
		}
	}
	return system.run(ctx, listeners, func(ctx context.Context) error {
		return c.announce(ctx, system, listeners, con, logger)
	})
}

// check says what no flag may be, and which one mends it.
func (f *upFlags) check() error {
	if f.SnapshotEvery < 0 || f.SnapshotEvery > 0 && f.SnapshotEvery < time.Millisecond {
		return fmt.Errorf("--snapshot-every %s is no pause: give 1ms or more, or 0 to save the graph only when it stops", f.SnapshotEvery)
	}
	return f.servingFlags.check()
}

// announce tells people and programs where everything is, once it serves.
func (c *upCmd) announce(ctx context.Context, s *system, l listeners, con *console, logger *slog.Logger) error {
	if c.Demo {
		if err := s.loadDemo(ctx, c.Data, con); err != nil {
			return err
		}
	}
	if err := l.print(con.out, c.Demo); err != nil {
		return err
	}
	logger.Info("ready", "data", c.Data, "edge", l.address("edge"))
	return l.write(c.ReadyFile)
}
