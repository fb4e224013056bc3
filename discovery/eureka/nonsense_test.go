package eureka_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/discovery/eureka"
)

// says is a handler that answers everything with a body.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// status is a handler that answers everything with a status.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestNonsenseInsteadOfAList: whatever a registry answers, who was told a list keeps it
// and hears of the trouble, who was never told one gets an error, and the next good
// answer ends it.
func TestNonsenseInsteadOfAList(t *testing.T) {
	instance := `{"applications":{"apps__hashcode":"UP_1_","application":[{"name":"A","instance":[{"status":"UP",%s}]}]}}`
	for says, answer := range map[string]http.HandlerFunc{
		"nothing":                 says(""),
		"null":                    says("null"),
		"a page":                  says("<!DOCTYPE html><title>Sign in</title>"),
		"XML":                     says("<applications><application/></applications>"),
		"another object":          says(`{"status":"UP"}`),
		"no applications":         says(`{"applications":null}`),
		"applications of text":    says(`{"applications":"UP_1_"}`),
		"an object for a list":    says(`{"applications":{"application":{"name":"A"}}}`),
		"a number for a name":     says(`{"applications":{"application":[{"name":7}]}}`),
		"a list of lists":         says(`{"applications":{"application":[[]]}}`),
		"a number for an address": says(fmt.Sprintf(instance, `"ipAddr":7`)),
		"text for a port":         says(fmt.Sprintf(instance, `"port":"8080"`)),
		"a port beyond numbers":   says(fmt.Sprintf(instance, `"port":{"$":9223372036854775808}`)),
		"a port with a comma":     says(fmt.Sprintf(instance, `"port":{"$":80.5}`)),
		"half a list":             says(`{"applications":{"application":[{"name":"A","instance":[`),
		"two lists":               says(`{"applications":{}}{"applications":{}}`),
		"as deep as it goes":      says(strings.Repeat(`{"applications":`, 20_000)),
		"bytes":                   says("\x00\xff\xfe\x80"),
		"packed what is not": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			says("{}")(w, r)
		},
		"found elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil/eureka/apps", http.StatusFound)
		},
		"moved for ever": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "//evil/", http.StatusPermanentRedirect)
		},
		"choices":               status(300),
		"not modified":          status(304),
		"sign in":               status(401),
		"forbidden":             status(403),
		"not found":             status(404),
		"too many":              status(429),
		"an error":              status(500),
		"away":                  status(503),
		"a status that is none": status(799),
		"an error with a long tale": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = io.WriteString(w, strings.Repeat("\x1b[31m", 10_000))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w, s := new(wire), newRegistry(t, eureka.ServerConfig{Preserve: eureka.PreserveNever})
			s.register("A", "a")
			told, stranger := newClient(t, w), newClient(t, w)
			w.use(s)
			before, err := told.Resolve(t.Context(), "a")
			if err != nil || len(before.Instances) != 1 {
				t.Fatalf("%+v %v", before, err)
			}
			time.Sleep(5 * time.Second)
			w.requests()
			w.use(answer)
			for range 3 {
				l, err := told.Resolve(t.Context(), "a")
				if err != nil || len(l.Instances) != 1 || l.Instances[0] != before.Instances[0] || l.Trouble == nil || !l.Confirmed.Equal(before.Confirmed) {
					t.Errorf("%s: %+v %v", says, l, err)
				} else if len(l.Trouble.Error()) > 1000 || strings.ContainsRune(l.Trouble.Error(), 0x1b) {
					t.Errorf("%s: the trouble is %q", says, l.Trouble)
				}
				if l, err := stranger.Resolve(t.Context(), "a"); err == nil {
					t.Errorf("%s: who was never told anything gets %+v", says, l)
				}
			}
			if got := strings.Count(w.requests(), "\n") + 1; got != 2 {
				t.Errorf("%s: two clients sent %d requests within the refresh", says, got)
			}
			w.use(s)
			time.Sleep(5 * time.Second)
			if l, err := told.Resolve(t.Context(), "a"); err != nil || l.Trouble != nil || len(l.Instances) != 1 {
				t.Errorf("after %s: %+v %v", says, l, err)
			}
			if strings.Contains(w.requests(), "evil") {
				t.Errorf("%s: it followed", says)
			}
		})
	}
}

