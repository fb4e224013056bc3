package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ensemble/api"
	"ensemble/broker"
	"ensemble/broker/kafka"
	"ensemble/eventstore"
	"ensemble/eventstore/postgres"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
)

// The adapters of the single services are chosen by address:
//
//	--store   sqlite:PATH        a file of this machine
//	          postgres://…       a database, for several replicas
//	--keys    DIR                a folder of this machine
//	          postgres://…       a database of their own, for several replicas
//	--broker  none               who follows asks for the feed of events
//	          kafka://HOST:PORT  topics, beside the feeds
//	--graph   memory             in this process
//	          neo4j://HOST:PORT  a database, which one replica writes
//
// One function a flag says which there are; nothing else knows.

// storeAt is where a log is, and as whom its schema is migrated; "" for as whoever serves.
type storeAt struct{ url, migrate string }

// pollPostgres is how often a follower looks for events that another replica appended.
const pollPostgres = 20 * time.Millisecond

// openStoreAt opens the log at an address with its view.
func openStoreAt(ctx context.Context, at storeAt, name string, logger *slog.Logger, view eventstore.View) (ownLog, error) {
	if err := checkStore(at.url); err != nil {
		return ownLog{}, err
	}
	if rest, ok := strings.CutPrefix(at.url, "sqlite:"); ok {
		if err := os.MkdirAll(filepath.Dir(rest), 0o700); err != nil {
			return ownLog{}, fmt.Errorf("make the folder of the log: %w; choose another with --store", err)
		}
		log, err := sqlite.Open(ctx, rest, sqlite.Options{Views: []eventstore.View{view}, Log: logger})
		if err != nil {
			return ownLog{}, fmt.Errorf("open the log of %ss: %w", name, err)
		}
		return onSQLite(name, log), nil
	}
	views := []eventstore.View{view}
	if at.migrate != "" {
		if err := postgres.Migrate(ctx, at.migrate, postgres.MigrateOptions{Views: views, Role: roleOf(at.url), Log: logger}); err != nil {
			return ownLog{}, fmt.Errorf("migrate the log of %ss: %w", name, err)
		}
	}
	log, err := postgres.Open(ctx, at.url, postgres.Options{Views: views, Log: logger})
	if err != nil {
		return ownLog{}, fmt.Errorf("open the log of %ss: %w", name, err)
	}
	return ownLog{name: name, driver: log, rebuild: log.Rebuild, poll: pollPostgres}, nil
}

// roleOf returns as whom an address signs in.
func roleOf(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.User.Username()
	}
	return ""
}

// checkStore says whether there is such a store.
func checkStore(store string) error {
	switch scheme, rest, _ := strings.Cut(store, ":"); {
	case scheme == "sqlite" && rest != "", scheme == "postgres", scheme == "postgresql":
		return nil
	}
	return fmt.Errorf("--store %s is not the address of a store: write sqlite:PATH or postgres://…", masked(store))
}

// checkMigration says whether a store has a schema that another role may migrate.
func checkMigration(store, migrate string) error {
	if migrate != "" && strings.HasPrefix(store, "sqlite:") {
		return errors.New("--migrate-store is for Postgres: a file is migrated by whoever opens it; leave it out")
	}
	return nil
}

// folderOf returns the folder of a store that is a file, "" for others.
func folderOf(store string) string {
	if path, ok := strings.CutPrefix(store, "sqlite:"); ok {
		return filepath.Dir(path)
	}
	return ""
}

// keysAt is where the keys of people are, and the file of the master key if that is a
// database.
type keysAt struct{ address, master string }

