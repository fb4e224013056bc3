// Package apitest runs the three services and the gateway in memory, for tests of
// everything that talks HTTP.
package apitest

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"

	"ensemble/api"
	"ensemble/edge"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/guard"
	"ensemble/internal/keyring"
	"ensemble/internal/telemetry"
	"ensemble/projection"
	"ensemble/readmodel"
	"ensemble/recommendation"
	recommendations "ensemble/recommendation/memory"
	"ensemble/user"
	"ensemble/wire"
)

// System is everything that 'ensemble up' runs, on logs in memory. Its test ends
// it.
type System struct {
	UserLog, FriendLog           *eventstore.Store
	Keys                         user.Keys
	User, Friend, Recommendation *api.Service
	Gateway                      http.Handler      // its answers are held against the OpenAPI document
	Health                       *telemetry.Health // of the service of people

	users, friends  *projection.Runner
	cleared, ended  *projection.Runner // erasing people, erasing friendships
	FriendsOfErased *friend.Eraser
}

// TB is what a System needs of its test: *testing.T, *testing.B, *testing.F and
// *rapid.T have it.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(end func())
	Context() context.Context
}

// Options changes a System. The zero value is one as people run it.
type Options struct {
	// UserLog and FriendLog wrap the drivers, for instance to make them fail.
	UserLog, FriendLog func(eventstore.Driver) eventstore.Driver
	// Queue is how many commands may wait for each log; 0 means the default.
	Queue int
	// Direction is which friendships a list holds by default.
	Direction readmodel.Direction
	// Feed bounds the live streams.
	Feed api.FeedConfig
	// Metrics measures the requests. Nil: nothing is measured.
	Metrics *telemetry.Metrics
}

// Start starts a system.
func Start(t TB, o Options) *System {
	t.Helper()
	dir, err := os.MkdirTemp("", "apitest")
	fatal(t, err)
	keys, err := keyring.Open(dir)
	fatal(t, err)
	t.Cleanup(func() {
		if err := errors.Join(keys.Close(), os.RemoveAll(dir)); err != nil {
			t.Errorf("end the keyring: %v", err)
		}
	})
	s := &System{Keys: keys, Health: new(telemetry.Health)}
	s.UserLog = openLog(t, o.Queue, o.UserLog, readmodel.UsersView(keys))
	s.FriendLog = openLog(t, o.Queue, o.FriendLog, readmodel.FriendView())
	s.serve(t, o)
	return s
}

// openLog opens a log in memory, with its view and its committer.
func openLog(
	t TB, queue int, wrap func(eventstore.Driver) eventstore.Driver, view eventstore.View,
) *eventstore.Store {
	t.Helper()
	var driver eventstore.Driver = memory.New(memory.Options{Views: []eventstore.View{view}})
	if wrap != nil {
		driver = wrap(driver)
	}
	store, err := eventstore.Open(t.Context(), driver, eventstore.Options{Queue: queue, Log: Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() }) // some tests break it
	return store
}

// serve builds the services on the logs.
func (s *System) serve(t TB, o Options) {
	t.Helper()
	config := func(name string) api.Config {
		return api.Config{Name: name, Version: "test", Metrics: o.Metrics, Log: Quiet(), Feed: o.Feed}
	}
	users := readmodel.NewUsers(s.UserLog)
	c := config("user-service")
	c.Health = s.Health
	var err error
	people, friendships := user.NewService(s.UserLog, s.Keys), friend.NewService(s.FriendLog, users)
	s.User, err = api.NewUser(t.Context(), api.UserConfig{
		Config: c, Store: s.UserLog, Commands: people, Users: users, Keys: s.Keys, Vanished: s.vanished, Erasing: s.erasing,
	})
	fatal(t, err)
	s.Friend, err = api.NewFriend(t.Context(), api.FriendConfig{
		Config: config("friend-service"), Store: s.FriendLog, Commands: friendships,
		Friends: readmodel.NewFriends(s.FriendLog), Direction: o.Direction,
	})
	fatal(t, err)
	s.erase(t, people, friendships)
	service := recommendation.New(recommendations.New(), s.Keys)
	s.users = projection.New("users", s.UserLog.Subscribe, service.Users(), 0)
	s.friends = projection.New("friends", s.FriendLog.Subscribe, service.Friends(), 0)
	s.Recommendation = api.NewRecommendation(api.RecommendationConfig{
		Config: config("recommendation-service"), Recommendations: service, Follows: []api.Followed{
			{Name: "user", Lineage: lineage(t, s.UserLog), Position: s.users.Position, Wait: s.users.Wait},
			{Name: "friend", Lineage: lineage(t, s.FriendLog), Position: s.friends.Position, Wait: s.friends.Wait},
		},
	})
	s.follow(t)
	s.Gateway = watch(t, edge.New(edge.Config{
		Services: []edge.Service{
			{Prefix: "/user", Handler: s.User, Ready: s.Health.Ready},
			{Prefix: "/friend", Handler: s.Friend},
			{Prefix: "/recommendation", Handler: s.Recommendation},
		},
		Metrics: o.Metrics, Docs: api.NewDocs(config("edge-service")), Version: "test", Log: Quiet(),
	}))
}