// TestOneOddInstanceDoesNotHideTheOthers: members that are null, missing, unknown, twice
// there or of an instance that can't be reached.
func TestOneOddInstanceDoesNotHideTheOthers(t *testing.T) {
	for _, odd := range []string{
		`{}`, `null`, `{"status":null,"ipAddr":null,"port":null}`, `{"status":"UP"}`, `{"status":"UP","ipAddr":""}`,
		`{"status":"UP","ipAddr":"10.0.0.9","port":{}}`, `{"status":"UP","ipAddr":"10.0.0.9","port":{"$":-1}}`,
		`{"status":"UP","ipAddr":"10.0.0.9","port":{"$":65536}}`, `{"status":"UP","ipAddr":"10.0.0.9 ","port":{"$":1}}`,
		`{"status":"UP","ipAddr":"fe80::1%eth0","port":{"$":1}}`, `{"status":"UP","ipAddr":"64:ff9b::169.254.169.254","port":{"$":1}}`,
		`{"status":"UP","ipAddr":"::ffff:169.254.169.254","port":{"$":1}}`, `{"status":"UP","ipAddr":"::169.254.169.254","port":{"$":1}}`,
		`{"status":"up","ipAddr":"10.0.0.9","port":{"$":1}}`, `{"status":"UP","status":"DOWN","ipAddr":"10.0.0.9","port":{"$":1}}`,
		`{"instanceId":"good","status":"UP","ipAddr":"10.0.0.7","port":{"$":"80"},"metadata":[1,{"x":[]}],"leaseInfo":"none"}`,
		`{"instanceId":"twin","status":"UP","ipAddr":"::ffff:10.0.0.7","port":{"$":80}}`,
	} {
		w := new(wire)
		w.use(says(`{"applications":{"apps__hashcode":"UP_1_","application":[{"name":"A","instance":[` + odd + `,
			{"instanceId":"good","status":"UP","ipAddr":"10.0.0.7","port":{"$":80,"@enabled":true}}]},{"name":null,"instance":null},{}]}}`))
		l, err := newClient(t, w).Resolve(t.Context(), "a")
		if err != nil || len(l.Instances) != 1 || l.Instances[0].Addr != "10.0.0.7:80" {
			t.Errorf("%s: %+v %v", odd, l, err)
		}
	}
}

// TestARegistryThatNeverEnds: one that hangs, sends for ever, or cuts the connection,
// costs its time and no more; a caller whose time is over is told so; and nothing runs on.
func TestARegistryThatNeverEnds(t *testing.T) {
	for name, c := range map[string]struct {
		answer  http.HandlerFunc
		timeout time.Duration
		trouble string
	}{
		"hangs": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 50 * time.Millisecond, "exceeded"},
		"hangs in the list": {func(w http.ResponseWriter, r *http.Request) {
			says(`{"applications":{`)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 50 * time.Millisecond, "exceeded"},
		"sends for ever": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				says(strings.Repeat(" ", 1<<10))(w, r)
			}
		}, 200 * time.Millisecond, ""},
		"cuts": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			says(`{"applications":{}}`)(w, r)
			panic(http.ErrAbortHandler)
		}, 20 * time.Second, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			s := eureka.NewServer(eureka.ServerConfig{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if bad.Load() {
					c.answer(w, r)
					return
				}
				s.ServeHTTP(w, r)
			}))
			defer server.Close()
			(&registry{t, s, "127.0.0.1"}).wants(204, http.MethodPost, "/eureka/apps/A", here("a"))
			client, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{server.URL + "/eureka"}, Refresh: time.Nanosecond, Timeout: 20 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			hurried, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{server.URL + "/eureka"}, Refresh: time.Nanosecond, Timeout: c.timeout})
			if err != nil {
				t.Fatal(err)
			}
			defer hurried.Close()
			for _, one := range []*eureka.Client{client, hurried} {
				for l, err := one.Resolve(t.Context(), "a"); len(l.Instances) != 1; l, err = one.Resolve(t.Context(), "a") {
					if err != nil && one == client {
						t.Fatal(err)
					}
				}
			}
			bad.Store(true)
			l, err := hurried.Resolve(t.Context(), "a")
			if err != nil || len(l.Instances) != 1 || l.Trouble == nil || !strings.Contains(l.Trouble.Error(), c.trouble) {
				t.Errorf("%+v %v", l, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := client.Resolve(ctx, "a"); err == nil {
				t.Error("a context that has ended is not honoured")
			}
		})
	}
}

