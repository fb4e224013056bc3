package eureka_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery"
	"ensemble/discovery/discoverytest"
	"ensemble/discovery/eureka"
)

// wire carries requests to a handler that a test can replace, take away or count.
type wire struct {
	mu      sync.Mutex
	handler http.Handler // nil: nobody is there
	log     []string     // "PUT /eureka/apps/…"
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	handler := w.handler
	w.log = append(w.log, r.Method+" "+r.URL.Host+r.URL.Path)
	w.mu.Unlock()
	if handler == nil {
		return nil, errors.New("connection refused")
	}
	in := r.Clone(r.Context())
	in.RemoteAddr = "10.0.0.7:40000"
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	handler.ServeHTTP(out, in)
	if err := r.Context().Err(); err != nil {
		return nil, err // too late, as over a connection
	}
	return out.Result(), nil
}

// use puts a handler at the other end.
func (w *wire) use(h http.Handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler = h
}

// requests returns what was sent, and forgets it.
func (w *wire) requests() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	log := strings.Join(w.log, "\n")
	w.log = nil
	return log
}

// newClient returns a client over a wire.
func newClient(t *testing.T, w *wire) *eureka.Client {
	t.Helper()
	c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://one/eureka/"}, Transport: w, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// announce keeps an instance registered until the function it returns is called.
func announce(t *testing.T, c *eureka.Client, r eureka.Registration) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Announce(ctx, r) }()
	return func() { cancel(); <-done }
}

// people is a registration.
func people() eureka.Registration {
	return eureka.Registration{App: "USER-SERVICE", Addr: netip.MustParseAddrPort("10.0.0.7:8120"), Metadata: map[string]string{"zone": "a"}}
}

const peopleID = "10.0.0.7:user-service:8120"

// TestContract runs the contract of resolvers over real connections.
func TestContract(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Source {
		front := new(wire)
		s := eureka.NewServer(eureka.ServerConfig{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		front.use(s)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			front.mu.Lock()
			h := front.handler
			front.mu.Unlock()
			if h == nil {
				panic(http.ErrAbortHandler) // the connection is cut
			}
			h.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{server.URL + "/eureka"}, Refresh: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		r := &registry{t, s, "127.0.0.1"}
		return discoverytest.Source{
			Resolver: c, Refresh: 20 * time.Millisecond,
			Set: func(service string, addrs ...string) {
				app := strings.ToUpper(service)
				for _, row := range r.instances("/eureka/apps").rows {
					id, _, _ := strings.Cut(row, " ")
					r.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/"+id, "")
				}
				for _, addr := range addrs {
					p := netip.MustParseAddrPort(addr)
					body := strings.NewReplacer("10.0.0.7", p.Addr().String(), "8080", fmt.Sprint(p.Port())).Replace(registration(app, addr))
					r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/"+app, body)
				}
			},
			Away: func(away bool) {
				if front.use(s); away {
					front.use(nil)
				}
			},
		}
	})
}

// TestAnInstanceIsThereWhileItIsAnnounced, at the address and under the names that
// Spring's services have.
func TestAnInstanceIsThereWhileItIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(s)
		stop := announce(t, newClient(t, w), people())
		synctest.Wait()
		golden(t, "announced.json", s.json("/eureka/apps/USER-SERVICE"))
		time.Sleep(time.Hour)
		s.shows("/eureka/vips/user-service", "UP_1_", "USER-SERVICE/"+peopleID+" UP ADDED")
		stop()
		s.shows("/eureka/apps", "")
	})
}

// TestAStatusIsToldWithinASecond, also one that changes back.
func TestAStatusIsToldWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(s)
		var mu sync.Mutex
		status := eureka.Starting
		r := people()
		r.Status = func() eureka.Status { mu.Lock(); defer mu.Unlock(); return status }
		defer announce(t, newClient(t, w), r)()
		for _, now := range []eureka.Status{eureka.Starting, eureka.Up, eureka.OutOfService, eureka.Up} {
			mu.Lock()
			status = now
			mu.Unlock()
			time.Sleep(time.Second)
			synctest.Wait()
			if got := s.instances("/eureka/apps").hash; got != string(now)+"_1_" {
				t.Errorf("%s is not told: %s", now, got)
			}
			time.Sleep(40 * time.Second)
		}
	})
}

