package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
)

// The adapters of the single services are chosen by address:
//
//	--store   sqlite:PATH        a file of this machine
//	--keys    DIR                a folder of this machine
//	--broker  none               who follows asks for the feed of events
//	--graph   memory             in this process
//
// One function a flag says which there are; nothing else knows.

// openStoreAt opens the log at an address with its views.
func openStoreAt(ctx context.Context, store, name string, logger *slog.Logger, view eventstore.View) (ownLog, error) {
	if err := checkStore(store); err != nil {
		return ownLog{}, err
	}
	switch scheme, rest, _ := strings.Cut(store, ":"); scheme {
	case "sqlite":
		if err := os.MkdirAll(filepath.Dir(rest), 0o700); err != nil {
			return ownLog{}, fmt.Errorf("make the folder of the log: %w; choose another with --store", err)
		}
		log, err := sqlite.Open(ctx, rest, sqlite.Options{Views: []eventstore.View{view}, Log: logger})
		if err != nil {
			return ownLog{}, fmt.Errorf("open the log of %ss: %w", name, err)
		}
		return onSQLite(name, log), nil
	}
	return ownLog{}, fmt.Errorf("--store %s: this build has no Postgres; use sqlite:PATH", masked(store))
}

// checkStore says whether there is such a store.
func checkStore(store string) error {
	switch scheme, rest, _ := strings.Cut(store, ":"); {
	case scheme == "sqlite" && rest != "", scheme == "postgres", scheme == "postgresql":
		return nil
	}
	return fmt.Errorf("--store %s is not the address of a store: write sqlite:PATH", masked(store))
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

// openPeopleAt opens the keys and the log of people.
func openPeopleAt(ctx context.Context, store, keys string, logger *slog.Logger, r *resources) (ownLog, user.Keys, error) {
	if err := checkStore(store); err != nil {
		return ownLog{}, nil, err
	}
	if path, ok := strings.CutPrefix(store, "sqlite:"); ok {
		if err := keysForNames(ctx, keys, path); err != nil {
			return ownLog{}, nil, err
		}
	}
	if strings.Contains(keys, "://") {
		return ownLog{}, nil, fmt.Errorf("--keys %s: this build keeps keys in a folder; give its path", masked(keys))
	}
	if err := os.MkdirAll(filepath.Dir(keys), 0o700); err != nil {
		return ownLog{}, nil, fmt.Errorf("make the folder of the keys: %w; choose another with --keys", err)
	}
	ring, err := keyring.Open(keys)
	if err != nil {
		return ownLog{}, nil, fmt.Errorf("open the keys: %w", err)
	}
	r.add(ring.Close)
	log, err := openStoreAt(ctx, store, user.Category, logger, readmodel.UsersView(ring))
	return log, ring, err
}

// checkBroker says whether there is such a broker.
func checkBroker(broker string) error {
	switch scheme, _, _ := strings.Cut(broker, ":"); scheme {
	case "none":
		return nil
	case "kafka":
		return fmt.Errorf("--broker %s: this build has no Kafka; use none, and let who follows ask for the feeds", masked(broker))
	}
	return fmt.Errorf("--broker %s is not the address of a broker: write none", masked(broker))
}

// checkGraph says whether there is such a graph.
func checkGraph(graph string) error {
	switch scheme, _, _ := strings.Cut(graph, ":"); scheme {
	case "memory":
		return nil
	case "neo4j", "bolt", "neo4j+s", "bolt+s":
		return fmt.Errorf("--graph %s: this build has no Neo4j; use memory", masked(graph))
	}
	return fmt.Errorf("--graph %s is not the address of a graph: write memory", masked(graph))
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
