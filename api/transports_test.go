package api_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/edge"
	"ensemble/eventstore"
	"ensemble/eventstore/memory"
	"ensemble/friend"
	"ensemble/internal/guard"
	"ensemble/readmodel"
	"ensemble/recommendation"
	"ensemble/wire"
)

// transport is a system with its gateway on a real port: before handlers in the same
// process, or before services on ports of their own.
type transport struct {
	*apitest.System
	name   string
	server *httptest.Server
	hide   *strings.Replacer // the logs' names, which are random
	reveal *strings.Replacer
}

// inProcess is the gateway as 'up' has it.
func inProcess(t *testing.T) *transport {
	t.Helper()
	s := apitest.Start(t, apitest.Options{})
	return onPort(t, "in process", s, s.Gateway)
}

// overHTTP is the gateway as 'edge' has it.
func overHTTP(t *testing.T) *transport {
	t.Helper()
	s := apitest.Start(t, apitest.Options{})
	var services []edge.Service
	for _, one := range []struct {
		prefix  string
		service *api.Service
	}{{"/user", s.User}, {"/friend", s.Friend}, {"/recommendation", s.Recommendation}} {
		proxy := proxyTo(t, apitest.Listen(t, one.service, guard.Config{}).URL)
		services = append(services, edge.Service{Prefix: one.prefix, Handler: proxy, Ready: proxy.Ready})
	}
	docs := api.NewDocs(api.Config{Name: "edge-service", Version: "test", Log: apitest.Quiet()})
	return onPort(t, "over HTTP", s, edge.New(edge.Config{Services: services, Docs: docs, Version: "test", Log: apitest.Quiet()}))
}

// proxyTo returns a proxy to one instance.
func proxyTo(t *testing.T, address string) *edge.Proxy {
	t.Helper()
	proxy, err := edge.NewProxy(edge.ProxyConfig{Instances: []string{address}, Answer: time.Minute, Log: apitest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	return proxy
}

func onPort(t *testing.T, name string, s *apitest.System, gateway http.Handler) *transport {
	t.Helper()
	server := apitest.Listen(t, gateway, guard.Config{})
	server.Client().Transport.(*http.Transport).DisableCompression = true
	server.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	names := []string{
		uuid(t, s.UserLog), "uuuuuuuu-uuuu-uuuu-uuuu-uuuuuuuuuuuu", uuid(t, s.FriendLog), "ffffffff-ffff-ffff-ffff-ffffffffffff",
		identity(t, s.UserLog), "uuuuuuuu", identity(t, s.FriendLog), "ffffffff",
	}
	backwards := make([]string, len(names))
	for i := range names {
		backwards[i] = names[i^1]
	}
	return &transport{System: s, name: name, server: server, hide: strings.NewReplacer(names...), reveal: strings.NewReplacer(backwards...)}
}

// moments are times as they are shown; two systems never agree on them.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00`)

// ask sends a request as a transcript has it, and returns all of its answer that both
// transports have to agree on: every header but Date, every byte but times and names.
func (s *transport) ask(t *testing.T, method, target, body string, headers ...string) string {
	t.Helper()
	s.Settle(t)
	req, err := http.NewRequestWithContext(t.Context(), method, s.server.URL+s.reveal.Replace(target), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Content-Type" {
			req.Header.Del(headers[i])
		}
		req.Header.Add(headers[i], s.reveal.Replace(headers[i+1]))
	}
	resp, err := s.server.Client().Do(req)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", s.name, method, target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %s %s: %v", s.name, method, target, err)
	}
	resp.Header.Del("Date")
	var b strings.Builder
	fmt.Fprintln(&b, method, target, resp.Status, resp.ContentLength, resp.TransferEncoding)
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		fmt.Fprintf(&b, "%s: %q\n", name, resp.Header[name])
	}
	b.Write(text)
	return moments.ReplaceAllString(s.hide.Replace(b.String()), "TIME")
}

// TestBothTransportsAnswerTheSameToTheByte has all conversations of the transcripts with a
// gateway that calls its services, and with one that asks them over HTTP.
func TestBothTransportsAnswerTheSameToTheByte(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel() // some wait for what never comes
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			near, far := inProcess(t), overHTTP(t)
			for paragraph := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\n") {
				text, _, _ := strings.Cut(paragraph, "\n----")
				method, target, body, headers := readRequest(t, text)
				if diff := cmp.Diff(near.ask(t, method, target, body, headers...), far.ask(t, method, target, body, headers...)); diff != "" {
					t.Fatalf("in process (-) and over HTTP (+):\n%s", diff)
				}
			}
		})
	}
}

