package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/broker"
	"ensemble/broker/memory"
	"ensemble/eventstore"
	"ensemble/projection"
	"ensemble/wire"
)

// office is an administration whose rebuilds do what a test says.
type office struct {
	*api.Admin
	t     *testing.T
	begin chan func(done, total eventstore.Position) // the progress of each rebuild that begins
	end   chan error                                 // what becomes of it
	found []wire.RebuiltTable

	config api.AdminConfig
	unread error // of dead letters
}

// newOffice returns the administration of a system with three users, followed by a
// projection that is not running and has seen the first of them.
func newOffice(t *testing.T) *office {
	t.Helper()
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 3)
	o := &office{t: t, begin: make(chan func(done, total eventstore.Position), 1), end: make(chan error)}
	rebuild := func(ctx context.Context, progress func(done, total eventstore.Position)) ([]wire.RebuiltTable, error) {
		o.begin <- progress
		select {
		case err := <-o.end:
			return o.found, err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	o.config = api.AdminConfig{
		Config: api.Config{Name: "ensemble", Version: "test", Log: apitest.Quiet()},
		Projections: func() []api.Projected {
			return []api.Projected{
				{Name: "users", Log: "user", Store: s.UserLog},
				{Name: "recommendation", Log: "user", Store: s.UserLog, Runner: projection.New("users", s.UserLog.Subscribe, nil, 1)},
			}
		},
		Instances: func(context.Context) []wire.Instance {
			return []wire.Instance{{Service: "user-service", Address: "127.0.0.1:8120", Status: "UP"}}
		},
		Breakers: func() []wire.Breaker {
			return []wire.Breaker{{Service: "user-service", Transport: "in-process", State: "closed"}}
		},
		Settings: func() any {
			return map[string]any{"data": "./d", "admin-password": "hunter2", "store": "postgres://u:hunter2@db/x?password=hunter2&a=b"}
		},
		Rebuilds: map[string]api.Rebuild{"users": rebuild, "friends": rebuild},
	}
	o.Admin = api.NewAdmin(o.config)
	t.Cleanup(o.Close)
	return o
}

// officeWithLetters returns an administration with n dead letters, which nobody can read
// before the test says so.
func officeWithLetters(t *testing.T, n int) *office {
	t.Helper()
	letters, err := broker.OpenDeadLetters(filepath.Join(t.TempDir(), "dead-letters"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = letters.Close() })
	b := memory.New()
	b.Make("topic", 1)
	for i := range n {
		b.Put("topic", 0, broker.Record{Key: []byte("k"), Value: bytes.Repeat([]byte{byte('a' + i)}, 5000)})
	}
	o := newOffice(t)
	unread := func(*broker.Record) (broker.Message, error) { return broker.Message{}, errUnread }
	c := broker.NewConsumer(broker.ConsumerConfig{Topic: "topic", Partitions: 1, Decode: unread, DeadLetters: letters})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, b, nil) }()
	if err := c.Reach(ctx, []broker.Bounds{{End: int64(n)}}); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	o.config.DeadLetters = &api.DeadLetters{Letters: letters, Read: func(*broker.Letter) error { return o.unread }, Projection: "users"}
	o.unread = errUnread
	o.Admin = api.NewAdmin(o.config)
	t.Cleanup(o.Close)
	return o
}

var errUnread = errors.New("nobody can read this")

func TestDeadLettersAreListedRetriedAndDiscarded(t *testing.T) {
	o := officeWithLetters(t, 3)
	list := decode[wire.DeadLetters](t, o.do(http.MethodGet, "/admin/v1/dead-letters"))
	if len(list.DeadLetters) != 3 {
		t.Fatalf("there are %+v", list)
	}
	first := list.DeadLetters[0]
	if first.ID != "topic-0-0" || first.Topic != "topic" || first.Key != "k" || len(first.Value) != 4096 || first.Reason != errUnread.Error() || first.AddedAt.IsZero() {
		t.Errorf("the first is %+v", first)
	}
	w := o.do(http.MethodPost, "/admin/v1/dead-letters/topic-0-0/retry")
	problem(t, w, http.StatusConflict, wire.DeadLetterUnread)
	o.unread = nil
	w = o.do(http.MethodPost, "/admin/v1/dead-letters/topic-0-0/retry")
	if expect(t, w, http.StatusNoContent); w.Header().Get("Location") != "/admin/v1/projections/users/rebuild" {
		t.Errorf("it is at %q", w.Header().Get("Location"))
	}
	<-o.begin
	problem(t, o.do(http.MethodPost, "/admin/v1/dead-letters/topic-0-1/retry"), http.StatusConflict, wire.RebuildUnderWay)
	o.end <- nil
	expect(t, o.do(http.MethodPost, "/admin/v1/dead-letters/topic-0-1/discard?reason=nobody+needs+it"), http.StatusNoContent)
	for _, id := range []string{"topic-0-0", "topic-0-1"} {
		problem(t, o.do(http.MethodPost, "/admin/v1/dead-letters/"+id+"/discard"), http.StatusNotFound, wire.DeadLetterNotFound)
	}
	list = decode[wire.DeadLetters](t, o.do(http.MethodGet, "/admin/v1/dead-letters"))
	if len(list.DeadLetters) != 1 || list.DeadLetters[0].ID != "topic-0-2" {
		t.Errorf("left are %+v", list)
	}
}

