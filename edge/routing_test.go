package edge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"ensemble/edge"
	"ensemble/internal/telemetry"
	"ensemble/wire"
)

// saw is what a service saw of a request.
type saw struct {
	service, path, escaped, query string
	prefix                        []string
}

// three is a gateway before three services that note what they see.
func three(got *saw) http.Handler {
	note := func(name string) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			*got = saw{name, r.URL.Path, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Values("X-Forwarded-Prefix")}
		})
	}
	return edge.New(edge.Config{Services: []edge.Service{
		{Prefix: "/user", Handler: note("user")},
		{Prefix: "/friend", Handler: note("friend")},
		{Prefix: "/recommendation", Handler: note("recommendation")},
	}, Log: slog.New(slog.DiscardHandler)})
}

// TestAPathReachesItsServiceAsTheClientWroteIt: only the prefix is gone, every escape is
// where it was, and both spellings of the path mean the same.
func TestAPathReachesItsServiceAsTheClientWroteIt(t *testing.T) {
	part := rapid.StringOfN(rapid.SampledFrom([]rune("ab1%/.;:@+ é")), 0, 12, -1)
	rapid.Check(t, func(t *rapid.T) {
		service := rapid.SampledFrom([]string{"user", "friend", "recommendation"}).Draw(t, "service")
		tail := "/v1/" + url.PathEscape(part.Draw(t, "one")) + "/" + strings.ReplaceAll(url.PathEscape(part.Draw(t, "two")), "%2F", "/")
		query := url.Values{"friendId": {part.Draw(t, "value")}}.Encode()
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/"+service+tail+"?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header["X-Forwarded-Prefix"] = []string{"/evil", "/more"}
		var got saw
		three(&got).ServeHTTP(httptest.NewRecorder(), r)
		plain, err := url.PathUnescape(tail)
		if err != nil {
			t.Fatal(err)
		}
		if got.service != service || got.escaped != tail || got.path != plain || got.query != query {
			t.Fatalf("%s?%s reached %+v", tail, query, got)
		}
		if len(got.prefix) != 1 || got.prefix[0] != "/"+service {
			t.Fatalf("the service is told the prefix %v", got.prefix)
		}
	})
}

// TestNoSpellingOfAPrivatePathGetsThrough to a service.
func TestNoSpellingOfAPrivatePathGetsThrough(t *testing.T) {
	private := []string{"/metrics", "/livez", "/readyz", "/healthz", "/actuator", "/actuator/env", "/actuator/prometheus", "/actuator/heapdump"}
	rapid.Check(t, func(t *rapid.T) {
		target := "/user" + spelled(t, rapid.SampledFrom(private).Draw(t, "path"))
		if rapid.Bool().Draw(t, "slash") {
			target += "/"
		}
		var got saw
		w := httptest.NewRecorder()
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, target, nil)
		if err != nil {
			t.Fatal(err)
		}
		three(&got).ServeHTTP(w, r)
		if got.service != "" || w.Code != http.StatusNotFound {
			t.Fatalf("%s reached %+v and is answered %d", target, got, w.Code)
		}
	})
}

// spelled escapes some letters that need no escape.
func spelled(t *rapid.T, path string) string {
	var b strings.Builder
	for i := range len(path) {
		if path[i] != '/' && rapid.IntRange(0, 2).Draw(t, "escape") == 0 {
			fmt.Fprintf(&b, "%%%02x", path[i])
			continue
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// TestTheHealthOfTheGatewayIsThatOfAllItsServices, each under its name, for every
// combination of them.
func TestTheHealthOfTheGatewayIsThatOfAllItsServices(t *testing.T) {
	names := []string{"user", "friend", "recommendation"}
	for state := range 1 << (len(names) + 1) {
		config := edge.Config{Log: slog.New(slog.DiscardHandler), Health: new(telemetry.Health)}
		config.Health.SetDraining(state&1 != 0)
		for i, name := range names {
			config.Services = append(config.Services, edge.Service{
				Prefix: "/" + name, Handler: echo{name},
				Ready: func(context.Context) error {
					if state&(2<<i) != 0 {
						return errors.New("a secret reason")
					}
					return nil
				},
			})
		}
		h := edge.New(config)
		w := get(h, "GET", "/actuator/health")
		var health wire.Health
		if err := json.Unmarshal(w.Body.Bytes(), &health); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"gateway": status(state&1 == 0)}
		for i, name := range names {
			want[name] = status(state&(2<<i) == 0)
		}
		for name, status := range want {
			if health.Components[name].Status != status {
				t.Errorf("state %b: %s is %+v", state, name, health.Components[name])
			}
		}
		if health.Status != status(state == 0) || (w.Code == 200) != (state == 0) {
			t.Errorf("state %b: the whole is %s, %d", state, health.Status, w.Code)
		}
		verbose := get(h, "GET", "/readyz?verbose").Body.String()
		if strings.Count(verbose, "[-]") != strings.Count(fmt.Sprintf("%b", state), "1") || strings.Contains(verbose+w.Body.String(), "secret") {
			t.Errorf("state %b: %q", state, verbose)
		}
		if w := get(h, "GET", "/livez"); w.Code != 200 {
			t.Errorf("state %b: restarting the gateway would repair nothing, but it is answered %d", state, w.Code)
		}
	}
}

func status(up bool) string {
	if up {
		return "UP"
	}
	return "DOWN"
}

// TestAServiceThatBreaksDownTakesOnlyItsConnectionAlong.
func TestAServiceThatBreaksDownTakesOnlyItsConnectionAlong(t *testing.T) {
	server := httptest.NewUnstartedServer(edge.New(edge.Config{Services: []edge.Service{
		{Prefix: "/user", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "half an ans")
			panic(http.ErrAbortHandler)
		})},
		{Prefix: "/friend", Handler: echo{"friend"}},
	}}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()
	defer server.Close()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 10 {
				if body, err := ask(server.URL + "/user/v1"); err == nil {
					t.Errorf("half an answer is taken for %q", body)
				}
				if body, err := ask(server.URL + "/friend/v1"); err != nil || !strings.HasPrefix(body, "friend /v1") {
					t.Errorf("the other service answers %q, %v", body, err)
				}
			}
		})
	}
	group.Wait()
}

// ask sends a question over a connection of its own and reads all of the answer.
func ask(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "tcp", u.Host)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", u.Path, u.Host); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var b strings.Builder
	_, err = bufio.NewReader(resp.Body).WriteTo(&b)
	return b.String(), err
}
