package main

import (
	"context"
	"errors"
	"net/http"

	"ensemble/api"
	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// friendFlags is the configuration of 'friend'.
type friendFlags struct {
	Addr         string `default:"127.0.0.1:8100" placeholder:"HOST:PORT" help:"Where the service listens; port 0 is any free one (${default})." json:"addr"`
	AdminAddr    string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens, or 'off' (${default})." json:"admin-addr"`
	Store        string `default:"sqlite:ensemble-data/friend.db" placeholder:"URL" help:"Where the log of friendships is: sqlite:PATH, postgres://…; made if it is missing (${default})." json:"store"`
	MigrateStore string `placeholder:"URL" help:"The same store as a role that may change its schema: it is migrated at the start, and --store needs only to append and read." json:"migrate-store,omitempty"`
	UserURL      string `name:"user-url" default:"http://127.0.0.1:8120" placeholder:"URL" help:"The service of people, ours or Spring's: asked who is there, and followed for who is erased (${default})." json:"user-url"`
	Broker       string `default:"none" placeholder:"URL" help:"Where events are published besides the feed at /v1/events: none, kafka://HOST:PORT (${default})." json:"broker"`

	servingFlags
}

// friendCmd runs the service of friendships by itself.
type friendCmd struct {
	friendFlags
}

// Help implements kong's HelpProvider.
func (friendCmd) Help() string {
	return `The service of friendships, with its log. Whether people are there it asks the service
of people, and remembers who is. While that is away, friendships among people who were
seen lately go on, those with others are answered 503 with Retry-After, and ending a
friendship needs nobody.

	ensemble friend --store sqlite:ensemble-data/friend.db --user-url http://127.0.0.1:8120

PORT, SERVER_PORT, POSTGRES_… and the other variables of the Spring system work too.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *friendCmd) Run(ctx context.Context, cli *cli, con *console) error {
	return single{
		name: "friend", serving: &c.servingFlags, settings: c.friendFlags,
		parts: []part{{"friend", "addr", c.Addr}, {"admin", "admin-addr", c.AdminAddr}},
		tries: func(address string) []string { return []string{"curl " + address + "/v1/users/1/friends"} },
	}.run(ctx, cli, con, c.open)
}

// open opens the log, and puts the service on it and beside the one of people.
func (c *friendCmd) open(ctx context.Context, p *process) (w work, closeAll func() error, err error) {
	r := new(resources)
	b, err := openBroker(c.Broker, r)
	if err = errors.Join(err, checkMigration(c.Store, c.MigrateStore)); err != nil {
		return w, r.close, err
	}
	if err := checkURL("user-url", c.UserURL); err != nil {
		return w, r.close, err
	}
	log, err := openStoreAt(ctx, storeAt{c.Store, c.MigrateStore}, friend.Category, p.logger, readmodel.FriendView())
	if err != nil {
		return w, r.close, err
	}
	store, err := r.openStore(ctx, p, log)
	if err != nil {
		return w, r.close, err
	}
	transport := client.Transport(followConnections)
	directory := client.NewDirectory(
		client.Direct(c.UserURL, user.Category, &http.Client{Transport: transport}), client.DirectoryConfig{})
	friendships := newFriendships(log, store, remoteUsers{directory})
	ending := &remoteEnding{
		friendships: friendships, directory: directory, feed: newFeed(user.Category, c.UserURL, p.logger, "UserErased"),
		note: noteBeside(c.Store, friendErasures, p.logger), logger: p.logger,
	}
	if _, err := friendships.serve(ctx, p, ending.position); err != nil {
		return w, r.close, err
	}
	p.healths["friend-service"].AddOptional("user-service", ending.feed.answers)
	admin := c.office(p, log, store, directory)
	r.add(func() error { admin.Close(); return nil })
	following := append(relay(p, b, store, friend.Category, "friend-service", wire.FriendRecords(), c.Store), ending.run)
	return work{following: following, stores: []*eventstore.Store{store}}, r.close, nil
}

// office makes what operators ask and order of it.
func (c *friendCmd) office(p *process, log ownLog, store *eventstore.Store, directory *client.Directory) *api.Admin {
	return p.office(api.AdminConfig{
		Projections: func() []api.Projected { return []api.Projected{{Name: "friends", Log: log.name, Store: store}} },
		Instances:   p.itself("friend-service", "friend"),
		Breakers: func() []wire.Breaker {
			return []wire.Breaker{{Service: "user-service", Transport: "http", State: directory.State()}}
		},
		Rebuilds: map[string]api.Rebuild{"friends": rebuildViews(log, store)},
	})
}