// do sends one request, as curl on the same machine does.
func (o *office) do(method, path string, headers ...string) *httptest.ResponseRecorder {
	o.t.Helper()
	r := httptest.NewRequestWithContext(o.t.Context(), method, path, http.NoBody)
	r.Host = "127.0.0.1:9001"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w
}

func TestTheAdministrationAnswersExactly(t *testing.T) {
	o := newOffice(t)
	for path, want := range map[string]string{
		"/admin/v1/dead-letters": `{"deadLetters":[],"note":"There is no broker, and events of our own logs are never set aside: a projection that can't apply one stops."}`,
		"/admin/v1/instances":    `[{"service":"user-service","address":"127.0.0.1:8120","status":"UP"}]`,
		"/admin/v1/breakers":     `[{"service":"user-service","transport":"in-process","state":"closed"}]`,
		"/admin/v1/config":       `{"admin-password":"***","data":"./d","store":"postgres://u:***@db/x?a=b\u0026password=-"}`,
	} {
		w := o.do(http.MethodGet, path)
		expect(t, w, http.StatusOK)
		if got := w.Body.String(); got != want+"\n" || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %s %v", path, got, w.Header())
		}
	}
}

func TestLagSaysHowFarEverythingIsBehindItsLog(t *testing.T) {
	o := newOffice(t)
	lags := decode[[]wire.Lag](t, o.do(http.MethodGet, "/admin/v1/lag"))
	if lags[1].SecondsBehind < 0 {
		t.Errorf("%v seconds behind", lags[1].SecondsBehind)
	}
	lags[1].SecondsBehind = 0
	want := []wire.Lag{
		{Projection: "users", Log: "user", Kind: "view", Position: 3, Head: 3},
		{Projection: "recommendation", Log: "user", Kind: "follower", Position: 1, Head: 3, Behind: 2},
	}
	if fmt.Sprint(lags) != fmt.Sprint(want) {
		t.Fatalf("got %+v", lags)
	}
}

func TestDecidingOnADeadLetterThatIsNotThere(t *testing.T) {
	o := newOffice(t)
	for _, what := range []string{"retry", "discard"} {
		problem(t, o.do(http.MethodPost, "/admin/v1/dead-letters/7/"+what), http.StatusNotFound, wire.DeadLetterNotFound)
	}
	problem(t, o.do(http.MethodPost, "/admin/v1/dead-letters/7/eat"), http.StatusNotFound, wire.NotFound)
}

func TestARebuildIsAcceptedFollowedAndEnds(t *testing.T) {
	o := newOffice(t)
	const path = "/admin/v1/projections/users/rebuild"
	problem(t, o.do(http.MethodGet, path), http.StatusNotFound, wire.NotFound)
	w := o.do(http.MethodPost, path)
	expect(t, w, http.StatusAccepted)
	if w.Header().Get("Location") != path {
		t.Fatalf("Location is %s", w.Header().Get("Location"))
	}
	progress := <-o.begin
	progress(7, 10)
	status := decode[wire.Rebuild](t, o.do(http.MethodGet, path))
	if status.State != wire.RebuildRunning || status.Done != 7 || status.Total != 10 || !status.EndedAt.IsZero() || status.StartedAt.IsZero() {
		t.Fatalf("while it runs: %+v", status)
	}
	for _, other := range []string{path, "/admin/v1/projections/friends/rebuild"} {
		p := problem(t, o.do(http.MethodPost, other), http.StatusConflict, wire.RebuildUnderWay)
		if !strings.Contains(p.Detail, "users is being rebuilt") {
			t.Errorf("%s: %s", other, p.Detail)
		}
	}
	o.found = []wire.RebuiltTable{{Table: "users", Rows: 3, Differ: 1, Hash: "00ff"}}
	o.end <- nil
	status = o.ended(path)
	if status.State != wire.RebuildDone || len(status.Tables) != 1 || status.Tables[0] != o.found[0] || status.EndedAt.IsZero() {
		t.Fatalf("when it is done: %+v", status)
	}
	expect(t, o.do(http.MethodPost, path), http.StatusAccepted) // and again
	<-o.begin
	o.end <- errors.New("no space left")
	if status = o.ended(path); status.State != wire.RebuildFailed || status.Error != "no space left" {
		t.Fatalf("when it has failed: %+v", status)
	}
}

// ended returns the status of a rebuild once it does not run any more.
func (o *office) ended(path string) wire.Rebuild {
	o.t.Helper()
	for {
		status := decode[wire.Rebuild](o.t, o.do(http.MethodGet, path))
		if status.State != wire.RebuildRunning {
			return status
		}
	}
}