// TestARegistryThatComesBackEmptyKnowsEverybodyWithinAHeartbeat, whether it was
// restarted in a moment or away for long; and who follows its list sends requests on.
func TestARegistryThatComesBackEmptyKnowsEverybodyWithinAHeartbeat(t *testing.T) {
	for _, away := range []time.Duration{0, 10 * time.Second, 10 * time.Minute} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := new(wire)
				w.use(newRegistry(t, eureka.ServerConfig{}))
				c := newClient(t, w)
				defer announce(t, c, people())()
				reader := newClient(t, w)
				time.Sleep(45 * time.Second)
				here := func(when string) {
					t.Helper()
					if l, err := reader.Resolve(t.Context(), "user-service"); err != nil || len(l.Instances) != 1 {
						t.Errorf("%s: %+v %v", when, l, err)
					}
				}
				here("before")
				w.use(nil)
				for end := time.Now().Add(away); time.Now().Before(end); time.Sleep(5 * time.Second) {
					here("while it is away")
				}
				again := newRegistry(t, eureka.ServerConfig{})
				w.use(again)
				for range 30 {
					here("while it learns who is there")
					time.Sleep(time.Second)
				}
				synctest.Wait()
				again.shows("/eureka/apps", "UP_1_", "USER-SERVICE/"+peopleID+" UP ADDED")
				time.Sleep(6 * time.Second)
				if l, err := reader.Resolve(t.Context(), "user-service"); err != nil || l.Trouble != nil {
					t.Errorf("trouble stays: %v %v", l.Trouble, err)
				}
			})
		})
	}
}

// TestWhoTheRegistryForgotIsKeptForItsLease, and who it said was gone is not.
func TestWhoTheRegistryForgotIsKeptForItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, before := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(before)
		before.register("USER", "a")
		before.register("FRIEND", "b")
		c := newClient(t, w)
		size := func(service string) int {
			l, err := c.Resolve(t.Context(), service)
			if err != nil {
				t.Fatal(err)
			}
			if (l.Trouble != nil) != (before == nil && len(l.Instances) > 0) {
				t.Errorf("%s: %d instances with trouble %v", service, len(l.Instances), l.Trouble)
			}
			return len(l.Instances)
		}
		if size("user") != 1 || size("friend") != 1 {
			t.Fatal("not both are there")
		}
		before.wants(http.StatusOK, http.MethodDelete, "/eureka/apps/FRIEND/b", "")
		time.Sleep(5 * time.Second)
		if size("friend") != 0 {
			t.Error("who left is still there")
		}
		before = nil
		w.use(newRegistry(t, eureka.ServerConfig{}))
		time.Sleep(5 * time.Second)
		for range 18 {
			if size("user") != 1 {
				t.Fatal("who was forgotten is not kept")
			}
			time.Sleep(5 * time.Second)
		}
		if size("user") != 0 {
			t.Error("who was forgotten is kept for ever")
		}
	})
}

// TestTheListIsFollowedByDeltas, read anew only where a delta can't be trusted.
func TestTheListIsFollowedByDeltas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{Preserve: eureka.PreserveNever})
		w.use(s)
		c := newClient(t, w)
		for _, step := range []struct {
			says  string
			wait  time.Duration
			paths string
		}{
			{"the first time", 0, "GET one/eureka/apps"},
			{"at once again", 0, ""},
			{"when it is old", 5 * time.Second, "GET one/eureka/apps/delta"},
			{"when it is older than a delta goes", 2 * time.Minute, "GET one/eureka/apps"},
		} {
			time.Sleep(step.wait)
			if _, err := c.Resolve(t.Context(), "user"); err != nil {
				t.Fatal(err)
			}
			if got := w.requests(); got != step.paths {
				t.Errorf("%s it asks for %q, want %q", step.says, got, step.paths)
			}
		}
	})
}