// erase makes what finishes erasing people.
func (s *System) erase(t TB, people *user.Service, friendships *friend.Service) {
	t.Helper()
	eraser := user.NewEraser(user.EraserConfig{
		Store: s.UserLog, Keys: s.Keys, Service: people, Erased: readmodel.NewUsers(s.UserLog).Erased,
	}, user.Note{})
	after, err := eraser.Recover(t.Context())
	fatal(t, err)
	s.FriendsOfErased = friend.NewEraser(friend.EraserConfig{
		Service: friendships,
		Friendships: func(ctx context.Context, person, after int64, limit int) ([]friend.Friendship, error) {
			return readmodel.NewFriends(s.FriendLog).Of(ctx, person, readmodel.Both, after, limit)
		},
	}, 0)
	s.cleared = projection.New("erasing people", s.UserLog.Subscribe, eraser, after)
	s.ended = projection.New("erasing friendships", s.UserLog.Subscribe, s.FriendsOfErased, 0)
}

// vanished waits until nobody shows who was erased.
func (s *System) vanished(ctx context.Context, p eventstore.Position) error {
	return s.users.Wait(ctx, p)
}

// erasing says how far an erasure has got.
func (s *System) erasing(ctx context.Context, e user.Erasure) (wire.Erasing, error) {
	w := wire.Erasing{
		FriendshipsEnded: s.ended.Position() >= e.Position,
		FilesCleared:     s.cleared.Position() >= e.Position,
		Followed:         s.users.Position() >= e.Position,
	}
	if n, known := s.FriendsOfErased.Removed(e.ID); known {
		w.Removed = &n
	}
	left, err := readmodel.NewFriends(s.FriendLog).Of(ctx, e.ID, readmodel.Both, 0, 0)
	w.Remaining = int64(len(left))
	return w, err
}

// lineage returns the identity of a log.
func lineage(t TB, store *eventstore.Store) func() eventstore.Lineage {
	t.Helper()
	head, err := store.Head(t.Context())
	fatal(t, err)
	return func() eventstore.Lineage { return head.Lineage }
}

// follow runs the projections until the test ends.
func (s *System) follow(t TB) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, runner := range []*projection.Runner{s.users, s.friends, s.cleared, s.ended} {
		running.Go(func() {
			if err := runner.Run(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, eventstore.ErrClosed) {
				t.Errorf("a projection stopped: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// Settle waits until recommendations know everything that was answered so far, and
// who was erased has no friendships any more.
func (s *System) Settle(t TB) {
	t.Helper()
	for _, p := range []struct {
		log    *eventstore.Store
		runner *projection.Runner
	}{{s.UserLog, s.users}, {s.UserLog, s.cleared}, {s.UserLog, s.ended}, {s.FriendLog, s.friends}} {
		head, err := p.log.Head(t.Context())
		fatal(t, err)
		fatal(t, p.runner.Wait(t.Context(), head.Position))
	}
}

// Do sends a request to the gateway. A body makes it application/json unless the
// headers, pairs of name and value, say otherwise.
func (s *System) Do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	return Do(s.Gateway, method, target, body, headers...)
}

// Do sends a request to a handler, as System.Do does.
func Do(h http.Handler, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
			continue
		}
		r.Header.Add(headers[i], headers[i+1])
		if headers[i] == "Content-Type" {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Listen serves a handler on a real port, behind the guard, until the test ends.
func Listen(t TB, h http.Handler, c guard.Config) *httptest.Server {
	t.Helper()
	if c.Limits == (guard.Limits{}) {
		c.Limits = guard.DefaultLimits()
	}
	if c.Log == nil {
		c.Log = Quiet()
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = guard.NewServer(h, c).Server
	server.Listener = guard.Listen(server.Listener, c.Limits)
	server.Start()
	t.Cleanup(func() {
		server.Client().CloseIdleConnections()
		server.Close()
	})
	return server
}

// Quiet returns a logger that nobody hears.
func Quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// fatal ends a test that can't go on.
func fatal(t TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
