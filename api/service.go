package api

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"

	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// Config is what every service needs.
type Config struct {
	// Name is the name of the service in its health and metrics, for instance
	// "user-service".
	Name string
	// Version is shown by /actuator/info.
	Version string
	// Health knows whether the service can do its work. Nil: it always can.
	Health *telemetry.Health
	// Metrics measures every request and answers /metrics. Nil: nothing is
	// measured and there is no such route.
	Metrics *telemetry.Metrics
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
	// Feed bounds the live streams of events.
	Feed FeedConfig
}

// Service answers the requests of one service. It is safe for concurrent use.
type Service struct {
	config   Config
	routes   []route
	handlers []http.Handler        // of the routes, measured
	other    http.Handler          // of requests without a route, measured
	docs     func() (*docs, error) // made when somebody asks for it first
	running  running
	requests sync.Pool // of *request

	sources   []source           // the logs that answers depend on
	waiting   chan struct{}      // one for each reader that waits for a position
	streaming chan struct{}      // one for each live stream
	live      context.Context    // ends when streams and waiting have to
	endLive   context.CancelFunc // ends it
}

// newService returns a service without routes.
func newService(c Config) *Service {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Health == nil {
		c.Health = new(telemetry.Health)
	}
	c.Feed.defaults()
	s := &Service{config: c, waiting: make(chan struct{}, maxWaiting), streaming: make(chan struct{}, c.Feed.Streams)}
	s.live, s.endLive = context.WithCancel(context.Background())
	s.requests.New = func() any { return new(request) }
	return s
}

// with gives the service its table of routes, to which the ones that all
// services have are added.
func (s *Service) with(routes []route) *Service {
	s.routes = slices.Concat(routes, s.healthRoutes(), s.docsRoutes())
	s.docs = sync.OnceValues(func() (*docs, error) {
		return newDocs(s.config.Name, s.config.Version, []section{{routes: s.routes}})
	})
	return s.serving()
}

// serving makes the service ready to answer its routes.
func (s *Service) serving() *Service {
	s.handlers = make([]http.Handler, len(s.routes))
	for i := range s.routes {
		s.handlers[i] = s.measured(&s.routes[i])
	}
	s.other = s.measured(&route{pattern: "/unknown", serve: s.unmatched})
	return s
}

// measured returns the handler of a route. It is measured by the pattern: a label
// for each path would be a time series for each user.
func (s *Service) measured(route *route) http.Handler {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.handle(route, w, r) //nolint:contextcheck // the request has it
	})
	if s.config.Metrics == nil {
		return handler
	}
	return s.config.Metrics.Instrument(s.config.Name, route.pattern, handler)
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if i := s.find(r.Method, r.URL.EscapedPath()); i >= 0 {
		s.handlers[i].ServeHTTP(w, r)
		return
	}
	s.other.ServeHTTP(w, r)
}

// handle answers a request whose route is known.
func (s *Service) handle(route *route, w http.ResponseWriter, httpRequest *http.Request) {
	r := s.requests.Get().(*request) //nolint:forcetypeassert // the pool holds nothing else
	r.begin(route, w, httpRequest)
	r.set("X-Request-Id", r.id)
	finished := false
	defer func() {
		if !finished {
			s.recover(r, recover())
		}
		r.end()
		s.requests.Put(r)
	}()
	if err := route.serve(r); err != nil {
		s.fail(r, err)
	}
	finished = true
}

// recover answers a request whose handler has panicked. What can't be answered
// any more is aborted, so that nobody takes a part for the whole.
func (s *Service) recover(r *request, cause any) {
	if cause == http.ErrAbortHandler { //nolint:errorlint // the value itself, as net/http compares it
		panic(cause)
	}
	s.config.Log.ErrorContext(r.Context(), "a handler panicked",
		"cause", cause, "route", r.route.pattern, "requestId", r.id, "stack", string(debug.Stack()))
	if r.status != 0 {
		panic(http.ErrAbortHandler)
	}
	s.problem(r, failure{slug: wire.Internal})
}