// blank is a registry that answers blanks as fast as they are read.
type blank struct{ sent int }

// RoundTrip implements http.RoundTripper.
func (b *blank) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(b)}, nil
}

// Read implements io.Reader.
func (b *blank) Read(p []byte) (int, error) {
	b.sent += len(p)
	return len(p), nil
}

// TestAListWithoutAnEndIsNotRead beyond the longest that may be.
func TestAListWithoutAnEndIsNotRead(t *testing.T) {
	b := new(blank)
	c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://one"}, Transport: b, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	const most = 64 << 20
	if l, err := c.Resolve(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "longer than 67108864 bytes") || b.sent != most+1 {
		t.Errorf("%+v %v; %d bytes were read", l, err, b.sent)
	}
}

// TestRegistriesThatAreNotWellAreAskedInTurn: the first that answers is asked on, also
// when an earlier one is back; who is away costs each try once.
func TestRegistriesThatAreNotWellAreAskedInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{Preserve: eureka.PreserveNever})
		well := map[string]bool{"three": true}
		w.use(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			if !well[r.URL.Host] {
				out.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			s.ServeHTTP(out, r)
		}))
		c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://one/e", "http://two/eureka", " http://three/eureka/ "}, Transport: w})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			says string
			well []string
			sent string
		}{
			{"only the last", []string{"three"}, "one/e/apps two/eureka/apps three/eureka/apps"},
			{"all", []string{"one", "two", "three"}, "three/eureka/apps/delta"},
			{"not the last", []string{"two"}, "three/eureka/apps/delta one/e/apps/delta two/eureka/apps/delta"},
			{"none", nil, "two/eureka/apps/delta three/eureka/apps/delta one/e/apps/delta"},
			{"the one that was asked last", []string{"two"}, "two/eureka/apps/delta"},
		} {
			clear(well)
			for _, host := range step.well {
				well[host] = true
			}
			l, err := c.Resolve(t.Context(), "a")
			if err != nil || (l.Trouble == nil) != (step.well != nil) {
				t.Errorf("%s well: %+v %v", step.says, l, err)
			}
			if got := strings.ReplaceAll(strings.ReplaceAll(w.requests(), "GET ", ""), "\n", " "); got != step.sent {
				t.Errorf("%s well: sent %s, want %s", step.says, got, step.sent)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

// TestTheRhythmOfAnAnnouncement: how often a registry hears of an instance in ten
// minutes, whatever it answers; and goodbye is said once, if it may know of it.
func TestTheRhythmOfAnAnnouncement(t *testing.T) {
	registered := eureka.NewServer(eureka.ServerConfig{})
	forgetful := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[bool]int{true: 204, false: 404}[r.Method == http.MethodPost])
	}
	for _, c := range []struct {
		says             string
		answer           http.Handler
		post, put, leave int
	}{
		{"as it should", registered, 1, 19, 1},
		{"nothing: it is away", nil, 120, 0, 1},
		{"an error", status(500), 120, 0, 1},
		{"too many", status(429), 120, 0, 1},
		{"no", status(400), 120, 0, 1},
		{"elsewhere", http.RedirectHandler("http://evil/", http.StatusTemporaryRedirect), 120, 0, 1},
		{"yes, and forgets at once", http.HandlerFunc(forgetful), 20, 19, 1},
		{"yes to everything", says(""), 1, 19, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := new(wire)
			w.use(c.answer)
			stop := announce(t, newClient(t, w), people())
			time.Sleep(10*time.Minute - time.Millisecond)
			stop()
			sent := w.requests()
			if post, put, leave := strings.Count(sent, "POST"), strings.Count(sent, "PUT"), strings.Count(sent, "DELETE"); post != c.post || put != c.put || leave != c.leave || strings.Contains(sent, "evil") {
				t.Errorf("answered %s it sends %d POST, %d PUT, %d DELETE, want %d, %d, %d", c.says, post, put, leave, c.post, c.put, c.leave)
			}
			time.Sleep(time.Hour)
			if sent := w.requests(); sent != "" {
				t.Errorf("answered %s it goes on after the end: %s", c.says, sent)
			}
		})
	}
}

// hanging is a registry that takes requests and never answers.
type hanging struct{}

