package telemetry

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is what is measured in one process.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
}

// NewMetrics returns metrics with the duration of requests, the process and the
// Go runtime in them.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_server_request_duration_seconds",
			Help:    "Duration of HTTP requests, from the first header to the last byte.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"application", "http_request_method", "http_route", "http_response_status_code"}),
	}
	m.registry.MustRegister(m.requests, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Registry returns where other packages' collectors are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Handler serves the metrics in the text format of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
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
			r.observe(req.Method, sw.status, time.Since(start))
			sw.ResponseWriter = nil
			statusWriters.Put(sw)
		}()
		next.ServeHTTP(sw, req)
	})
}

// measured is one route with its histograms, found once for each method and
// status.
type measured struct {
	metrics        *Metrics
	service, route string
	observers      sync.Map // of observerKey → prometheus.Observer
}

// observerKey tells the histograms of a route apart.
type observerKey struct {
	method string
	status int
}

// observe adds one request to the histogram of its method and status.
func (r *measured) observe(method string, status int, took time.Duration) {
	key := observerKey{method: knownMethod(method), status: status}
	o, ok := r.observers.Load(key)
	if !ok {
		o = r.metrics.requests.WithLabelValues(r.service, key.method, r.route, strconv.Itoa(status))
		r.observers.Store(key, o)
	}
	o.(prometheus.Observer).Observe(took.Seconds()) //nolint:forcetypeassert // the map holds nothing else
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
