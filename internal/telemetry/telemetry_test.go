package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLogsAreJSONWhereNobodyLooks(t *testing.T) {
	for _, format := range []Format{Auto, JSON, ""} {
		var b bytes.Buffer
		NewLogger(&b, LogOptions{Format: format}).Info("ready", "addr", "127.0.0.1:9000")
		var line map[string]any
		if err := json.Unmarshal(b.Bytes(), &line); err != nil || line["msg"] != "ready" || line["addr"] != "127.0.0.1:9000" {
			t.Errorf("%q: %s, %v", format, b.String(), err)
		}
	}
}

func TestTextHasNoColoursOutsideATerminal(t *testing.T) {
	var b bytes.Buffer
	NewLogger(&b, LogOptions{Format: Text}).Info("ready", "port", 9000)
	if got := b.String(); !strings.Contains(got, "INF ready port=9000") || strings.Contains(got, "\x1b[") {
		t.Errorf("got %q", got)
	}
}

func TestLinesBelowTheLevelAreDropped(t *testing.T) {
	var b bytes.Buffer
	log := NewLogger(&b, LogOptions{Level: slog.LevelWarn})
	log.Info("not this")
	log.Warn("this")
	if got := b.String(); strings.Contains(got, "not this") || !strings.Contains(got, `"msg":"this"`) {
		t.Errorf("got %s", got)
	}
}

// scrape returns the lines of /metrics that hold a text.
func scrape(t *testing.T, m *Metrics, text string) (lines []string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler("ensemble").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, text) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func serve(h http.Handler, method string) {
	defer func() { _ = recover() }()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/v1/users/7", nil))
}

func TestRequestsAreMeasuredByRouteMethodAndStatus(t *testing.T) {
	m := NewMetrics()
	status := 200
	h := m.Instrument("user-service", "/v1/users/{id}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status != 200 {
			w.WriteHeader(status)
		}
	}))
	for range 3 {
		serve(h, http.MethodGet)
	}
	status = 404
	serve(h, http.MethodGet)
	serve(h, "BREW")
	got := strings.Join(scrape(t, m, "http_server_request_duration_seconds_count"), "\n")
	for _, want := range []string{
		`{application="user-service",http_request_method="GET",http_response_status_code="200",http_route="/v1/users/{id}"} 3`,
		`{application="user-service",http_request_method="GET",http_response_status_code="404",http_route="/v1/users/{id}"} 1`,
		`{application="user-service",http_request_method="_OTHER",http_response_status_code="404",http_route="/v1/users/{id}"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
	if buckets := scrape(t, m, `le="0.0001"`); len(buckets) != 3 {
		t.Errorf("no buckets from 100 µs on: %v", buckets)
	}
}

func TestAHandlerThatPanicsIsMeasuredAndGoesOnPanicking(t *testing.T) {
	m := NewMetrics()
	h := m.Instrument("s", "/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}()
	if got := scrape(t, m, "http_server_request_duration_seconds_count"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestAnAnswerCanStillBeFlushed(t *testing.T) {
	h := NewMetrics().Instrument("s", "/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("flush: %v", err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
}

func TestTheProcessAndTheRuntimeAreMeasured(t *testing.T) {
	m := NewMetrics()
	for _, name := range []string{"go_goroutines", "process_start_time_seconds"} {
		if len(scrape(t, m, name)) == 0 {
			t.Errorf("no %s", name)
		}
	}
}

func TestReadyNamesEverythingThatKeepsItFromBeing(t *testing.T) {
	var h Health
	if err := h.Ready(t.Context()); err != nil {
		t.Fatalf("nothing is wrong, it says %v", err)
	}
	full := errors.New("disk full")
	var broken error
	h.Add("log", func(context.Context) error { return broken })
	h.Add("graph", func(ctx context.Context) error { return ctx.Err() })
	if err := h.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	broken = full
	if err := h.Ready(t.Context()); !errors.Is(err, full) || !strings.Contains(err.Error(), "log: disk full") {
		t.Fatalf("it says %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Ready(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, full) {
		t.Fatalf("it says %v", err)
	}
	checks := h.Checks(t.Context())
	if len(checks) != 2 || checks[0].Name != "log" || !errors.Is(checks[0].Err, full) || checks[1].Err != nil {
		t.Fatalf("checks %v", checks)
	}
}

func TestWhoIsStoppingIsNotReady(t *testing.T) {
	var h Health
	h.SetDraining(true)
	if err := h.Ready(t.Context()); !errors.Is(err, ErrDraining) || !h.Draining() {
		t.Fatalf("it says %v", err)
	}
	h.SetDraining(false)
	if err := h.Ready(t.Context()); err != nil || h.Draining() {
		t.Fatalf("it says %v", err)
	}
}

func BenchmarkInstrument(b *testing.B) {
	h := NewMetrics().Instrument("s", "/", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