// RoundTrip implements http.RoundTripper.
func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestAStopIsHeardAtOnce, also while a registry hangs: goodbye gets two seconds.
func TestAStopIsHeardAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, urls := range [][]string{{"http://one"}, {"http://one", "http://two", "http://three"}} {
			c, err := eureka.NewClient(eureka.ClientConfig{URLs: urls, Transport: hanging{}, Timeout: time.Hour, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			stop := announce(t, c, people())
			time.Sleep(time.Minute)
			start := time.Now()
			stop()
			if took := time.Since(start); took != 2*time.Second {
				t.Errorf("the end took %v", took)
			}
		}
		w := new(wire)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		newClient(t, w).Announce(ended, people())
		if sent := w.requests(); strings.Contains(sent, "PUT") || strings.Count(sent, "POST") > 1 {
			t.Errorf("whose context had ended at the start sends %s", sent)
		}
	})
}

// TestAnOrderThatIsTakenBackEndsForOurOwnToo: an operator ordered and took it back by a
// clock that is ahead; the announced instance is UP again within a heartbeat.
func TestAnOrderThatIsTakenBackEndsForOurOwnToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{})
		w.use(s)
		defer announce(t, newClient(t, w), people())()
		synctest.Wait()
		path := "/eureka/apps/USER-SERVICE/" + peopleID
		ahead := fmt.Sprint("lastDirtyTimestamp=", time.Now().Add(10*time.Second).UnixMilli())
		s.wants(200, http.MethodPut, path+"/status?value=OUT_OF_SERVICE&"+ahead, "")
		time.Sleep(time.Second)
		s.wants(200, http.MethodDelete, path+"/status?"+ahead, "")
		s.shows("/eureka/apps", "UNKNOWN_1_", "USER-SERVICE/"+peopleID+" UNKNOWN MODIFIED")
		time.Sleep(30 * time.Second)
		synctest.Wait()
		s.shows("/eureka/apps", "UP_1_", "USER-SERVICE/"+peopleID+" UP ADDED")
	})
}

// TestTheDeltaAndTheWholeListEndTheSame: a client that follows deltas resolves what one
// that is new resolves, however the instances come, go and change.
func TestTheDeltaAndTheWholeListEndTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, s := new(wire), newRegistry(t, eureka.ServerConfig{Preserve: eureka.PreserveNever})
		w.use(s)
		follower := newClient(t, w)
		for step := range 300 {
			id := fmt.Sprint((step * step) % 7)
			path := "/eureka/apps/A/" + id
			switch (step * 5) % 6 {
			case 0, 1, 2:
				s.register("A", id, fmt.Sprintf(`"status":"%s","vipAddress":"x%d"`, []string{"UP", "UP", "DOWN"}[step%3], step%2))
			case 3:
				s.call(http.MethodDelete, path, "")
			case 4:
				s.call(http.MethodPut, path+"/status?value=OUT_OF_SERVICE", "")
			case 5:
				s.call(http.MethodDelete, path+"/status?value=UP", "")
			}
			time.Sleep(time.Duration(step%4) * 5 * time.Second)
			fresh := newClient(t, w)
			for _, name := range []string{"a", "x0", "X1"} {
				want, err := fresh.Resolve(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				got, err := follower.Resolve(t.Context(), name)
				if err != nil || step%4 > 0 && fmt.Sprint(got.Instances) != fmt.Sprint(want.Instances) {
					t.Fatalf("step %d: %s is at %v, want %v; %v", step, name, got.Instances, want.Instances, err)
				}
			}
		}
	})
}

// TestAddressesWithMoreThanAPathAreNoRegistries.
func TestAddressesWithMoreThanAPathAreNoRegistries(t *testing.T) {
	for _, text := range []string{"http://a#f", "http://a/eureka#", "http://a?", "http://a/?x", "//a", "http:a", "http://a b", "http://[::1", "http://a:port", "\x00"} {
		if _, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{text}}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestBehindALoopbackPortNobodyListens: an instance is told so, and goes on.
func TestBehindALoopbackPortNobodyListens(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(l.Addr().String())
	_ = l.Close()
	c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://me:secret@" + addr.String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got, err := c.Resolve(t.Context(), "a"); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "service a: ") {
		t.Errorf("%+v %v", got, err)
	}
}
