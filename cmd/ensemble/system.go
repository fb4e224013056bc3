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
	"ensemble/edge"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/internal/guard"
	"ensemble/internal/telemetry"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// system is everything in one process, wired but not yet listening. The end-to-end
// tests build the same value that 'up' runs.
type system struct {
	logger  *slog.Logger
	metrics *telemetry.Metrics
	healths map[string]*telemetry.Health // of the services, by name

	storage                *storage
	logs                   []namedLog // of users, of friendships; they belong to the stores
	userStore, friendStore *eventstore.Store
	users, friends         *projection.Runner
	graph                  *memory.Backend // the one that the start began with
	snapshots              *snapshots
	clear                  func(context.Context) error // the files of the log of people
	erasures               *erasing
	recommendations        *recommendation.Service
	admin                  *api.Admin
	settings               any           // the configuration, for the administration to show
	listening              listeners     // once it runs
	snapshotEvery          time.Duration // how often the graph is saved; 0: only at the end

	handlers map[string]http.Handler // by the name of their listener
	services []*api.Service          // those whose streams have to be ended
	limits   guard.Limits            // of each listener; zero: the default ones
	pushTo   string                  // where metrics are sent to; "": nowhere

	stopping    atomic.Bool
	connections atomic.Int64 // open ones
}

// newSystem returns a system of which nothing is open yet.
func newSystem(logger *slog.Logger) *system {
	return &system{logger: logger, metrics: telemetry.NewMetrics(), healths: map[string]*telemetry.Health{}}
}

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
	s.clear = s.storage.user.Clear
	s.logs = s.storage.logs()
	if s.userStore, err = s.openStore(ctx, s.logs[0]); err != nil {
		return err
	}
	s.friendStore, err = s.openStore(ctx, s.logs[1])
	return err
}

// openStore puts a committer on a log, which belongs to it from then on.
func (s *system) openStore(ctx context.Context, l namedLog) (*eventstore.Store, error) {
	options := measureLog(s.metrics, l)
	options.Log = s.logger
	store, err := eventstore.Open(ctx, l.log, options)
	if err != nil {
		return nil, fmt.Errorf("open the log of %ss: %w", l.name, err)
	}
	s.storage.release(l.log)
	return store, nil
}

// wire connects the parts: commands to logs, logs to the graph, paths to services.
func (s *system) wire(ctx context.Context, data string) (err error) {
	users := readmodel.NewUsers(s.userStore)
	people := user.NewService(s.userStore, crashableKeys{s.storage.keys})
	friendships := friend.NewService(s.friendStore, users)
	// Before the graph: who is erased has no key from here on, and a snapshot shows
	// nobody without one.
	if s.erasures, err = s.erasing(ctx, data, people, friendships); err != nil {
		return err
	}
	if err := s.follow(ctx, data); err != nil {
		return err
	}
	userService, err := api.NewUser(ctx, api.UserConfig{
		Config: s.config("user-service"), Store: s.userStore, Commands: people, Users: users, Keys: s.storage.keys,
		Vanished: s.users.Wait, Erasing: s.erasures.progress(s.users),
	})
	if err != nil {
		return err
	}
	friendService, err := api.NewFriend(ctx, api.FriendConfig{
		Config: s.config("friend-service"), Store: s.friendStore,
		Commands: friendships, Friends: readmodel.NewFriends(s.friendStore),
	})
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
	s.services = []*api.Service{userService, friendService, recommendationService}
	measureStreams(s.metrics, user.Category, userService)
	measureStreams(s.metrics, friend.Category, friendService)
	s.healths["recommendation-service"].Add("projections", s.following)
	s.handlers = map[string]http.Handler{
		"user": userService, "friend": friendService, "recommendation": recommendationService,
		"discovery": api.NewHealth(s.config("discovery-service")), "admin": s.administration(),
		"edge": s.gateway(userService, friendService, recommendationService), //nolint:contextcheck // a request has its own
	}
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
		follows = append(follows, api.Followed{Name: log.name, Lineage: head.Lineage, Projection: log.runner})
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

// config returns what every service needs.
func (s *system) config(name string) api.Config {
	s.healths[name] = new(telemetry.Health)
	return api.Config{Name: name, Version: version(), Health: s.healths[name], Metrics: s.metrics, Log: s.logger}
}

// following says whether both logs are being followed.
func (s *system) following(context.Context) error {
	return errors.Join(s.users.Err(), s.friends.Err())
}

// drain is how long answers ask their clients to close their connections, at most,
// before those left are closed.
const drain = 500 * time.Millisecond

// run serves until the context ends or a part fails. ready is called once
// everything serves.
func (s *system) run(ctx context.Context, listeners listeners, ready func(context.Context) error) error {
	s.listening = listeners
	// Projections outlive the requests: they stop when the servers have.
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range append(s.erasures.runners(), s.users, s.friends) {
		group.Go(func() error { return ignoreCanceled(p.Run(following)) })
	}
	for _, store := range []*eventstore.Store{s.userStore, s.friendStore} {
		group.Go(func() error { return watch(ctx, store) })
	}
	if s.pushTo != "" {
		group.Go(func() error {
			s.metrics.Push(ctx, telemetry.PushConfig{URL: s.pushTo, Application: "ensemble", Log: s.logger})
			return nil
		})
	}
	group.Go(func() error {
		s.snapshots.run(ctx, s.snapshotEvery)
		return nil
	})
	servers := s.serve(group, listeners)
	group.Go(func() error {
		if err := s.caughtUp(ctx); err != nil {
			return ignoreCanceled(err)
		}
		return ignoreCanceled(ready(ctx))
	})
	group.Go(func() error {
		<-ctx.Done()
		defer stopFollowing()
		return s.shutdown(context.WithoutCancel(ctx), listeners, servers)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	s.snapshots.save(context.WithoutCancel(ctx), 1) // nothing moves any more
	return nil
}

// serve starts a server for each listener.
func (s *system) serve(group *errgroup.Group, listeners listeners) []*guard.Server {
	servers := make([]*guard.Server, len(listeners))
	refused := measureRefusals(s.metrics)
	for i, l := range listeners {
		servers[i] = guard.NewServer(s.draining(s.handlers[l.name]), guard.Config{
			Limits: s.limits, Refused: refused, Log: s.logger,
		})
		servers[i].ConnState = s.count
		group.Go(func() error {
			err := servers[i].Serve(l)
			if s.stopping.Load() { // the listener was closed first
				return nil
			}
			return fmt.Errorf("serve %s: %w", l.name, err)
		})
	}
	return servers
}

// count counts the open connections.
func (s *system) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// draining makes answers ask for the end of their connection while the system is
// stopping, so that no client sends a request into a connection being closed.
func (s *system) draining(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// shutdown answers what was begun, then closes the servers. The doors are closed
// first: a connection that waits to be accepted would be lost. Then every answer
// asks for the end of its connection, so that none is closed under a request that
// is on its way.
func (s *system) shutdown(ctx context.Context, listeners listeners, servers []*guard.Server) error {
	s.stopping.Store(true)
	for _, h := range s.healths {
		h.SetDraining(true)
	}
	s.logger.Info("stopping: answering what was begun")
	listeners.close()
	for _, service := range s.services { // only now: their clients come again at once
		service.EndStreams()
	}
	for end := time.Now().Add(drain); s.connections.Load() > 0 && time.Now().Before(end); {
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

// close closes what is open: what was queued is committed first.
func (s *system) close() error {
	var errs []error
	if s.admin != nil {
		s.admin.Close() // a rebuild needs the logs
	}
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
