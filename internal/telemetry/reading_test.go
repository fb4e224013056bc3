package telemetry

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestNamesAreSpringsWhereSpringHasOne(t *testing.T) {
	m := NewMetrics()
	status := 200
	serve(answering(m, "user-service", "/v1/users", &status), http.MethodGet)
	names, err := m.Names("user-service")
	if err != nil || !slices.IsSorted(names) {
		t.Fatalf("%v, %v", names, err)
	}
	for _, want := range []string{"http.server.requests", "process.uptime", "system.cpu.count", "go_goroutines"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in %v", want, names)
		}
	}
	for _, name := range names {
		if strings.HasPrefix(name, "jvm") || name == "http_server_requests_seconds_max" {
			t.Errorf("there is %s", name)
		}
	}
	others, err := m.Names("friend-service")
	if err != nil || slices.Contains(others, "http.server.requests") {
		t.Errorf("a service without requests has them: %v, %v", others, err)
	}
}

// measuredRequests returns metrics of two services: three requests of one, one of
// which failed, and one of the other.
func measuredRequests() *Metrics {
	m := NewMetrics()
	status := 200
	users := answering(m, "user-service", "/v1/users", &status)
	serve(users, http.MethodGet)
	serve(users, http.MethodPost)
	serve(answering(m, "friend-service", "/v1/friends", &status), http.MethodGet)
	status = 503
	serve(users, http.MethodGet)
	return m
}

func TestReadingRequestsAsSpringTellsThem(t *testing.T) {
	m := measuredRequests()
	for _, c := range []struct {
		tags  []Tag
		count float64 // 0: there is no such metric
		left  []string
	}{
		{nil, 3, []string{"application", "environment", "exception", "method", "outcome", "status", "uri"}},
		{[]Tag{{"status", "200"}}, 2, []string{"application", "environment", "exception", "method", "outcome", "uri"}},
		{[]Tag{{"status", "200"}, {"method", "POST"}}, 1, []string{"application", "environment", "exception", "outcome", "uri"}},
		{[]Tag{{"uri", "/v1/friends"}}, 0, nil}, // of another service
		{[]Tag{{"status", "200"}, {"status", "503"}}, 0, nil},
		{[]Tag{{"colour", "red"}}, 0, nil},
	} {
		r, found, err := m.Read("user-service", "http.server.requests", c.tags)
		if err != nil || found != (c.count > 0) {
			t.Fatalf("%v: found %v, %v", c.tags, found, err)
		}
		if !found {
			continue
		}
		var tags []string
		for _, tag := range r.AvailableTags {
			tags = append(tags, tag.Tag)
		}
		if d := cmp.Diff(c.left, tags); d != "" {
			t.Errorf("%v: tags %s", c.tags, d)
		}
		statistics := []string{}
		for _, one := range r.Measurements {
			statistics = append(statistics, one.Statistic)
		}
		if d := cmp.Diff([]string{"COUNT", "TOTAL_TIME", "MAX"}, statistics); d != "" || r.Measurements[0].Value != c.count || r.BaseUnit != "seconds" {
			t.Errorf("%v: %+v", c.tags, r)
		}
		if total, longest := r.Measurements[1].Value, r.Measurements[2].Value; total < 0 || longest > total+1e-6*c.count {
			t.Errorf("the longest took %v of %v", longest, total)
		}
	}
}

func TestEveryKindOfMetricCanBeRead(t *testing.T) {
	m := NewMetrics()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "things_total", Help: "Things."}, []string{"kind"})
	counter.WithLabelValues("a").Add(3)
	counter.WithLabelValues("b").Add(4)
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "wal_bytes", Help: "Size."})
	gauge.Set(12)
	events := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "batch_events", Help: "Events."})
	events.Observe(5)
	events.Observe(7)
	unknown := prometheus.NewGauge(prometheus.GaugeOpts{Name: "lag", Help: "Unknown."})
	unknown.Set(math.NaN())
	m.Registry().MustRegister(counter, gauge, events, unknown)
	for name, want := range map[string]string{
		"things_total": `{"name":"things_total","description":"Things.","measurements":[{"statistic":"COUNT","value":7}],"availableTags":[{"tag":"kind","values":["a","b"]}]}`,
		"wal_bytes":    `{"name":"wal_bytes","description":"Size.","baseUnit":"bytes","measurements":[{"statistic":"VALUE","value":12}],"availableTags":[]}`,
		"batch_events": `{"name":"batch_events","description":"Events.","measurements":[{"statistic":"COUNT","value":2},{"statistic":"TOTAL","value":12}],"availableTags":[]}`,
		"lag":          `{"name":"lag","description":"Unknown.","measurements":[],"availableTags":[]}`,
	} {
		r, found, err := m.Read("s", name, nil)
		if err != nil || !found {
			t.Fatalf("%s: found %v, %v", name, found, err)
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, string(text)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if _, found, err := m.Read("s", "nothing", nil); found || err != nil {
		t.Errorf("what is not there was found, %v", err)
	}
}

func TestEveryNameCanBeRead(t *testing.T) {
	m := measuredRequests()
	names, err := m.Names("user-service")
	if err != nil || len(names) < 20 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		r, found, err := m.Read("user-service", name, nil)
		if err != nil || !found || r.Description == "" {
			t.Errorf("%s: %+v, %v, %v", name, r, found, err)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
