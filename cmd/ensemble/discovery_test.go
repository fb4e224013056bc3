package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ensemble/discovery/eureka"
	"ensemble/internal/telemetry"
)

// instance is what a registration in a test is, of a service at an address.
func instance(app, ip string) string {
	return `{"instance":{"instanceId":"` + ip + `","app":"` + app + `","hostName":"` + ip + `","ipAddr":"` + ip + `","port":{"$":1,"@enabled":"true"},"dataCenterInfo":{"name":"MyOwn"}}}`
}

// exchange sends a request and returns status and body.
func exchange(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Content-Type", "application/json")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestARegistryByItself: instances, the page and its health through one guarded port; a
// restart knows nobody.
func TestARegistryByItself(t *testing.T) {
	s := &service{t: t, name: "discovery", addr: freePort(t), args: []string{"--allow-address", "10.0.0.0/8", "--max-instances", "1"}}
	s.start()
	defer s.end()
	at := "http://" + s.addr
	for _, step := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"POST", "/eureka/apps/USER-SERVICE", instance("USER-SERVICE", "192.168.0.1"), 400, "lies in no allowed range"},
		{"POST", "/eureka/v2/apps/USER-SERVICE", instance("USER-SERVICE", "10.1.2.3"), 204, ""},
		{"POST", "/eureka/apps/USER-SERVICE", instance("USER-SERVICE", "10.1.2.4"), 429, "full"},
		{"PUT", "/eureka/apps/USER-SERVICE/10.1.2.3", "", 200, ""},
		{"GET", "/eureka/apps/", "", 200, `"apps__hashcode":"UP_1_"`},
		{"GET", "/", "", 200, "USER-SERVICE"},
		{"GET", "/dashboard/style.css", "", 200, "prefers-color-scheme"},
		{"GET", "/actuator/health", "", 200, `"status":"UP"`},
		{"GET", "/metrics", "", 200, "process_"},
		{"GET", "/eureka//apps", "", 400, "problem"},
		{"GET", "/elsewhere", "", 404, "problem"},
	} {
		if status, body := exchange(t, step.method, at+step.path, step.body); status != step.status || !strings.Contains(body, step.has) {
			t.Errorf("%s %s: %d %s, want %d with %s", step.method, step.path, status, body, step.status, step.has)
		}
	}
	if code := s.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, s.stderr)
	}
	s.start()
	if _, body := exchange(t, "GET", at+"/eureka/apps", ""); !strings.Contains(body, `"application":[]`) {
		t.Errorf("after a restart: %s", body)
	}
}

// TestUpShowsItsServicesInItsRegistry, those that have a port, and takes them out when it
// stops without a word of complaint.
func TestUpShowsItsServicesInItsRegistry(t *testing.T) {
	registry, users := freePort(t), freePort(t)
	r := start(t, filepath.Join(t.TempDir(), "data"), "--discovery-addr", registry, "--user-addr", users)
	c, err := eureka.NewClient(eureka.ClientConfig{URLs: []string{"http://" + registry + "/eureka"}, Refresh: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	where := func(service string) (addrs []string) {
		l, err := c.Resolve(t.Context(), service)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range l.Instances {
			addrs = append(addrs, i.Addr)
		}
		return addrs
	}
	for service, want := range map[string][]string{"user-service": {users}, "edge-service": {r.edge}} {
		for end := time.Now().Add(time.Minute); !slices.Equal(where(service), want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is at %v, want %v", service, where(service), want)
			}
		}
	}
	if got := where("friend-service"); len(got) > 0 {
		t.Errorf("a service without a port is at %v", got)
	}
	if code := r.end(); code != 0 || r.stderr.String() != "" {
		t.Errorf("stopping ended with %d: %s", code, r.stderr)
	}
}

// TestWhatARegistryIsToldOfAService from its start to its stop.
func TestWhatARegistryIsToldOfAService(t *testing.T) {
	var health telemetry.Health
	broken := errors.New("not caught up")
	health.Add("log", func(context.Context) error { return broken })
	status := statusOf(t.Context(), &health)
	for _, step := range []struct {
		broken   error
		draining bool
		want     eureka.Status
	}{
		{errors.New("not caught up"), false, eureka.Starting},
		{nil, false, eureka.Up},
		{errors.New("no disk"), false, eureka.Down},
		{nil, false, eureka.Up},
		{nil, true, eureka.OutOfService},
	} {
		broken = step.broken
		health.SetDraining(step.draining)
		if got := status(); got != step.want {
			t.Errorf("%+v: %s", step, got)
		}
	}
}

// TestAnAddressForAllIsOneThatOthersReach.
func TestAnAddressForAllIsOneThatOthersReach(t *testing.T) {
	for text, kept := range map[string]bool{"127.0.0.1:80": true, "10.0.0.7:80": true, "0.0.0.0:80": false, "[::]:80": false} {
		got := reachable(netip.MustParseAddrPort(text))
		if got.Addr().IsUnspecified() || got.Port() != 80 || kept != (got.String() == text) {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}
