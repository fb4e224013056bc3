package edge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"ensemble/edge"
	"ensemble/internal/telemetry"
	"ensemble/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a service that answers with what it saw.
type echo struct{ name string }

func (e echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s prefix=%s id=%s", e.name, r.URL.RequestURI(), r.Header.Values("X-Forwarded-Prefix"), r.Header.Get("X-Request-Id"))
}

func gateway(ready error) http.Handler {
	return edge.New(edge.Config{
		Version: "1.2.3",
		Metrics: telemetry.NewMetrics(),
		Services: []edge.Service{
			{Prefix: "/user", Handler: echo{"user"}, Ready: func(context.Context) error { return ready }},
			{Prefix: "/friend", Handler: echo{"friend"}},
		},
	})
}

func get(h http.Handler, method, target string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestForwarding(t *testing.T) {
	for _, c := range []struct{ sentence, target, want string }{
		{"the prefix is cut off", "/user/v1/users?limit=1", "user /v1/users?limit=1 prefix=[/user] id=me"},
		{"each prefix has its service", "/friend/v1/friends/1", "friend /v1/friends/1 prefix=[/friend] id=me"},
		{"a trailing slash stays", "/user/v1/users/", "user /v1/users/ prefix=[/user] id=me"},
		{"escapes stay", "/user/v1/users/%31%2F?x=%20", "user /v1/users/%31%2F?x=%20 prefix=[/user] id=me"},
		{"the bare prefix is the root", "/user", "user / prefix=[/user] id=me"},
		{"health comes through", "/user/actuator/health", "user /actuator/health prefix=[/user] id=me"},
		{"so does liveness", "/user/actuator/health/liveness", "user /actuator/health/liveness prefix=[/user] id=me"},
		{"so does info", "/user/actuator/info/", "user /actuator/info/ prefix=[/user] id=me"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := get(gateway(nil), "GET", c.target, "X-Request-Id", "me", "X-Forwarded-Prefix", "/evil", "X-Forwarded-Prefix", "/more")
			if w.Body.String() != c.want {
				t.Errorf("the service saw %s, not %s", w.Body, c.want)
			}
		})
	}
}

func TestWhatStaysBehindTheGateway(t *testing.T) {
	for _, target := range []string{
		"/user/metrics", "/user/metrics/", "/user/%6detrics", "/user/livez", "/user/readyz?verbose", "/user/healthz",
		"/user/actuator", "/user/actuator/", "/user/actuator/prometheus", "/user/actuator/env", "/user/actuator%2Fenv",
		"/user/actuator/healthy", "/friend/actuator/%65nv",
		"/users/v1/users", "/USER/v1/users", "/%75ser/v1/users", "/", "//user/v1", "/recommendation/v1", "/problems/made-up",
	} {
		w := get(gateway(nil), "GET", target)
		var p wire.Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 404 || p.Type != "/problems/not-found" {
			t.Errorf("%s is answered %d %s", target, w.Code, w.Body)
			continue
		}
		if p.Detail == "" || p.RequestID == "" || p.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%s: an incomplete problem %s", target, w.Body)
		}
	}
}

func TestTheRequestOfTheClientIsLeftAlone(t *testing.T) {
	r := httptest.NewRequest("GET", "/user/v1/users", nil)
	r.Header.Set("X-Forwarded-Prefix", "/mine")
	gateway(nil).ServeHTTP(httptest.NewRecorder(), r)
	if r.URL.Path != "/user/v1/users" || r.Header.Get("X-Forwarded-Prefix") != "/mine" || len(r.Header) != 1 {
		t.Errorf("it became %s %v", r.URL, r.Header)
	}
}

// TestAServiceMayChangeWhatItIsGiven: the next request is forwarded as the first was,
// and the client's own request is still as it was sent.
func TestAServiceMayChangeWhatItIsGiven(t *testing.T) {
	var prefixes []string
	h := edge.New(edge.Config{Services: []edge.Service{{Prefix: "/user", Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		prefixes = append(prefixes, fmt.Sprint(r.URL, r.Header["X-Forwarded-Prefix"], r.Header["Accept"]))
		r.Header.Add("X-Forwarded-Prefix", "/mine")
		r.Header.Set("Accept", "text/plain")
		r.URL.Path, r.URL.RawQuery = "/elsewhere", ""
	})}}})
	r := httptest.NewRequest(http.MethodGet, "/user/v1?a=1", nil)
	r.Header.Set("Accept", "*/*")
	for range 2 {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	const want = "/v1?a=1 [/user] [*/*]"
	if fmt.Sprint(prefixes) != "["+want+" "+want+"]" || r.URL.String() != "/user/v1?a=1" || r.Header.Get("Accept") != "*/*" {
		t.Errorf("the service saw %v, and %v %v is left", prefixes, r.URL, r.Header)
	}
}

func TestARequestIDIsMadeOnce(t *testing.T) {
	for _, id := range []string{"", "with space", strings.Repeat("x", 129)} {
		w := get(gateway(nil), "GET", "/user/v1", "X-Request-Id", id)
		_, made, _ := strings.Cut(w.Body.String(), "id=")
		if len(made) < 16 || made == id {
			t.Errorf("%q became %q", id, made)
		}
	}
}

func TestItsOwnHealth(t *testing.T) {
	for _, c := range []struct {
		sentence string
		ready    error
		status   int
		body     string
	}{
		{"up while all services are", nil, 200, `{"status":"UP","components":{"gateway":{"status":"UP"},"user":{"status":"UP"},"friend":{"status":"UP"}},"groups":["liveness","readiness"]}`},
		{"down while one is", errors.New("gone"), 503, `{"status":"DOWN","components":{"gateway":{"status":"UP"},"user":{"status":"DOWN"},"friend":{"status":"UP"}},"groups":["liveness","readiness"]}`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			h := gateway(c.ready)
			w := get(h, "GET", "/actuator/health")
			if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Content-Type") != wire.HealthType {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			for _, target := range []string{"/actuator/health/readiness", "/readyz?verbose", "/healthz"} {
				if w := get(h, "GET", target); w.Code != c.status {
					t.Errorf("%s is answered %d", target, w.Code)
				}
			}
			for _, target := range []string{"/actuator/health/liveness", "/livez", "/actuator/info", "/metrics"} {
				if w := get(h, "GET", target); w.Code != 200 {
					t.Errorf("%s is answered %d", target, w.Code)
				}
			}
		})
	}
}

func TestItsOwnRoutesAreOnlyRead(t *testing.T) {
	h := gateway(nil)
	for _, target := range []string{"/actuator/health", "/livez"} {
		if w := get(h, "HEAD", target); w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("HEAD %s is answered %d %s", target, w.Code, w.Body)
		}
		if w := get(h, "OPTIONS", target); w.Code != 204 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("OPTIONS %s is answered %d, Allow %s", target, w.Code, w.Header().Get("Allow"))
		}
		if w := get(h, "DELETE", target); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("DELETE %s is answered %d, Allow %s", target, w.Code, w.Header().Get("Allow"))
		}
	}
}

func ExampleNew() {
	users := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.URL.Path, " behind ", r.Header.Get("X-Forwarded-Prefix"))
	})
	h := edge.New(edge.Config{Services: []edge.Service{{Prefix: "/user", Handler: users}}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/user/v1/users/1", nil))
	fmt.Println(w.Body)
	// Output: /v1/users/1 behind /user
}
