package telemetry

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what is measured in one process.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.HistogramVec
	environment string

	mu   sync.Mutex
	seen map[requestKind]*observed
}

// NewMetrics returns metrics with the duration of requests and the Go runtime in
// them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry:    prometheus.NewRegistry(),
		environment: "development",
		seen:        map[requestKind]*observed{},
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Duration of HTTP requests, from the first header to the last byte.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"application", "http_request_method", "http_route", "http_response_status_code"}),
	}
	m.registry.MustRegister(m.requests, springRequests{m}, collectors.NewGoCollector())
	return m
}

// SetEnvironment says which label "environment" the metrics of Spring's names get.
// Call it before anything is served; it is "development" without.
func (m *Metrics) SetEnvironment(name string) { m.environment = name }

// Registry returns where other packages' collectors are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics in the text format of Prometheus. Those of the process
// have the label application: each service says them of itself, as it would in a
// process of its own.
func (m *Metrics) Handler(application string) http.Handler {
	handler := sync.OnceValue(func() http.Handler {
		return promhttp.HandlerFor(m.gatherer(application), promhttp.HandlerOpts{})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler().ServeHTTP(w, r) })
}

// gatherer returns everything that is measured, seen by an application.
func (m *Metrics) gatherer(application string) prometheus.Gatherer {
	own := prometheus.NewRegistry()
	labels := prometheus.Labels{"application": application, "environment": m.environment}
	prometheus.WrapRegistererWith(labels, own).MustRegister(newProcess(procFolder)...)
	return prometheus.Gatherers{m.registry, own}
}

// Instrument measures the requests of a handler. route is the pattern, never the
// path: a metric for each user would have no end.
func (m *Metrics) Instrument(service, route string, next http.Handler) http.Handler {
	r := &measured{metrics: m, service: service, route: route}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		start := time.Now()
		sw := statusWriters.Get().(*statusWriter) //nolint:forcetypeassert // the pool holds nothing else
		*sw = statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			took := time.Since(start)
			r.observe(req.Method, sw.status, took, start.Add(took))
			sw.ResponseWriter = nil
			statusWriters.Put(sw)
		}()
		next.ServeHTTP(sw, req)
	})
}

// measured is one route with what is measured of it, found once for each method
// and status.
type measured struct {
	metrics        *Metrics
	service, route string
	observed       sync.Map // of observedKey → *observed
}

// observedKey tells the requests of a route apart.
type observedKey struct {
	method string
	status int
}

// observe adds one request to those of its method and status.
func (r *measured) observe(method string, status int, took time.Duration, end time.Time) {
	key := observedKey{method: knownMethod(method), status: status}
	o, ok := r.observed.Load(key)
	if !ok {
		o = r.metrics.observed(requestKind{r.service, key.method, r.route, status})
		r.observed.Store(key, o)
	}
	one := o.(*observed) //nolint:forcetypeassert // the map holds nothing else
	one.durations.Observe(took.Seconds())
	one.longest.observe(end, took)
}

// knownMethod bounds how many label values clients can make up.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "_OTHER"
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

//nolint:gochecknoglobals // a pool is shared by nature
var statusWriters = sync.Pool{New: func() any { return new(statusWriter) }}

// WriteHeader implements [http.ResponseWriter].
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