// readRequest reads a request of a transcript.
func readRequest(t *testing.T, text string) (method, target, body string, headers []string) {
	t.Helper()
	lines := strings.Split(text, "\n")
	for len(lines) > 1 && strings.HasPrefix(lines[0], "#") {
		lines = lines[1:]
	}
	method, target, _ = strings.Cut(lines[0], " ")
	headers = []string{"X-Request-Id", "request"}
	for _, line := range lines[1:] {
		name, value, isHeader := strings.Cut(line, ": ")
		if isHeader && !strings.HasPrefix(line, "{") {
			headers = append(headers, name, value)
		} else {
			body = line
		}
	}
	return method, target, body, headers
}

// TestBothTransportsAnswerWhateverIsAsked the same: each path with each method, and what
// no transcript has.
func TestBothTransportsAnswerWhateverIsAsked(t *testing.T) {
	near, far := inProcess(t), overHTTP(t)
	compare := func(method, target, body string, headers ...string) {
		headers = append(headers, "X-Request-Id", "request")
		if diff := cmp.Diff(near.ask(t, method, target, body, headers...), far.ask(t, method, target, body, headers...)); diff != "" {
			t.Errorf("in process (-) and over HTTP (+):\n%s", diff)
		}
	}
	for range 3 {
		compare("POST", "/user/v1/users", ada)
	}
	compare("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", "")
	compare("POST", "/friend/v1/users/2/commands/addFriend?friendId=3", "a body that means nothing", "Content-Type", "text/plain", "Idempotency-Key", "k")
	paths := documented(t, near.System)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if strings.Contains(path, "metrics") || strings.Contains(path, "prometheus") {
			continue
		}
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "PATCH", "PUT", "POST"} {
			compare(method, path, "")
			compare(method, path+"/", `{"firstName":"Ada","lastName":"L"}`)
		}
	}
	for _, target := range []string{
		"/user", "/user/", "/friend/v1", "/user/v1/users/%31", "/user/v1/users/a%20b", "/user/v1/users/1%3F", "/user/v1/users?limit=2",
		"/user/v1/users?a;b&%zz", "/user/v1/users?limit=2&limit=2", "/user/actuator/env", "/actuator/health", "/nothing", "/openapi.json",
		"/problems/busy", "/user/v1/events?after=99", "/user/v1/events/head", "/user/actuator/health/readiness", "/friend/actuator/info",
	} {
		compare("GET", target, "")
		compare("GET", target, "", "Accept", "text/event-stream;q=0.5, application/x-ndjson")
	}
	for _, size := range []int{wire.MaxBody, wire.MaxBody + 1, 1 << 20} {
		body := `{"firstName":"` + strings.Repeat("x", size-30) + `","lastName":""}`
		compare("POST", "/user/v1/users", body)
		compare("POST", "/user/v1/nothing", body)
	}
	compare("POST", "/user/v1/users", ada, "Expect", "100-continue", "Te", "trailers")
}

// TestALongListComesOverHTTPAsItIsInProcess, in parts.
func TestALongListComesOverHTTPAsItIsInProcess(t *testing.T) {
	near, far := inProcess(t), overHTTP(t)
	people(t, near.System, 600)
	people(t, far.System, 600)
	for _, accept := range []string{"application/json", "application/x-ndjson", "text/event-stream"} {
		a := near.ask(t, "GET", "/user/v1/users?limit=600", "", "Accept", accept, "X-Request-Id", "r")
		b := far.ask(t, "GET", "/user/v1/users?limit=600", "", "Accept", accept, "X-Request-Id", "r")
		if a != b || len(a) < 50_000 {
			t.Errorf("%s: %d bytes in process, %d over HTTP", accept, len(a), len(b))
		}
	}
}

// TestAFeedComesThroughTheGatewayAsItHappens.
func TestAFeedComesThroughTheGatewayAsItHappens(t *testing.T) {
	for _, s := range []*transport{inProcess(t), overHTTP(t)} {
		t.Run(s.name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server.URL+"/user/v1/events", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "text/event-stream")
			resp, err := s.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var seen bytes.Buffer
			for n := 1; n <= 3; n++ {
				people(t, s.System, 1)
				for !strings.Contains(seen.String(), fmt.Sprintf("id: %d\n", n)) {
					if _, err := io.CopyN(&seen, resp.Body, 1); err != nil {
						t.Fatalf("after %q: %v", seen.String(), err)
					}
				}
			}
			s.User.EndStreams()
			if rest, err := io.ReadAll(resp.Body); err != nil {
				t.Errorf("a feed that ends is not whole: %q, %v", rest, err)
			}
		})
	}
}

// throughAGateway asks a gateway about a service.
func throughAGateway(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	gateway := edge.New(edge.Config{Services: []edge.Service{{Prefix: "/user", Handler: h}}, Log: apitest.Quiet()})
	return apitest.Do(gateway, "GET", "/user/v1/users", "")
}

