package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"ensemble/api"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/projection"
	"ensemble/recommendation"
	"ensemble/recommendation/memory"
	"ensemble/user"
)

// generations are the graphs of a recommendation service that follows other services, one
// after the other. Usually there is one for ever. When a log is replaced (a backup was
// restored), everything made from it may be about what never happened; so another graph is
// made from the first event on, and the one before answers until it is complete:
//
//	replaced ──┐
//	           ▼
//	1  ════════╪══════════╗ answers until the next one is complete
//	2          └─ replay ─╨═══════════════════► answers
//
// Before the first one is complete, questions are refused: a list that is short because
// half of the friendships are not read yet looks like any other.
type generations struct {
	config   api.Config
	userURL  string
	feedURL  string // of friendships
	logger   *slog.Logger
	waiting  *api.Service // answers before there is a graph
	complete chan struct{}
	once     sync.Once

	live, next atomic.Pointer[generation] // the one that answers, the one that is made
}

// generation is a graph made from two feeds.
type generation struct {
	feeds          [2]*feed // of users, of friendships
	heads          [2]eventstore.Position
	graph          *recommendation.Service
	users, friends *projection.Runner
	service        *api.Service
}

// newGenerations returns generations of which none is begun.
func newGenerations(p *process, userURL, friendURL string) *generations {
	g := &generations{
		config: p.config("recommendation-service"), userURL: userURL, feedURL: friendURL, logger: p.logger,
		complete: make(chan struct{}),
	}
	g.waiting = api.NewRecommendation(api.RecommendationConfig{
		Config: g.config, Recommendations: recommendation.NewPublished(memory.New()), Behind: g.behind,
	})
	g.config.Health.Add("projections", func(context.Context) error { return g.behind() })
	p.handlers["recommendation"] = g
	p.endStreams = append(p.endStreams, g.end)
	return g
}

// ServeHTTP implements http.Handler.
func (g *generations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.service().ServeHTTP(w, r)
}

// service returns what answers now.
func (g *generations) service() *api.Service {
	if live := g.live.Load(); live != nil {
		return live.service
	}
	return g.waiting
}

// end ends what waits for events.
func (g *generations) end() {
	g.waiting.EndStreams()
	for _, one := range []*generation{g.live.Load(), g.next.Load()} {
		if one != nil {
			one.service.EndStreams()
		}
	}
}

// behind returns nil once a graph is complete, and before how far it is.
func (g *generations) behind() error {
	if g.live.Load() != nil {
		return nil
	}
	next := g.next.Load()
	if next == nil {
		return errors.New("the services of users and friendships have not said yet what there is")
	}
	return fmt.Errorf("%d of %d events of people and %d of %d of friendships are read",
		next.users.Position(), next.heads[0], next.friends.Position(), next.heads[1])
}

// wait returns once a graph is complete.
func (g *generations) wait(ctx context.Context) error {
	select {
	case <-g.complete:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run makes generation after generation, until the context ends or one of them ends for
// another reason than a log that was replaced.
func (g *generations) run(ctx context.Context) error {
	for {
		next, err := g.begin(ctx)
		if err != nil {
			return err
		}
		g.next.Store(next)
		err = next.follow(ctx, func() { g.promote(next) })
		if !errors.Is(err, errReplaced) {
			return err
		}
		g.logger.Warn("a log is another one by now; the graph is made anew, and the old one answers until then", "error", err)
	}
}

// promote lets a complete generation answer.
func (g *generations) promote(next *generation) {
	g.live.Store(next)
	g.once.Do(func() { close(g.complete) })
	g.logger.Info("the graph is complete", "user", next.users.Position(), "friend", next.friends.Position())
}

// begin asks both services what there is, and puts a graph together that will follow them.
func (g *generations) begin(ctx context.Context) (*generation, error) {
	n := &generation{
		feeds: [2]*feed{newFeed(user.Category, g.userURL, g.logger), newFeed(friend.Category, g.feedURL, g.logger)},
		graph: recommendation.NewPublished(memory.New()),
	}
	// The end of friendships first: whoever they speak of is then before the end of users.
	for _, i := range []int{1, 0} {
		head, err := n.feeds[i].open(ctx)
		if err != nil {
			return nil, err
		}
		n.heads[i] = head.Position
	}
	n.users = n.feeds[0].project("users", n.graph.Users())
	n.friends = n.feeds[1].project("friends", n.graph.Friends())
	n.service = api.NewRecommendation(api.RecommendationConfig{ //nolint:contextcheck // a request has its own
		Config: g.config, Recommendations: n.graph, Follows: []api.Followed{
			{Name: user.Category, Lineage: n.feeds[0].known, Projection: n.users},
			{Name: friend.Category, Lineage: n.feeds[1].known, Projection: n.friends},
		},
	})
	return n, nil
}

// follow follows both feeds, and calls complete once the graph holds what they held when
// it was begun.
func (n *generation) follow(ctx context.Context, complete func()) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.users.Run(ctx) })
	group.Go(func() error { return n.friends.Run(ctx) })
	group.Go(func() error {
		// Why a runner stops is its own to say.
		if n.users.Wait(ctx, n.heads[0]) == nil && n.friends.Wait(ctx, n.heads[1]) == nil {
			complete()
		}
		return nil
	})
	return group.Wait()
}

// current returns the generation that answers, or that is made before the first one does;
// nil before there is any.
func (g *generations) current() *generation {
	if live := g.live.Load(); live != nil {
		return live
	}
	return g.next.Load()
}

// projections lists what is made from the logs, for the administration.
func (g *generations) projections() []api.Projected {
	one := g.current()
	if one == nil {
		return nil
	}
	return []api.Projected{
		{Name: "recommendation", Log: user.Category, Runner: one.users, Ahead: one.feeds[0].ahead},
		{Name: "recommendation", Log: friend.Category, Runner: one.friends, Ahead: one.feeds[1].ahead},
	}
}

// rebuild makes the graph that answers anew from the feeds.
func (g *generations) rebuild(ctx context.Context, progress func(done, total eventstore.Position)) error {
	one := g.live.Load()
	if one == nil {
		return g.behind()
	}
	return one.graph.Rebuild(ctx, memory.New(), recommendation.Followers{Users: one.users, Friends: one.friends}, progress)
}
