package main

import (
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
)

// scrape returns what the administration's port says of metrics.
func (r *running) scrape(path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.admin+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return string(text)
}

func TestARunningSystemMeasuresWhatTheDocumentationLists(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "data"), "--environment", "docker")
	for range 3 {
		if _, _, err := r.client().CreateUser(t.Context(), "Ada", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	text := r.scrape("/actuator/prometheus")
	for _, want := range []string{
		`ensemble_append_duration_seconds_count{log="user"} 3`,
		`ensemble_commit_duration_seconds_count{log="user"} 3`,
		`ensemble_commit_events_sum{log="user"} 3`,
		`ensemble_append_duration_seconds_count{log="friend"} 0`,
		`ensemble_stream_clients{log="friend"} 0`,
		`process_uptime_seconds{application="ensemble",environment="docker"} `,
		`environment="docker",exception="None",method="POST",outcome="SUCCESS",status="201",uri="/v1/users"} 3`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	for _, name := range []string{"ensemble_wal_bytes", "ensemble_projection_lag_events", "ensemble_projection_lag_seconds"} {
		if n := strings.Count(text, "\n"+name+"{"); n != 2 {
			t.Errorf("%d series of %s, there are two logs", n, name)
		}
	}
	documented := documentedMetrics(t)
	for name := range metricNames(text) {
		if strings.HasPrefix(name, "ensemble_") && !documented[name] {
			t.Errorf("%s is not in docs/metrics.md", name)
		}
	}
}

// metricNames returns the names in a page of metrics.
func metricNames(text string) map[string]bool {
	names := map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(text, -1) {
		names[found[1]] = true
	}
	return names
}

func TestTheLagInSecondsIsTheAgeOfTheOldestMissingEvent(t *testing.T) {
	log, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "user.db"), sqlite.Options{Log: discardLog()})
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: discardLog()})
	if err != nil {
		t.Fatal(err)
	}
	if lag := lagSeconds(0, store, time.Now()); lag != 0 {
		t.Errorf("an empty log: %v", lag)
	}
	for range 3 {
		_, err := store.Append(t.Context(), eventstore.Write{
			Stream: eventstore.Stream{Category: "user", ID: "1"}, Expected: eventstore.Any,
			Events: []eventstore.NewEvent{{Type: "A", Data: []byte("{}")}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	second, err := store.ReadAll(t.Context(), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[eventstore.Position]float64{1: 60, 3: 0, 4: 0} {
		if lag := lagSeconds(at, store, second[0].Time.Add(time.Minute)); lag != want {
			t.Errorf("behind from %d on: %v, want %v", at, lag, want)
		}
	}
	if lag := lagSeconds(0, store, second[0].Time.Add(-time.Hour)); lag != 0 {
		t.Errorf("a clock that was set back: %v", lag)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if lag := lagSeconds(0, store, time.Now()); !math.IsNaN(lag) {
		t.Errorf("a closed log is said to be %v behind", lag)
	}
}

func TestSpringsVariablesMakeTheMetricsBePushed(t *testing.T) {
	var mu sync.Mutex
	var pushed string
	came := make(chan struct{}, 1)
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		mu.Lock()
		pushed = r.Method + " " + r.URL.Path + "\n" + string(text)
		mu.Unlock()
		select {
		case came <- struct{}{}:
		default:
		}
	}))
	defer gateway.Close()
	t.Setenv("PROMETHEUS_URL", gateway.URL)
	t.Setenv("PROMETHEUS_PUSH_ENABLED", "true")
	r := start(t, filepath.Join(t.TempDir(), "data"))
	<-came
	if code := r.end(); code != 0 {
		t.Errorf("ended with %d: %s", code, r.stderr)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"PUT /metrics/job/ensemble", "ensemble_wal_bytes", "process_uptime_seconds"} {
		if !strings.Contains(pushed, want) {
			t.Errorf("%s was not pushed", want)
		}
	}
}

func TestAListenerMayBeClosedAgain(t *testing.T) {
	l, err := listen(t.Context(), "edge", "127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := l.Close(); err != nil {
			t.Errorf("it says %v", err)
		}
	}
	var config net.ListenConfig
	again, err := config.Listen(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the port was not given back: %v", err)
	}
	_ = again.Close()
}

// TestStoppingSaysNothingOfItsOwnClosing: a stop that was asked for is no error.
func TestStoppingSaysNothingOfItsOwnClosing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for i := range 20 {
		r := start(t, data, "--user-addr", "127.0.0.1:0", "--friend-addr", "127.0.0.1:0", "--log-level", "info")
		if code := r.end(); code != 0 {
			t.Fatalf("stop %s ended with %d: %s", strconv.Itoa(i), code, r.stderr)
		}
		for _, word := range []string{"closed network connection", "ERROR", "WARN"} {
			if strings.Contains(r.stderr.String(), word) {
				t.Fatalf("it said %s:\n%s", word, r.stderr)
			}
		}
	}
}
