package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

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
	graphs   graphs
	shared   bool // there is one graph for all generations, in a database, and others use it, too
	follow   follow
	logger   *slog.Logger
	waiting  *api.Service // answers before there is a graph
	complete chan struct{}
	once     sync.Once
	doubt    chan chan error // somebody wants another graph, and is told when it is complete
	told     chan error      // who that is; only run knows

	live, next atomic.Pointer[generation] // the one that answers, the one that is made
}

// follow has a new graph fed from both logs, of users and of friendships. It asks until it
// is told what there is.
//
// Errors: the context's, and what can't be put right by asking again.
type follow func(context.Context, *recommendation.Service) ([2]*tracked, error)

// tracked is a log that a graph is made from, wherever its events come from.
type tracked struct {
	name string
	// run follows the log until the context ends. Errors: errReplaced; what a person has to
	// look at.
	run func(context.Context) error
	// whole returns once everything is in that was there when following began.
	whole func(context.Context) error
	// lacks says what is not in yet, of that.
	lacks    func() string
	position func() eventstore.Position
	wait     func(context.Context, eventstore.Position) error
	lineage  func() eventstore.Lineage
	afar     func(context.Context) (api.Distance, error)
	// named says whether what is followed knows positions. Nil: it does.
	named func() bool
	// runner is what feeds the graph, if that is one projection; nil otherwise.
	runner *projection.Runner
}

// generation is a graph made from two logs.
type generation struct {
	logs    [2]*tracked // of users, of friendships
	graph   *recommendation.Service
	service *api.Service // nil before it is whole
}

