package edge

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ensemble/wire"
)

// textType is the media type of probes, which people read.
const textType = "text/plain; charset=utf-8"

// routes is the table of what the gateway answers about itself.
func (g *gateway) routes() map[string]http.HandlerFunc {
	routes := map[string]http.HandlerFunc{
		"/actuator/health":           g.health,
		"/actuator/health/liveness":  g.liveness,
		"/actuator/health/readiness": g.readiness,
		"/actuator/info":             g.info,
		"/livez":                     g.livez,
		"/readyz":                    g.readyz,
		"/healthz":                   g.readyz,
	}
	if g.config.Metrics != nil {
		routes["/metrics"] = g.config.Metrics.Handler("edge-service").ServeHTTP
	}
	return routes
}

// answer deals with a path that belongs to no service.
func (g *gateway) answer(w http.ResponseWriter, r *http.Request) {
	w.Header()["X-Request-Id"] = r.Header["X-Request-Id"]
	path := r.URL.Path
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	if g.config.Docs != nil && isDocs(path) {
		g.config.Docs.ServeHTTP(w, r)
		return
	}
	handler, found := g.own[path]
	if !found {
		problem(w, r, wire.NotFound, "No service has this path. Services are at "+g.prefixes()+"; /docs shows what they answer.")
		return
	}
	g.onlyGet(w, r, handler)
}

// prefixes lists where services are, to help somebody who has mistyped one.
func (g *gateway) prefixes() string {
	prefixes := make([]string, len(g.config.Services))
	for i, s := range g.config.Services {
		prefixes[i] = s.Prefix
	}
	return strings.Join(prefixes, ", ")
}

// onlyGet answers the methods that the gateway's own routes know.
func (*gateway) onlyGet(w http.ResponseWriter, r *http.Request, handler http.HandlerFunc) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		handler(w, r)
	case http.MethodOptions:
		w.Header()["Allow"] = []string{"GET, HEAD, OPTIONS"}
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header()["Allow"] = []string{"GET, HEAD, OPTIONS"}
		problem(w, r, wire.MethodNotAllowed, "")
	}
}

// components returns the health of the gateway and of each service.
func (g *gateway) components(ctx context.Context) []wire.Component {
	components := []wire.Component{{Name: "gateway", Up: g.up(ctx, "gateway", g.config.Health.Ready)}}
	for _, s := range g.config.Services {
		name := strings.TrimPrefix(s.Prefix, "/")
		components = append(components, wire.Component{Name: name, Up: s.Ready == nil || g.up(ctx, name, s.Ready)})
	}
	return components
}

// up asks one component. Why it is down is for the log: strangers read the answer.
func (g *gateway) up(ctx context.Context, name string, ready func(context.Context) error) bool {
	err := ready(ctx)
	if err != nil {
		g.config.Log.WarnContext(ctx, "a component is down", "component", name, "error", err)
	}
	return err == nil
}

// health answers with the gateway and each service behind it.
func (g *gateway) health(w http.ResponseWriter, r *http.Request) {
	body, up := wire.AppendHealth(nil, g.components(r.Context()))
	reply(w, r, statusOf(up), wire.HealthType, body)
}

// liveness says UP as long as anything can be said. Restarting the gateway would
// repair no service.
func (*gateway) liveness(w http.ResponseWriter, r *http.Request) {
	reply(w, r, http.StatusOK, wire.HealthType, wire.AppendGroup(nil, true))
}

// readiness sums up the components.
func (g *gateway) readiness(w http.ResponseWriter, r *http.Request) {
	_, up := wire.AppendHealth(nil, g.components(r.Context()))
	reply(w, r, statusOf(up), wire.HealthType, wire.AppendGroup(nil, up))
}

// info says which build answers.
func (g *gateway) info(w http.ResponseWriter, r *http.Request) {
	reply(w, r, http.StatusOK, wire.HealthType, wire.AppendInfo(nil, "edge-service", g.config.Version))
}

// livez is liveness for those who read only the status.
func (*gateway) livez(w http.ResponseWriter, r *http.Request) {
	reply(w, r, http.StatusOK, textType, []byte("ok\n"))
}

// readyz is readiness for those who read only the status.
func (g *gateway) readyz(w http.ResponseWriter, r *http.Request) {
	body, up := wire.AppendReadiness(nil, g.components(r.Context()), r.URL.Query().Has("verbose"))
	reply(w, r, statusOf(up), textType, body)
}

// problem answers with a problem of the gateway's own.
func problem(w http.ResponseWriter, r *http.Request, slug wire.Slug, detail string) {
	problemAt(w, r, slug, detail, "")
}

// problemAt answers with a problem about a path from which a prefix was cut off.
func problemAt(w http.ResponseWriter, r *http.Request, slug wire.Slug, detail, prefix string) {
	path := r.URL.EscapedPath()
	id := r.Header.Get("X-Request-Id")
	w.Header()["X-Request-Id"] = []string{id}
	p := wire.NewProblem(slug, detail, wire.Occasion{Instance: prefix + path, Path: path, RequestID: id, Time: time.Now()})
	reply(w, r, p.Status, wire.ProblemType, wire.AppendProblem(nil, &p))
}

// reply sends a whole body. Its length is always known, so a connection that breaks
// halfway can't be mistaken for the end.
func reply(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	w.Header()["Content-Type"] = []string{mediaType}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// If the client has gone, nobody is left to tell.
		_, _ = w.Write(body) //nolint:gosec // never HTML, and what came from the client is escaped
	}
}

// statusOf returns the status with which a health is answered.
func statusOf(up bool) int {
	if up {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}