// notAnswered are the problems of a gateway whose service does not answer.
func notAnswered() map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder {
	return map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder{
		wire.NoInstance: func(t *testing.T) *httptest.ResponseRecorder {
			server := httptest.NewServer(http.NotFoundHandler())
			server.Close()
			return throughAGateway(t, proxyTo(t, server.URL))
		},
		wire.BadGateway: func(t *testing.T) *httptest.ResponseRecorder {
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
			defer server.Close()
			return throughAGateway(t, proxyTo(t, server.URL))
		},
		wire.GatewayTimeout: func(t *testing.T) *httptest.ResponseRecorder {
			end := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
			defer server.Close()
			defer close(end)
			proxy, err := edge.NewProxy(edge.ProxyConfig{Instances: []string{server.URL}, Answer: 10 * time.Millisecond, Log: apitest.Quiet()})
			if err != nil {
				t.Fatal(err)
			}
			defer proxy.Close()
			return throughAGateway(t, proxy)
		},
		wire.UsersUnavailable: func(t *testing.T) *httptest.ResponseRecorder {
			return apitest.Do(alone(t, away{}), "POST", "/v1/users/1/commands/addFriend?friendId=2", "")
		},
	}
}

// away is who knows which people there are, and does not answer.
type away struct{}

// Missing implements [friend.Users].
func (away) Missing(context.Context, ...int64) ([]int64, error) {
	return nil, fmt.Errorf("%w: %w", friend.ErrUsersAway, errors.New("connection refused"))
}

// alone is the service of friendships by itself.
func alone(t *testing.T, users friend.Users) *api.Service {
	t.Helper()
	log := memory.New(memory.Options{Views: []eventstore.View{readmodel.FriendView()}})
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: apitest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s, err := api.NewFriend(t.Context(), api.FriendConfig{
		Config: api.Config{Name: "friend-service", Log: apitest.Quiet()}, Store: store,
		Commands: friend.NewService(store, users), Friends: readmodel.NewFriends(store),
		Ending: func() eventstore.Position { return 42 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestWithoutTheUserServiceNothingIsSaidAboutAnybody: a command is refused for now, also one
// that the rules would refuse for good if they were asked, and leaves nothing; nobody is
// needed for the rest.
func TestWithoutTheUserServiceNothingIsSaidAboutAnybody(t *testing.T) {
	s := alone(t, away{})
	for range 2 { // the refusal is not kept under the key
		w := apitest.Do(s, "POST", "/v1/users/1/commands/addFriend?friendId=2", "", "Idempotency-Key", "k")
		p := problem(t, w, http.StatusServiceUnavailable, wire.UsersUnavailable)
		if w.Header().Get("Retry-After") == "" || !strings.Contains(p.Detail, "--user-url") || strings.Contains(p.Detail, "refused") {
			t.Errorf("%v %+v", w.Header(), p)
		}
	}
	problem(t, apitest.Do(s, "POST", "/v1/users/1/commands/addFriend?friendId=1", ""), http.StatusBadRequest, wire.SelfFriendship)
	problem(t, apitest.Do(s, "POST", "/v1/users/1/commands/removeFriend?friendId=2", ""), http.StatusNotFound, wire.FriendshipNotFound)
	w := apitest.Do(s, "GET", "/v1/users/1/friends", "")
	expect(t, w, http.StatusOK)
	if w.Body.String() != "[]" || w.Header().Get("Projection-Position") != "user:42" {
		t.Errorf("%s %v", w.Body, w.Header())
	}
}

// TestAQuestionIsRefusedWhileTheGraphIsNotWhole: a list that is short for that reason looks
// like any other.
func TestAQuestionIsRefusedWhileTheGraphIsNotWhole(t *testing.T) {
	missing := errors.New("3 of 7 events are read")
	s := api.NewRecommendation(api.RecommendationConfig{
		Config:          api.Config{Name: "recommendation-service", Log: apitest.Quiet()},
		Recommendations: recommendation.New(backend{candidates: failingAfter(0)}, nil),
		Behind:          func() error { return missing },
	})
	for _, path := range []string{recommendPath, "/v1/users/1/commands/findMutualFriends?friendId=2"} {
		w := apitest.Do(s, "GET", path, "", "Min-Event-Position", "user:1")
		p := problem(t, w, http.StatusServiceUnavailable, wire.ProjectionBehind)
		if w.Header().Get("Retry-After") == "" || !strings.Contains(p.Detail, "3 of 7 events are read") {
			t.Errorf("%v %+v", w.Header(), p)
		}
	}
	expect(t, apitest.Do(s, "GET", "/actuator/health", ""), http.StatusOK)
	missing = nil
	if w := apitest.Do(s, "GET", recommendPath, ""); w.Code == http.StatusServiceUnavailable {
		t.Errorf("it is whole: %s", w.Body)
	}
}
