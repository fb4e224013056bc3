package edge

import (
	"context"
	"crypto/rand"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// Config is what a gateway works with.
type Config struct {
	// Services are what the gateway stands in front of.
	Services []Service
	// Health knows whether the gateway itself can do its work. Nil: it always
	// can.
	Health *telemetry.Health
	// Metrics measures requests and answers /metrics. Nil: no such route.
	Metrics *telemetry.Metrics
	// Docs answers /openapi.json, /docs and /problems. Nil: nothing does.
	Docs http.Handler
	// Version is shown by /actuator/info.
	Version string
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Service is one service behind the gateway.
type Service struct {
	Prefix  string                      // "/user"
	Handler http.Handler                // sees paths without the prefix
	Ready   func(context.Context) error // nil while the service can do its work
}

// gateway is the handler that New returns.
type gateway struct {
	config Config
	cut    [][]string                  // the services' prefixes, each as a header that nobody changes
	own    map[string]http.HandlerFunc // by path
}

// New returns a gateway.
func New(c Config) http.Handler {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Health == nil {
		c.Health = new(telemetry.Health)
	}
	g := &gateway{config: c}
	for _, s := range c.Services {
		g.cut = append(g.cut, []string{s.Prefix})
	}
	g.own = g.routes()
	if c.Metrics == nil {
		return g
	}
	return c.Metrics.Instrument("edge-service", "gateway", g)
}

// ServeHTTP implements http.Handler.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	for i := range g.config.Services {
		rest, found := strings.CutPrefix(path, g.config.Services[i].Prefix)
		// /users is not /user: a prefix ends at a slash or with the path.
		if found && (rest == "" || rest[0] == '/') {
			g.forward(i, rest, w, r)
			return
		}
	}
	g.answer(w, marked(r, nil))
}

// forward hands a request to the service with an index.
func (g *gateway) forward(i int, rest string, w http.ResponseWriter, r *http.Request) {
	s := &g.config.Services[i]
	decoded := strings.TrimPrefix(r.URL.Path, s.Prefix)
	if isPrivate(decoded) {
		problem(w, marked(r, nil), wire.NotFound, "The gateway passes on only health and info of what a service says about itself. "+
			"Ask the service on its own port.")
		return
	}
	if rest == "" {
		rest, decoded = "/", "/"
	}
	inner := marked(r, g.cut[i])
	// Services match the escaped path, so it has to lose the prefix as well.
	inner.URL.Path, inner.URL.RawPath = decoded, ""
	if r.URL.RawPath != "" {
		inner.URL.RawPath = rest
	}
	s.Handler.ServeHTTP(w, inner)
}

// isPrivate says whether a path of a service stays behind the gateway. It looks
// at the decoded path, so that no spelling gets through.
func isPrivate(path string) bool {
	path = strings.TrimSuffix(path, "/")
	switch path {
	case "/metrics", "/livez", "/readyz", "/healthz":
		return true
	case "/actuator/health", "/actuator/info":
		return false
	}
	return path == "/actuator" || isDocs(path) ||
		strings.HasPrefix(path, "/actuator/") && !strings.HasPrefix(path, "/actuator/health/")
}

// isDocs says whether a path is about the documentation: the gateway has its own,
// of all services.
func isDocs(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	return first == "openapi.json" || first == "docs" || first == "problems"
}

// marked returns the request with the gateway's marks: one X-Request-Id, and the
// prefix that was cut off, if one was. Its URL may be changed. The original stays as
// it is, as an http.Handler has to leave it.
func marked(r *http.Request, prefix []string) *http.Request {
	both := &struct { // allocated together
		request http.Request
		url     url.URL
	}{*r, *r.URL}
	changed := &both.request
	changed.URL = &both.url
	// A shallow copy is enough: values are replaced, never changed.
	changed.Header = make(http.Header, len(r.Header)+2)
	maps.Copy(changed.Header, r.Header)
	delete(changed.Header, "X-Forwarded-Prefix")
	if prefix != nil {
		changed.Header["X-Forwarded-Prefix"] = prefix
	}
	if id := changed.Header["X-Request-Id"]; len(id) != 1 || !validID(id[0]) {
		changed.Header["X-Request-Id"] = []string{rand.Text()}
	}
	return changed
}

// validID says whether a request id may travel on: 1 to 128 visible ASCII
// characters.
func validID(id string) bool {
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return id != "" && len(id) <= 128
}
