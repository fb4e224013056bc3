package main

import (
	"context"
	"errors"

	"ensemble/api"
	"ensemble/client"
	"ensemble/eventstore"
	"ensemble/user"
	"ensemble/wire"
)

// userFlags is the configuration of 'user'.
type userFlags struct {
	Addr         string `default:"127.0.0.1:8120" placeholder:"HOST:PORT" help:"Where the service listens; port 0 is any free one (${default})." json:"addr"`
	AdminAddr    string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens, or 'off' (${default})." json:"admin-addr"`
	Store        string `default:"sqlite:ensemble-data/user.db" placeholder:"URL" help:"Where the log of people is: sqlite:PATH, postgres://…; made if it is missing (${default})." json:"store"`
	MigrateStore string `placeholder:"URL" help:"The same store as a role that may change its schema: it is migrated at the start, and --store needs only to append and read." json:"migrate-store,omitempty"`
	Keys         string `default:"ensemble-data/keys" placeholder:"DIR" help:"Where the keys are that open names: a folder, or postgres://… for several replicas, a database of their own (${default})." json:"keys"`
	MasterKey    string `default:"ensemble-data/master.key" placeholder:"FILE" help:"The key that wraps those of a database; each replica needs the same one, the first start makes it (${default})." json:"master-key"`
	Broker       string `default:"none" placeholder:"URL" help:"Where events are published besides the feed at /v1/events: none, kafka://HOST:PORT (${default})." json:"broker"`

	FriendURL         string `name:"friend-url" placeholder:"URL" help:"The service of friendships, asked only for the receipts of erasures: whether the friendships are ended." json:"friend-url,omitempty"`
	RecommendationURL string `name:"recommendation-url" placeholder:"URL" help:"The service of recommendations, asked for the same." json:"recommendation-url,omitempty"`

	servingFlags
}

// userCmd runs the service of people by itself.
type userCmd struct {
	userFlags
}

// Help implements kong's HelpProvider.
func (userCmd) Help() string {
	return `The service of people, with its log and the keys that open the names in it. Its
events are at /v1/events, where the other services follow them.

	ensemble user --store sqlite:ensemble-data/user.db --keys ensemble-data/keys

The files are those that 'up' has in its data folder: what ran in one process goes on
in several, and the other way round, while one process at a time has a file open.
PORT, SERVER_PORT, POSTGRES_… and the other variables of the Spring system work too.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *userCmd) Run(ctx context.Context, cli *cli, con *console) error {
	return single{
		name: "user", serving: &c.servingFlags, settings: c.userFlags,
		parts: []part{{"user", "addr", c.Addr}, {"admin", "admin-addr", c.AdminAddr}},
		tries: func(address string) []string { return []string{"curl " + address + "/v1/users"} },
	}.run(ctx, cli, con, c.open)
}

// open opens the keys and the log, and puts the service on them.
func (c *userCmd) open(ctx context.Context, p *process) (w work, closeAll func() error, err error) {
	r := new(resources)
	b, err := openBroker(c.Broker, r)
	if err = errors.Join(err, checkMigration(c.Store, c.MigrateStore)); err != nil {
		return w, r.close, err
	}
	log, keys, err := openPeopleAt(ctx, storeAt{c.Store, c.MigrateStore}, keysAt{c.Keys, c.MasterKey}, p.logger, r)
	if err != nil {
		return w, r.close, err
	}
	store, err := r.openStore(ctx, p, log)
	if err != nil {
		return w, r.close, err
	}
	people := newPeople(log, store, keys)
	if err := people.recover(ctx, noteBeside(c.Store, userErasures, p.logger)); err != nil {
		return w, r.close, err
	}
	if _, err := people.serve(ctx, p, elsewhere{erasing: c.others(people).erasing}); err != nil {
		return w, r.close, err
	}
	admin := p.office(api.AdminConfig{
		Projections: func() []api.Projected { return []api.Projected{{Name: "users", Log: log.name, Store: store}} },
		Instances:   p.itself("user-service", "user"),
		Breakers:    func() []wire.Breaker { return []wire.Breaker{} },
		Rebuilds:    map[string]api.Rebuild{"users": rebuildViews(log, store)},
	})
	r.add(func() error { admin.Close(); return nil }) // a rebuild needs the log
	following := append(relay(p, b, store, user.Category, "user-service", wire.UserRecords(keys), c.Store), people.cleared.Run)
	return work{following: following, stores: []*eventstore.Store{store}}, r.close, nil
}

// others returns who is asked for the receipts of erasures.
func (c *userCmd) others(people *people) remoteErasing {
	r := remoteErasing{people: people}
	if c.FriendURL != "" {
		r.friends = client.Direct(c.FriendURL, "friend", nil)
	}
	if c.RecommendationURL != "" {
		r.recommendation = client.Direct(c.RecommendationURL, "recommendation", nil)
	}
	return r
}