// newGenerations returns generations of which none is begun.
func newGenerations(p *process, graphs graphs, follow follow) *generations {
	g := &generations{
		config: p.config("recommendation-service"), graphs: graphs, follow: follow, logger: p.logger, complete: make(chan struct{}),
		doubt: make(chan chan error),
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
	if live := g.live.Load(); live != nil {
		live.service.EndStreams()
	}
}

// behind returns nil once a graph is complete, and before how far it is.
func (g *generations) behind() error {
	if g.live.Load() != nil {
		return nil
	}
	next := g.next.Load()
	if next == nil {
		return errors.New("it is not known yet what there is")
	}
	return fmt.Errorf("%s, and %s", next.logs[0].lacks(), next.logs[1].lacks())
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
// another reason than a log that was replaced, or a database that was emptied.
func (g *generations) run(ctx context.Context) error {
	for replaced := false; ; {
		backend, err := g.graphs(ctx, replaced)
		if err != nil {
			return err
		}
		next := &generation{graph: recommendation.NewPublished(backend)}
		if next.logs, err = g.follow(ctx, next.graph); err != nil {
			return err
		}
		g.next.Store(next)
		err = next.run(ctx, func(ctx context.Context) error {
			g.promote(next) //nolint:contextcheck // a request has its own
			return g.doubted(ctx)
		})
		replaced = errors.Is(err, errReplaced)
		switch {
		case errors.Is(err, errDoubted):
			g.logger.Info("the graph is made anew, and the old one answers until then")
			continue
		case !replaced && !errors.Is(err, recommendation.ErrEmptied):
			return err
		}
		if g.shared {
			g.live.Store(nil) // it is the same graph, and not whole before it is made anew
		}
		g.logger.Warn("the graph is made anew; an old one in memory answers until then", "because", err)
	}
}

// errDoubted ends a generation that somebody wants to be made anew.
var errDoubted = errors.New("the graph is to be made anew")

// doubted returns when somebody wants the graph made anew, or with the context; who waited
// for this one is told that it answers.
func (g *generations) doubted(ctx context.Context) error {
	if told := g.told; told != nil {
		g.told = nil
		told <- nil
	}
	select {
	case g.told = <-g.doubt:
		return errDoubted
	case <-ctx.Done():
		return nil
	}
}

// anew has another graph made from the first event on, and returns once it answers.
//
// Errors: the context's: it is made all the same.
func (g *generations) anew(ctx context.Context, progress func(done, total eventstore.Position)) error {
	told := make(chan error, 1)
	select {
	case g.doubt <- told:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		select {
		case err := <-told:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
			if next := g.next.Load(); next != nil {
				live := g.live.Load()
				progress(next.logs[0].position()+next.logs[1].position(), live.logs[0].position()+live.logs[1].position())
			}
		}
	}
}

// promote lets a complete generation answer.
func (g *generations) promote(next *generation) {
	c := api.RecommendationConfig{Config: g.config, Recommendations: next.graph}
	for _, l := range next.logs {
		if l.named != nil && !l.named() {
			c.Follows = nil // answers can't say what they contain
			break
		}
		c.Follows = append(c.Follows, api.Followed{Name: l.name, Lineage: l.lineage, Position: l.position, Wait: l.wait})
	}
	next.service = api.NewRecommendation(c)
	g.live.Store(next)
	g.once.Do(func() { close(g.complete) })
	g.logger.Info("the graph is complete", "user", next.logs[0].position(), "friend", next.logs[1].position())
}

// run follows both logs, and calls complete once the graph holds what they held when it
// was begun.
func (n *generation) run(ctx context.Context, complete func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range n.logs {
		group.Go(func() error { return l.run(ctx) })
	}
	group.Go(func() error {
		// Why one of them stops is its own to say.
		if n.logs[0].whole(ctx) == nil && n.logs[1].whole(ctx) == nil {
			return complete(ctx)
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
		return []api.Projected{}
	}
	var list []api.Projected
	for _, l := range one.logs {
		list = append(list, api.Projected{Name: "recommendation", Log: l.name, Afar: l.afar})
	}
	return list
}

// errEmptyIt means that a graph is not this process's alone to make anew.
var errEmptyIt = errors.New("a graph in a database is made anew when somebody empties it (MATCH (n) DETACH DELETE n)")

// rebuild makes the graph that answers anew.
func (g *generations) rebuild(ctx context.Context, progress func(done, total eventstore.Position)) error {
	one := g.live.Load()
	if one == nil {
		return g.behind()
	}
	if g.shared {
		return errEmptyIt
	}
	from := recommendation.Followers{Users: one.logs[0].runner, Friends: one.logs[1].runner}
	if from.Users == nil || from.Friends == nil {
		return g.anew(ctx, progress)
	}
	return one.graph.Rebuild(ctx, memory.New(), from, progress)
}

// sources are the services whose feeds are followed.
type sources struct {
	users, friends string // their addresses
	logger         *slog.Logger
}

// follow is that of [generations]: it follows both feeds.
func (s sources) follow(ctx context.Context, graph *recommendation.Service) (logs [2]*tracked, err error) {
	users, friends := newFeed(user.Category, s.users, s.logger), newFeed(friend.Category, s.friends, s.logger)
	// The end of friendships first: whoever they speak of is then before the end of users.
	if logs[1], err = friends.track(ctx, graph.Friends()); err != nil {
		return logs, err
	}
	logs[0], err = users.track(ctx, graph.Users())
	return logs, err
}

// track follows the feed into a projection, from the first event on.
func (f *feed) track(ctx context.Context, to projection.Projection) (*tracked, error) {
	head, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	r := projection.New(f.name+"s", f.source, to, 0)
	return &tracked{
		name: f.name, run: r.Run, position: r.Position, wait: r.Wait, lineage: f.known, runner: r,
		whole: func(ctx context.Context) error { return r.Wait(ctx, head.Position) },
		lacks: func() string {
			return fmt.Sprintf("%d of %d events of %ss are read", min(r.Position(), head.Position), head.Position, f.name)
		},
		afar: func(ctx context.Context) (d api.Distance, err error) {
			d.Position = r.Position()
			d.Head, d.Missing, err = f.ahead(ctx, d.Position)
			return d, errors.Join(err, r.Err())
		},
	}, nil
}
