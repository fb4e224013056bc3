package api

import (
	"context"
	"net/http"

	"ensemble/eventstore"
	"ensemble/wire"
)

// textType is the media type of probes, which people read.
const textType = "text/plain; charset=utf-8"

// healthRoutes is the table of what every service answers about itself.
func (s *Service) healthRoutes() []route {
	routes := []route{
		{http.MethodGet, "/actuator/health", "health", s.health},
		{http.MethodGet, "/actuator/health/liveness", "liveness", s.liveness},
		{http.MethodGet, "/actuator/health/readiness", "readiness", s.readiness},
		{http.MethodGet, "/actuator/info", "info", s.info},
		{http.MethodGet, "/livez", "livez", s.livez},
		{http.MethodGet, "/readyz", "readyz", s.readyz},
		{http.MethodGet, "/healthz", "healthz", s.readyz},
	}
	if s.config.Metrics == nil {
		return routes
	}
	scrape := s.config.Metrics.Handler(s.config.Name)
	metrics := func(r *request) error {
		r.status = http.StatusOK
		scrape.ServeHTTP(r.w, r.Request)
		return nil
	}
	return append(routes,
		route{http.MethodGet, "/metrics", "metrics", metrics},
		route{http.MethodGet, "/actuator/prometheus", "prometheus", metrics},
		route{http.MethodGet, "/actuator/metrics", "metricNames", s.metricNames},
		route{http.MethodGet, "/actuator/metrics/{metric}", "metric", s.metric})
}

// Health returns the components of the service's health.
func (s *Service) components(ctx context.Context) []wire.Component {
	if s.config.Health.Draining() {
		return []wire.Component{{Name: "serving"}}
	}
	components := []wire.Component{{Name: "serving", Up: true}}
	for _, check := range s.config.Health.Checks(ctx) {
		if check.Err != nil {
			s.config.Log.WarnContext(ctx, "a component is down", "component", check.Name, "error", check.Err)
		}
		components = append(components, wire.Component{Name: check.Name, Up: check.Err == nil, Optional: check.Optional})
	}
	return components
}

// health answers with every component. Like the Spring system it says DOWN with
// 503, so that load balancers need not read the body.
func (s *Service) health(r *request) error {
	var up bool
	r.out, up = wire.AppendHealth(r.out, s.components(r.Context()))
	return r.reply(statusOf(up), wire.HealthType, r.out)
}

// liveness says UP as long as anything can be said: a process whose log has
// stopped is ended by its owner, not by a probe that restarts it in a loop.
func (s *Service) liveness(r *request) error {
	r.out = wire.AppendGroup(r.out, true)
	return r.reply(http.StatusOK, wire.HealthType, r.out)
}

// readiness sums up the components: whether requests should be sent here.
func (s *Service) readiness(r *request) error {
	_, up := wire.AppendHealth(nil, s.components(r.Context()))
	r.out = wire.AppendGroup(r.out, up)
	return r.reply(statusOf(up), wire.HealthType, r.out)
}

// info says which build answers.
func (s *Service) info(r *request) error {
	r.out = wire.AppendInfo(r.out, s.config.Name, s.config.Version)
	return r.reply(http.StatusOK, wire.HealthType, r.out)
}

// livez is liveness for those who read only the status.
func (*Service) livez(r *request) error {
	r.out = append(r.out, "ok\n"...)
	return r.reply(http.StatusOK, textType, r.out)
}

// readyz is readiness for those who read only the status. With verbose it has a
// line for each component; the reasons are in the log, where no stranger reads.
func (s *Service) readyz(r *request) error {
	_, verbose := r.param("verbose")
	var up bool
	r.out, up = wire.AppendReadiness(r.out, s.components(r.Context()), verbose > 0)
	return r.reply(statusOf(up), textType, r.out)
}

// statusOf returns the status with which a health is answered.
func statusOf(up bool) int {
	if up {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// logWorks is the check of a service that owns a log: that it takes writes and
// can be read.
func logWorks(store *eventstore.Store) func(context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-store.Done():
			if err := store.Err(); err != nil {
				return err
			}
			return eventstore.ErrClosed
		default:
		}
		_, err := store.Head(ctx)
		return err
	}
}

// NewHealth returns a service with nothing but its health and metrics.
func NewHealth(c Config) *Service { return newService(c).with(nil) }
