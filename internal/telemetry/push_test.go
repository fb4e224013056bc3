package telemetry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gatewayLog is a log that may be read while it is written.
type gatewayLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *gatewayLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *gatewayLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// pushing pushes to an address until the test or the returned function ends it.
func pushing(t *testing.T, m *Metrics, url string, every time.Duration) (*gatewayLog, func()) {
	t.Helper()
	log := new(gatewayLog)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Push(ctx, PushConfig{URL: url, Application: "ensemble", Every: every, Log: slog.New(slog.NewTextHandler(log, nil))})
	}()
	stop := func() { cancel(); <-done }
	t.Cleanup(stop)
	return log, stop
}

// wait waits for a number to be reached.
func wait(t *testing.T, n *atomic.Int64, least int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); n.Load() < least; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it came to %d, not to %d", n.Load(), least)
		}
	}
}

func TestMetricsArePushedAsTheGatewayWantsThem(t *testing.T) {
	var pushes atomic.Int64
	var mu sync.Mutex
	var method, path, user, body string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		name, password, _ := r.BasicAuth()
		mu.Lock()
		method, path, user, body = r.Method, r.URL.Path, name+":"+password, string(text)
		mu.Unlock()
		pushes.Add(1)
		w.WriteHeader(http.StatusOK)
	}))
	defer gateway.Close()
	m := NewMetrics()
	status := 200
	serve(answering(m, "user-service", "/v1/users", &status), http.MethodGet)
	log, stop := pushing(t, m, strings.Replace(gateway.URL, "://", "://me:secret@", 1), time.Millisecond)
	wait(t, &pushes, 3)
	stop()
	mu.Lock()
	defer mu.Unlock()
	if method != http.MethodPut || path != "/metrics/job/ensemble" || user != "me:secret" {
		t.Errorf("%s %s as %s", method, path, user)
	}
	if !strings.Contains(body, "http_server_requests_seconds") || !strings.Contains(body, "process_uptime_seconds") {
		t.Errorf("pushed %q", body)
	}
	if lines := log.lines(); lines[0] != "" {
		t.Errorf("what works is logged: %q", lines)
	}
}

func TestAGatewayThatFailsIsLoggedOnceAndSoIsItsReturn(t *testing.T) {
	var pushes atomic.Int64
	var healthy atomic.Bool
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		defer pushes.Add(1)
		if !healthy.Load() {
			http.Error(w, "no room", http.StatusInsufficientStorage)
		}
	}))
	defer gateway.Close()
	log, stop := pushing(t, NewMetrics(), strings.Replace(gateway.URL, "://", "://me:secret@", 1), time.Millisecond)
	for _, up := range []bool{true, false, true} { // it begins by failing
		wait(t, &pushes, pushes.Load()+5)
		healthy.Store(up)
	}
	wait(t, &pushes, pushes.Load()+5)
	stop()
	lines := log.lines()
	if len(lines) != 4 {
		t.Fatalf("four changes of state, %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for i, line := range lines {
		want := "can't be pushed"
		if i%2 == 1 {
			want = "pushed again"
		}
		if !strings.Contains(line, want) {
			t.Errorf("line %d is %s, want %q", i, line, want)
		}
		if strings.Contains(line, "secret") {
			t.Errorf("the password is in the log: %s", line)
		}
	}
}

// TestStoppingDoesNotWaitForAGatewayThatHangs: nobody is to wait for a number.
func TestStoppingDoesNotWaitForAGatewayThatHangs(t *testing.T) {
	var asked atomic.Int64
	released := make(chan struct{})
	gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		<-released
	}))
	defer gateway.Close()
	defer close(released)
	_, stop := pushing(t, NewMetrics(), gateway.URL, time.Minute)
	wait(t, &asked, 1)
	stop() // hangs without the context, and the test with it
}

func TestNobodyAtTheAddressIsNoReasonToEnd(t *testing.T) {
	gateway := httptest.NewServer(http.NotFoundHandler())
	url := gateway.URL
	gateway.Close()
	for _, address := range []string{url, "http://[::1", "%zz", "127.0.0.1:1"} {
		log, stop := pushing(t, NewMetrics(), address, time.Hour)
		for end := time.Now().Add(time.Minute); !strings.Contains(log.lines()[0], "can't be pushed"); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q: nothing is said", address)
			}
		}
		stop()
	}
}

func TestSecretsAreTakenOutOfAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"http://gateway:9091":                 "http://gateway:9091",
		"gateway:9091":                        "http://gateway:9091",
		"https://me:secret@gateway/prefix":    "https://gateway/prefix",
		"me:secret@gateway:9091":              "http://gateway:9091",
		"https://token@gateway":               "https://gateway",
		"http://me:secret@gateway?token=here": "http://gateway?token=here",
	} {
		if got, _ := withoutSecret(address); got != want {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}
