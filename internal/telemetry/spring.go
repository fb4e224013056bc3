package telemetry

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// requestKind is what requests have in common that are counted together.
type requestKind struct {
	service, method, route string
	status                 int
}

// observed is what is measured of one kind of requests.
type observed struct {
	kind      requestKind
	durations prometheus.Observer
	longest   recentMax
}

// observed returns where requests of a kind are counted, always the same.
func (m *Metrics) observed(kind requestKind) *observed {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.seen[kind]
	if o == nil {
		o = &observed{kind: kind, durations: m.requests.WithLabelValues(
			kind.service, kind.method, kind.route, strconv.Itoa(kind.status))}
		m.seen[kind] = o
	}
	return o
}

// all returns every kind of requests that was seen.
func (m *Metrics) all() []*observed {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]*observed, 0, len(m.seen))
	for _, o := range m.seen {
		list = append(list, o)
	}
	return list
}

// recentMax is the longest duration of this minute and the last. It is exact, and
// costs a request one atomic load unless it is the longest so far.
type recentMax struct {
	// Of the even and the odd minutes, each with its minute in front, so that one
	// comparison settles both: a later minute beats every earlier one.
	minutes [2]atomic.Uint64
}

const (
	maxBits   = 38 // of microseconds: three days
	maxMicros = 1<<maxBits - 1
)

// observe takes in a duration that ended at a time.
//
//	bit 63             38 37                    0
//	    ┌────────────────┬──────────────────────┐
//	    │ minute         │ microseconds         │
//	    └────────────────┴──────────────────────┘
//
// Two requests that end at once both try; the shorter one finds the longer one there
// and leaves it. A request of an earlier minute, late by a descheduled goroutine, finds
// a greater word there and is dropped.
func (m *recentMax) observe(end time.Time, took time.Duration) {
	minute := end.Unix() / 60
	packed := uint64(minute)<<maxBits | uint64(min(max(took.Microseconds(), 0), maxMicros))
	slot := &m.minutes[minute&1]
	for {
		old := slot.Load()
		if old >= packed || slot.CompareAndSwap(old, packed) {
			return
		}
	}
}

// seconds returns the longest duration of the minute of now and the one before.
func (m *recentMax) seconds(now time.Time) float64 {
	var longest uint64
	for i := range m.minutes {
		packed := m.minutes[i].Load()
		if int64(packed>>maxBits) >= now.Unix()/60-1 {
			longest = max(longest, packed&maxMicros)
		}
	}
	return float64(longest) / 1e6
}

// springRequests shows the requests under the names that the dashboards of a Spring
// system ask for. Nothing is counted twice for it: it reads the histograms.
type springRequests struct{ metrics *Metrics }

// labels of the requests, as Spring has them.
func (s springRequests) describe(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help,
		[]string{"application", "environment", "method", "uri", "status", "outcome", "exception"}, nil)
}

// durations is the metric with count and sum.
func (s springRequests) durations() *prometheus.Desc {
	return s.describe("http_server_requests_seconds", "Duration of HTTP requests, by Spring's names.")
}

// longest is the metric of the longest.
func (s springRequests) longest() *prometheus.Desc {
	return s.describe("http_server_requests_seconds_max", "Longest HTTP request of this minute and the last, by Spring's names.")
}

// Describe implements prometheus.Collector.
func (s springRequests) Describe(to chan<- *prometheus.Desc) {
	to <- s.durations()
	to <- s.longest()
}

// Collect implements prometheus.Collector.
func (s springRequests) Collect(to chan<- prometheus.Metric) {
	now, durations, longest := time.Now(), s.durations(), s.longest()
	for _, o := range s.metrics.all() {
		var found dto.Metric
		histogram, ok := o.durations.(prometheus.Metric)
		if !ok || histogram.Write(&found) != nil {
			continue
		}
		// Spring's exception is the name of a Java class; here there is none.
		labels := []string{
			o.kind.service, s.metrics.environment, o.kind.method, o.kind.route, strconv.Itoa(o.kind.status),
			outcome(o.kind.status), "None",
		}
		to <- prometheus.MustNewConstSummary(durations,
			found.GetHistogram().GetSampleCount(), found.GetHistogram().GetSampleSum(), nil, labels...)
		to <- prometheus.MustNewConstMetric(longest, prometheus.GaugeValue, o.longest.seconds(now), labels...)
	}
}

// outcome says what a status means, in Spring's words.
func outcome(status int) string {
	switch status / 100 {
	case 1:
		return "INFORMATIONAL"
	case 2:
		return "SUCCESS"
	case 3:
		return "REDIRECTION"
	case 4:
		return "CLIENT_ERROR"
	case 5:
		return "SERVER_ERROR"
	}
	return "UNKNOWN"
}