func TestClosingEndsARebuildAndTakesNoOther(t *testing.T) {
	o := newOffice(t)
	const path = "/admin/v1/projections/friends/rebuild"
	expect(t, o.do(http.MethodPost, path), http.StatusAccepted)
	<-o.begin
	o.Close()
	if status := o.ended(path); status.State != wire.RebuildFailed || status.Error != "context canceled" {
		t.Fatalf("got %+v", status)
	}
	w := o.do(http.MethodPost, path)
	problem(t, w, http.StatusServiceUnavailable, wire.ShuttingDown)
	if w.Header().Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
}

func TestWhatCanNotBeRebuilt(t *testing.T) {
	o := newOffice(t)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		problem(t, o.do(method, "/admin/v1/projections/nobody/rebuild"), http.StatusNotFound, wire.ProjectionNotFound)
	}
	w := o.do(http.MethodDelete, "/admin/v1/projections/users/rebuild")
	problem(t, w, http.StatusMethodNotAllowed, wire.MethodNotAllowed)
	if got := w.Header().Get("Allow"); got != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("Allow is %s", got)
	}
}

func TestWebPagesGetNothingFromTheAdministration(t *testing.T) {
	o := newOffice(t)
	for name, headers := range map[string][]string{
		"a name that was made to point here":         {"Host", "evil.example:9001"},
		"a name that begins like localhost":          {"Host", "localhost.evil.example"},
		"a name that begins like an address":         {"Host", "127.0.0.1.evil.example"},
		"no host":                                    {"Host", ""},
		"a page of another site":                     {"Origin", "http://evil.example"},
		"a page of another port":                     {"Origin", "http://127.0.0.1:3000"},
		"a sandboxed page":                           {"Origin", "null"},
		"an image in a page of another site":         {"Sec-Fetch-Site", "cross-site"},
		"a page of a site with the same name's end":  {"Sec-Fetch-Site", "same-site"},
		"a page whose origin is right, and site not": {"Origin", "http://127.0.0.1:9001", "Sec-Fetch-Site", "cross-site"},
	} {
		for _, path := range []string{"/admin/v1/lag", "/admin/v1/config", "/debug/pprof/heap", "/admin/v1/nothing"} {
			problem(t, o.do(http.MethodGet, path, headers...), http.StatusForbidden, wire.ForeignRequest)
		}
		problem(t, o.do(http.MethodPost, "/admin/v1/projections/users/rebuild", headers...), http.StatusForbidden, wire.ForeignRequest)
		if t.Failed() {
			t.Fatalf("it was %s", name)
		}
	}
	select {
	case <-o.begin:
		t.Fatal("a page has begun a rebuild")
	default:
	}
	for name, headers := range map[string][]string{
		"localhost":               {"Host", "localhost:9001"},
		"LOCALHOST":               {"Host", "LOCALHOST"},
		"an IPv6 address":         {"Host", "[::1]:9001"},
		"an IPv6 address alone":   {"Host", "[::1]"},
		"an address":              {"Host", "10.1.2.3"},
		"its own page":            {"Origin", "http://127.0.0.1:9001", "Sec-Fetch-Site", "same-origin"},
		"typed into the browser":  {"Sec-Fetch-Site", "none"},
		"a page under its domain": {"Origin", "HTTP://LOCALHOST:9001", "Host", "localhost:9001"},
	} {
		if w := o.do(http.MethodGet, "/admin/v1/lag", headers...); w.Code != http.StatusOK {
			t.Errorf("%s was answered %d", name, w.Code)
		}
	}
	for _, path := range []string{"/livez", "/actuator/health"} { // a prober's business, by any name
		if w := o.do(http.MethodGet, path, "Host", "ensemble.internal"); w.Code != http.StatusOK {
			t.Errorf("%s was answered %d", path, w.Code)
		}
	}
}

func TestProfilesAreOnTheAdministrationAlone(t *testing.T) {
	o := newOffice(t)
	for path, want := range map[string]string{
		"/debug/pprof/":                  "Types of profiles available",
		"/debug/pprof/goroutine?debug=1": "goroutine profile: total",
		"/debug/pprof/symbol":            "num_symbols: 1",
	} {
		w := o.do(http.MethodGet, path)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s was answered %d %.100s", path, w.Code, w.Body)
		}
	}
	if w := o.do(http.MethodGet, "/debug/pprof/cmdline"); w.Code != http.StatusNotFound {
		t.Errorf("the command line, with whatever it holds, was answered %d", w.Code)
	}
	s := apitest.Start(t, apitest.Options{})
	for _, path := range []string{"/debug/pprof/", "/admin/v1/lag", "/user/debug/pprof/", "/user/admin/v1/lag"} {
		if w := s.Do(http.MethodGet, path, ""); w.Code != http.StatusNotFound {
			t.Errorf("a client was answered %d to %s", w.Code, path)
		}
	}
}

func TestAProfileIsTakenOverARealConnection(t *testing.T) {
	o := newOffice(t)
	server := httptest.NewServer(o)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/debug/pprof/heap", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || len(b) < 100 || string(b[:2]) != "\x1f\x8b" {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
}
