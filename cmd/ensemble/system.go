package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"ensemble/api"
	"ensemble/discovery/eureka"
	"ensemble/edge"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/projection"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// system is everything in one process, wired but not yet listening. The end-to-end
// tests build the same value that 'up' runs.
type system struct {
	*process

	storage                *storage
	logs                   []ownLog // of users, of friendships; they belong to the stores
	userStore, friendStore *eventstore.Store
	people                 *people
	friendships            *friendships
	ending                 *ending
	users, friends         *projection.Runner
	graph                  *memory.Backend // the one that the start began with
	snapshots              *snapshots
	recommendations        *recommendation.Service
	registry               *eureka.Server
	admin                  *api.Admin
	snapshotEvery          time.Duration                 // how often the graph is saved; 0: only at the end
	relays                 []func(context.Context) error // to the embedded broker, if there is one
	resources              resources                     // closed before the logs
}

// newSystem returns a system of which nothing is open yet.
func newSystem(logger *slog.Logger) *system { return &system{process: newProcess(logger)} }

// openSystem opens the data folder and wires everything on top of it.
func openSystem(ctx context.Context, data string, logger *slog.Logger) (*system, error) {
	s := newSystem(logger)
	if err := s.openStores(ctx, data); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.wire(ctx, data); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// openStores opens the data folder and puts a committer on each log.
func (s *system) openStores(ctx context.Context, data string) (err error) {
	if s.storage, err = openStorage(ctx, data, s.logger); err != nil {
		return err
	}
	for _, l := range s.storage.logs() {
		s.logs = append(s.logs, onSQLite(l.name, l.log))
	}
	if s.userStore, err = s.openStore(ctx, s.logs[0]); err != nil {
		return err
	}
	s.friendStore, err = s.openStore(ctx, s.logs[1])
	return err
}

// openStore puts a committer on a log of the data folder.
func (s *system) openStore(ctx context.Context, l ownLog) (*eventstore.Store, error) {
	store, err := s.process.openStore(ctx, l)
	if err == nil {
		s.storage.release(l.name)
	}
	return store, err
}

// wire connects the parts: commands to logs, logs to the graph, paths to services.
func (s *system) wire(ctx context.Context, data string) error {
	s.people = newPeople(s.logs[0], s.userStore, s.storage.keys)
	s.friendships = newFriendships(s.logs[1], s.friendStore, s.people.users)
	// Before the graph: who is erased has no key from here on, and a snapshot shows
	// nobody without one.
	if err := s.finishErasing(ctx, data); err != nil {
		return err
	}
	if err := s.follow(ctx, data); err != nil {
		return err
	}
	users, err := s.people.serve(ctx, s.process, elsewhere{vanished: s.users.Wait, erasing: s.erasing})
	if err != nil {
		return err
	}
	friends, err := s.friendships.serve(ctx, s.process, nil)
	if err != nil {
		return err
	}
	follows, err := s.follows(ctx)
	if err != nil {
		return err
	}
	recommendationService := api.NewRecommendation(api.RecommendationConfig{ //nolint:contextcheck // a request has its own
		Config: s.config("recommendation-service"), Recommendations: s.recommendations, Follows: follows,
	})
	s.endStreams = append(s.endStreams, recommendationService.EndStreams)
	s.healths["recommendation-service"].Add("projections", s.following)
	s.handlers["recommendation"] = recommendationService
	s.registry = eureka.NewServer(eureka.ServerConfig{})
	s.handlers["discovery"] = registryOf(s.registry, api.NewHealth(s.config("discovery-service")))
	s.admin = s.administration()
	s.handlers["edge"] = s.gateway(users, friends, recommendationService) //nolint:contextcheck // a request has its own
	return nil
}

// follow makes the graph from the newest snapshot, and what follows both logs from there
// on.
func (s *system) follow(ctx context.Context, data string) error {
	s.snapshots = openSnapshots(data, s.storage.keys, s.logger, s.userStore, s.friendStore)
	backend, from, err := s.snapshots.load(ctx)
	if err != nil {
		return err
	}
	s.graph = backend
	s.recommendations = recommendation.New(s.graph, s.storage.keys)
	s.users = projection.New("users", s.userStore.Subscribe, s.recommendations.Users(), from[0].Position)
	s.friends = projection.New("friends", s.friendStore.Subscribe, s.recommendations.Friends(), from[1].Position)
	s.snapshots.service = s.recommendations
	s.snapshots.from = recommendation.Followers{Users: s.users, Friends: s.friends}
	measureSnapshots(s.metrics, s.snapshots)
	measureProjection(s.metrics, "users", s.users, s.userStore)       //nolint:contextcheck // a scrape has none
	measureProjection(s.metrics, "friends", s.friends, s.friendStore) //nolint:contextcheck // a scrape has none
	return nil
}

// follows says which logs recommendations are made from, and how far.
func (s *system) follows(ctx context.Context) (follows []api.Followed, err error) {
	for _, log := range []struct {
		name   string
		store  *eventstore.Store
		runner *projection.Runner
	}{{user.Category, s.userStore, s.users}, {friend.Category, s.friendStore, s.friends}} {
		head, err := log.store.Head(ctx)
		if err != nil {
			return nil, err
		}
		lineage := func() eventstore.Lineage { return head.Lineage }
		follows = append(follows, api.Followed{Name: log.name, Lineage: lineage, Position: log.runner.Position, Wait: log.runner.Wait})
	}
	return follows, nil
}

// gateway puts the services behind one port.
func (s *system) gateway(users, friends, recommendations http.Handler) http.Handler {
	c := s.config("edge-service")
	return edge.New(edge.Config{
		Services: []edge.Service{
			{Prefix: "/user", Handler: users, Ready: s.healths["user-service"].Ready},
			{Prefix: "/friend", Handler: friends, Ready: s.healths["friend-service"].Ready},
			{Prefix: "/recommendation", Handler: recommendations, Ready: s.healths["recommendation-service"].Ready},
		},
		Health: c.Health, Metrics: c.Metrics, Docs: api.NewDocs(c), Version: c.Version, Log: c.Log,
	})
}

// following says whether both logs are being followed.
func (s *system) following(context.Context) error {
	return errors.Join(s.users.Err(), s.friends.Err())
}

// run serves until the context ends or a part fails. ready is called once everything
// serves.
func (s *system) run(ctx context.Context, listeners listeners, ready func(context.Context) error) error {
	err := s.process.run(ctx, listeners, work{
		following: append(s.relays, s.people.cleared.Run, s.ending.runner.Run, s.users.Run, s.friends.Run),
		stores:    []*eventstore.Store{s.userStore, s.friendStore},
		beside: []func(context.Context) error{s.announceIn(s.registry), func(ctx context.Context) error {
			s.snapshots.run(ctx, s.snapshotEvery)
			return nil
		}},
		caughtUp: s.caughtUp,
		ready:    ready,
	})
	if err != nil {
		return err
	}
	s.snapshots.save(context.WithoutCancel(ctx), 1) // nothing moves any more
	return nil
}

// caughtUp waits until the graph holds what the logs held at the start.
func (s *system) caughtUp(ctx context.Context) error {
	for _, p := range []struct {
		store  *eventstore.Store
		runner *projection.Runner
	}{{s.userStore, s.users}, {s.friendStore, s.friends}} {
		head, err := p.store.Head(ctx)
		if err != nil {
			return err
		}
		if err := p.runner.Wait(ctx, head.Position); err != nil {
			return err
		}
	}
	return nil
}

// close closes what is open: what was queued is committed first.
func (s *system) close() error {
	var errs []error
	if s.admin != nil {
		s.admin.Close() // a rebuild needs the logs
	}
	errs = append(errs, s.resources.close())
	for _, store := range []*eventstore.Store{s.friendStore, s.userStore} {
		if store != nil {
			errs = append(errs, store.Close())
		}
	}
	if s.storage != nil {
		errs = append(errs, s.storage.close())
	}
	return errors.Join(errs...)
}