// openPeopleAt opens the keys and the log of people.
func openPeopleAt(ctx context.Context, at storeAt, keys keysAt, logger *slog.Logger, r *resources) (ownLog, user.Keys, error) {
	if err := checkStore(at.url); err != nil {
		return ownLog{}, nil, err
	}
	switch scheme, _, isURL := strings.Cut(keys.address, "://"); {
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		return openSharedPeople(ctx, at, keys, logger, r)
	case isURL:
		return ownLog{}, nil, fmt.Errorf("--keys %s is not where keys can be: write the path of a folder, or postgres://…", masked(keys.address))
	}
	if path, ok := strings.CutPrefix(at.url, "sqlite:"); ok {
		if err := keysForNames(ctx, keys.address, path); err != nil {
			return ownLog{}, nil, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(keys.address), 0o700); err != nil {
		return ownLog{}, nil, fmt.Errorf("make the folder of the keys: %w; choose another with --keys", err)
	}
	ring, err := keyring.Open(keys.address)
	if err != nil {
		return ownLog{}, nil, fmt.Errorf("open the keys: %w", err)
	}
	r.add(ring.Close)
	log, err := openStoreAt(ctx, at, user.Category, logger, readmodel.UsersView(ring))
	return log, ring, err
}

// openSharedPeople opens keys that are in a database, and the log. Keys that were never
// used open no name of a log that has some: then the two do not belong together, or the
// keys were lost.
func openSharedPeople(ctx context.Context, at storeAt, keys keysAt, logger *slog.Logger, r *resources) (ownLog, user.Keys, error) {
	if err := os.MkdirAll(filepath.Dir(keys.master), 0o700); err != nil {
		return ownLog{}, nil, fmt.Errorf("make the folder of the master key: %w; choose another with --master-key", err)
	}
	ring, err := keyring.OpenDatabase(ctx, keys.address, keys.master)
	if err != nil {
		return ownLog{}, nil, err
	}
	r.add(ring.Close)
	empty, err := ring.Empty(ctx)
	if err != nil {
		return ownLog{}, nil, err
	}
	log, err := openStoreAt(ctx, at, user.Category, logger, readmodel.UsersView(ring))
	if err != nil {
		return ownLog{}, nil, err
	}
	if head, err := log.driver.Head(ctx); err != nil || empty && head.Position > 0 {
		if err == nil {
			err = fmt.Errorf("there are names in %s, but no keys in %s to read them with; name the keys that they were made with by --keys",
				masked(at.url), masked(keys.address))
		}
		return ownLog{}, nil, errors.Join(err, log.driver.Close())
	}
	return log, ring, nil
}

// openBroker connects to a broker; nil for none. One that is away is no error.
func openBroker(address string, r *resources) (broker.Publisher, error) {
	switch scheme, _, _ := strings.Cut(address, ":"); scheme {
	case "none":
		return nil, nil
	case "kafka":
		config, err := kafka.ParseURL(address)
		if err != nil {
			return nil, fmt.Errorf("--broker: %w", err)
		}
		b, err := kafka.Open(config)
		if err != nil {
			return nil, fmt.Errorf("--broker: %w", err)
		}
		r.add(b.Close)
		return b, nil
	}
	return nil, fmt.Errorf("--broker %s is not the address of a broker: write none or kafka://HOST:PORT", masked(address))
}

// relay sends the events of a log to its topic, if there is a broker, and returns what has
// to run.
func relay(p *process, b broker.Publisher, store *eventstore.Store, topic, service string, render render, at string) []func(context.Context) error {
	if b == nil {
		return nil
	}
	r := broker.NewRelay(broker.RelayConfig{Log: store, Topic: topic, Broker: b, Render: render, Logger: p.logger, Lead: leaderAt(at, topic)})
	p.healths[service].AddOptional("broker", r.Check)
	measureRelay(p.metrics, topic, r)
	return []func(context.Context) error{func(ctx context.Context) error {
		// What ends a relay an operator has to mend: until then it is in the health of the
		// service, whose commands go on.
		if err := r.Run(ctx); !errors.Is(err, context.Canceled) {
			p.logger.Error("nothing is sent to the broker any more until this is mended and the service started again", "error", err)
		}
		return nil
	}}
}

// leaderAt returns how replicas of a service with a store agree on who sends; nil for a
// store that one process has for itself.
func leaderAt(store, topic string) func(context.Context, func(context.Context) error) error {
	if strings.HasPrefix(store, "postgres") {
		return leadOn(store, "relay to topic "+topic)
	}
	return nil
}

// render writes an event as a record.
type render func(*eventstore.Event, eventstore.Lineage) (broker.Record, error)

// checkGraph says whether there is such a graph.
func checkGraph(graph string) error {
	switch scheme, _, _ := strings.Cut(graph, ":"); scheme {
	case "memory", "neo4j", "bolt", "neo4j+s", "bolt+s", "neo4j+ssc", "bolt+ssc":
		return nil
	}
	return fmt.Errorf("--graph %s is not the address of a graph: write memory or neo4j://HOST:PORT", masked(graph))
}

// resources are what has to be closed, in the order in which it was opened.
type resources []func() error

// add notes something that was opened.
func (r *resources) add(end func() error) { *r = append(*r, end) }

// close closes what is open, the last first.
func (r *resources) close() error {
	var errs []error
	for _, end := range slices.Backward(*r) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// openStore puts a committer on a log, and notes that it has to be closed.
func (r *resources) openStore(ctx context.Context, p *process, log ownLog) (*eventstore.Store, error) {
	store, err := p.openStore(ctx, log)
	if err != nil {
		return nil, errors.Join(err, log.driver.Close())
	}
	r.add(store.Close)
	return store, nil
}

// masked returns an address without its password.
func masked(address string) string {
	shown, err := api.Masked(address)
	if err != nil {
		return "***"
	}
	return fmt.Sprint(shown)
}
