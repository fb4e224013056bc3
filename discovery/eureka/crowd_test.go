package eureka_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/discovery/eureka"
)

// TestManyAtOnce: instances come, beat, change and go over real connections while others
// read; what stays is what should.
func TestManyAtOnce(t *testing.T) {
	s := eureka.NewServer(eureka.ServerConfig{})
	server := httptest.NewServer(s)
	defer server.Close()
	client := server.Client()
	send := func(method, path, body string, want ...int) {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/eureka/apps"+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		if !slices.Contains(want, resp.StatusCode) {
			t.Errorf("%s %s: %d", method, path, resp.StatusCode)
		}
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			app, id := fmt.Sprint("APP", i%3), fmt.Sprint("i", i)
			body := strings.ReplaceAll(registration(app, id), "10.0.0.7", "127.0.0.1")
			for range 5 {
				send("POST", "/"+app, body, 204)
				send("PUT", "/"+app+"/"+id, "", 200)
				send("PUT", "/"+app+"/"+id+"/metadata?k=v", "", 200)
				send("PUT", "/"+app+"/"+id+"/status?value=DOWN", "", 200)
				send("GET", "/delta", "", 200)
				send("DELETE", "/"+app+"/"+id+"/status?value=UP", "", 200)
				send("GET", "/"+app, "", 200, 404)
				if send("GET", "", "", 200); i%2 == 0 {
					send("DELETE", "/"+app+"/"+id, "", 200)
				}
			}
		})
	}
	all.Wait()
	if got := (&registry{t, s, "127.0.0.1"}).instances("/eureka/apps"); got.hash != "UP_4_" || len(got.rows) != 4 {
		t.Errorf("hash %s, %v", got.hash, got.rows)
	}
}

// TestAnAnnouncementOutlivesWhateverBefallsTheRegistry: in any order of breaks, restarts
// and answers that are none, an instance is back within a heartbeat after the registry
// is, and gone once it has said goodbye.
func TestAnAnnouncementOutlivesWhateverBefallsTheRegistry(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		blows := rapid.SliceOfN(rapid.SampledFrom([]string{"away", "restarted", "500", "404", "cancelled", "ordered", "hangs"}), 1, 6).Draw(rt, "blows")
		waits := rapid.SliceOfN(rapid.IntRange(0, 200), len(blows), len(blows)).Draw(rt, "seconds")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(failure); ok {
					wrong = string(r)
				}
			}()
			w := new(wire)
			now := newRegistry(failure(""), eureka.ServerConfig{})
			w.use(now)
			stop := announce(t, newClient(t, w), people())
			defer stop()
			synctest.Wait()
			for i, blow := range blows {
				switch blow {
				case "away":
					w.use(nil)
				case "restarted":
					now = newRegistry(failure(""), eureka.ServerConfig{})
					w.use(now)
				case "500", "404":
					status := map[string]int{"500": 500, "404": 404}[blow]
					w.use(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
				case "cancelled":
					now.call(http.MethodDelete, "/eureka/apps/USER-SERVICE/"+peopleID, "")
				case "ordered":
					now.call(http.MethodDelete, "/eureka/apps/USER-SERVICE/"+peopleID+"/status", "")
				case "hangs":
					w.use(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						select {
						case <-r.Context().Done():
						case <-time.After(time.Minute):
						}
					}))
				}
				time.Sleep(time.Duration(waits[i]) * time.Second)
				w.use(now)
				time.Sleep(31 * time.Second)
				synctest.Wait()
				if got := now.instances("/eureka/apps"); len(got.rows) != 1 || !strings.HasPrefix(got.hash, "UP_1") {
					now.Fatalf("after %v it is %v", blows[:i+1], got)
				}
			}
			stop()
			now.shows("/eureka/apps", "")
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// TestAFollowerKnowsWhatTheRegistryLists, whatever happens there: after each step the
// client's list is that of the instances that are UP.
func TestAFollowerKnowsWhatTheRegistryLists(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		moves := rapid.SliceOfN(rapid.Custom(drawMove), 5, 30).Draw(rt, "moves")
		wrong := ""
		synctest.Test(t, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(failure); ok {
					wrong = string(r)
				}
			}()
			w := &world{registry: newRegistry(failure(""), eureka.ServerConfig{Preserve: eureka.PreserveNever}), model: map[string]*believed{}, polled: []time.Time{{}}}
			w.clients = []*javaClient{{r: w.registry}}
			line := new(wire)
			line.use(w)
			follower := newClient(t, line)
			for _, m := range moves {
				if m.client = 0; m.what == "a while" {
					continue // it would be kept waiting for longer than a delta goes
				}
				w.step(m)
				time.Sleep(5 * time.Second)
				w.wait(0)
				want := []string{}
				for name, b := range w.model {
					if b.status == "UP" && strings.HasPrefix(name, "A/") {
						want = append(want, strings.TrimPrefix(name, "A/"))
					}
				}
				slices.Sort(want)
				l, err := follower.Resolve(context.Background(), "a")
				if err != nil {
					w.Fatalf("%v", err)
				}
				got := []string{}
				for _, i := range l.Instances {
					got = append(got, i.ID)
				}
				// All are at one address here, so at most one is listed.
				if len(got) != min(1, len(want)) || len(got) == 1 && got[0] != want[0] {
					w.Fatalf("after %+v it knows %v of %v", m, got, want)
				}
			}
		})
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// TestAHostWithoutAnIDIsKnownByItsName, and one at Amazon by that of its machine.
func TestAHostWithoutAnIDIsKnownByItsName(t *testing.T) {
	r := newRegistry(t, eureka.ServerConfig{Allowed: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	for id, place := range map[string]string{
		"10.0.0.7": `{"name":"MyOwn"}`,
		"i-123":    `{"@class":"com.netflix.appinfo.AmazonInfo","name":"Amazon","metadata":{"instance-id":"i-123"}}`,
	} {
		body := `{"instance":{"app":"user","hostName":"10.0.0.7","ipAddr":"10.0.0.7","dataCenterInfo":` + place + `}}`
		r.wants(http.StatusNoContent, http.MethodPost, "/eureka/apps/USER", body)
		r.wants(http.StatusOK, http.MethodPut, "/eureka/apps/USER/"+id, "")
	}
	r.shows("/eureka/apps", "UP_2_", "USER/10.0.0.7 UP ADDED", "USER/i-123 UP ADDED")
}