// TestWhoGetsRequests: those that are UP, at an address that a registry may name.
func TestWhoGetsRequests(t *testing.T) {
	list := func(members string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"applications":{"apps__hashcode":"UP_1_","application":[{"name":"USER","instance":[
				{"instanceId":"a","status":"UP","ipAddr":"10.0.0.7","port":{"$":80,"@enabled":"true"},`+members+`}]}]}}`)
		})
	}
	// The last of two members of one name counts.
	for _, c := range []struct{ says, members, addr string }{
		{"as it is", `"x":1`, "10.0.0.7:80"},
		{"over TLS only", `"port":{"$":80,"@enabled":false},"securePort":{"$":"443","@enabled":true}`, "https 10.0.0.7:443"},
		{"by IPv6", `"ipAddr":"fd00::1"`, "[fd00::1]:80"},
		{"by a mapped address", `"ipAddr":"::ffff:10.0.0.7"`, "10.0.0.7:80"},
		{"down", `"status":"DOWN"`, ""},
		{"out of service", `"status":"OUT_OF_SERVICE"`, ""},
		{"of a status of tomorrow", `"status":"NAPPING"`, ""},
		{"link-local", `"ipAddr":"169.254.169.254"`, ""},
		{"outside of what is allowed", `"ipAddr":"192.168.0.1"`, ""},
		{"by name", `"ipAddr":"user.example"`, ""},
		{"without a port", `"port":{"$":0}`, ""},
	} {
		w := new(wire)
		w.use(list(c.members))
		client, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://one"}, Transport: w, Allowed: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("169.254.0.0/16"),
		}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := client.Resolve(t.Context(), "User")
		if err != nil {
			t.Fatalf("%s: %v", c.says, err)
		}
		got := ""
		for _, i := range l.Instances {
			got += map[bool]string{true: "https "}[i.Secure] + i.Addr
		}
		if got != c.addr {
			t.Errorf("%s: %q, want %q", c.says, got, c.addr)
		}
	}
}

// TestAnswersThatAreNoList: garbage, redirects and errors leave the last list.
func TestAnswersThatAreNoList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{Preserve: eureka.PreserveNever})
		w.use(s)
		s.register("USER", "a")
		c := newClient(t, w)
		for _, answer := range []func(http.ResponseWriter, *http.Request){
			s.ServeHTTP,
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
			func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") },
			func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://evil/eureka/apps", http.StatusFound)
			},
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) },
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		} {
			w.use(http.HandlerFunc(answer))
			l, err := c.Resolve(t.Context(), "user")
			if err != nil || len(l.Instances) != 1 {
				t.Errorf("%+v %v", l, err)
			}
			time.Sleep(5 * time.Second)
		}
		if strings.Contains(w.requests(), "evil") {
			t.Error("it was sent elsewhere")
		}
	})
}

// TestTheNextRegistryIsAskedWhenOneIsAway, and goes on being asked.
func TestTheNextRegistryIsAskedWhenOneIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if r.URL.Host == "one" {
				out.WriteHeader(http.StatusBadGateway)
				return
			}
			s.ServeHTTP(out, r)
		}))
		c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://one/eureka", "http://two/eureka"}, Transport: w})
		if err != nil {
			t.Fatal(err)
		}
		stop := announce(t, c, people())
		time.Sleep(31 * time.Second)
		stop()
		want := "POST one/eureka/apps/USER-SERVICE\nPOST two/eureka/apps/USER-SERVICE\n" +
			"PUT two/eureka/apps/USER-SERVICE/" + peopleID + "\nDELETE two/eureka/apps/USER-SERVICE/" + peopleID
		if got := w.requests(); got != want {
			t.Errorf("sent\n%s\nwant\n%s", got, want)
		}
	})
}

// TestARefusalIsLoggedOnce, with the reason and without a password.
func TestARefusalIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(s)
		c, err := eureka.NewClient(eureka.ClientConfig{
			URLs: []string{"http://me:secret@one/eureka"}, Transport: w, Log: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r := people()
		r.Addr = netip.MustParseAddrPort("10.9.9.9:1")
		stop := announce(t, c, r)
		time.Sleep(time.Minute)
		w.use(nil)
		time.Sleep(time.Minute)
		stop()
		if got := log.String(); strings.Count(got, "does not take") != 1 || !strings.Contains(got, "lies in no allowed range") || strings.Contains(got, "secret") {
			t.Errorf("logged:\n%s", got)
		}
	})
}

// TestAnUnspecifiedAddressIsThatOfTheWayToTheRegistry.
func TestAnUnspecifiedAddressIsThatOfTheWayToTheRegistry(t *testing.T) {
	s := eureka.NewServer(eureka.ServerConfig{})
	server := httptest.NewServer(s)
	defer server.Close()
	c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{server.URL + "/eureka"}, Refresh: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := people()
	r.Addr = netip.MustParseAddrPort("[::]:8120")
	defer announce(t, c, r)()
	var l discovery.List
	for end := time.Now().Add(20 * time.Second); len(l.Instances) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if l, err = c.Resolve(t.Context(), "user-service"); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.Instances) != 1 || l.Instances[0].Addr != "127.0.0.1:8120" {
		t.Errorf("%+v", l)
	}
}

// TestAddressesOfRegistriesThatAreNone are refused, and their passwords not repeated.
func TestAddressesOfRegistriesThatAreNone(t *testing.T) {
	for _, urls := range [][]string{nil, {""}, {"one"}, {"ftp://one"}, {"http://"}, {"http://a?x=1"}, {"http://me:secret@a?x=1"}, {"http://a", "b"}} {
		_, err := eureka.NewClient(eureka.ClientConfig{URLs: urls})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: %v", urls, err)
		}
	}
}
