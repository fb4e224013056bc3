package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ensemble/client"
	"ensemble/internal/servertest"
	"ensemble/recommendation/neo4j"
	"ensemble/wire"
)

// service is one service by itself, started by its command line in this process.
type service struct {
	t      *testing.T
	name   string
	args   []string
	addr   string // of its port; the same at each start
	admin  string
	stop   context.CancelFunc
	ended  chan int
	stderr *lockedBuffer
}

// freePort returns an address that nobody listens at. Somebody else may take it before it
// is used, but nobody here does.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// begin starts the service and does not wait for it.
func (s *service) begin() (ready string) {
	ready = filepath.Join(s.t.TempDir(), "ready.json")
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.ended, s.stderr = stop, make(chan int, 1), new(lockedBuffer)
	args := append([]string{s.name, "--addr", s.addr, "--ready-file", ready, "--log-level", "warn"}, s.args...)
	ended, stderr := s.ended, s.stderr
	go func() { ended <- run(ctx, args, io.Discard, stderr) }()
	return ready
}

// start starts the service and waits until it serves.
func (s *service) start() {
	s.t.Helper()
	ready := s.begin()
	for {
		if text, err := os.ReadFile(ready); err == nil {
			var addresses map[string]string
			if err := json.Unmarshal(text, &addresses); err != nil {
				s.t.Fatal(err)
			}
			s.admin = addresses["admin"]
			return
		}
		select {
		case code := <-s.ended:
			s.ended <- code
			s.t.Fatalf("%s ended with %d: %s", s.name, code, s.stderr)
		case <-time.After(time.Millisecond):
		}
	}
}

// end stops the service and returns its exit code.
func (s *service) end() int {
	s.stop()
	code := <-s.ended
	s.ended <- code // for whoever asks again
	return code
}

// apart is a system of services that run by themselves on files in a folder.
type apart struct {
	t                                  *testing.T
	data                               string
	user, friend, recommendation, edge *service
}

// newApart returns services that know each other's addresses. None is started.
func newApart(t *testing.T, data string) *apart {
	t.Helper()
	one := func(name string) *service { return &service{t: t, name: name, addr: freePort(t)} }
	a := &apart{t: t, data: data, user: one("user"), friend: one("friend"), recommendation: one("recommendation"), edge: one("edge")}
	users, friends, recommendations := "http://"+a.user.addr, "http://"+a.friend.addr, "http://"+a.recommendation.addr
	a.user.args = []string{
		"--store", "sqlite:" + filepath.Join(data, "user.db"), "--keys", filepath.Join(data, "keys"),
		"--friend-url", friends, "--recommendation-url", recommendations,
	}
	a.friend.args = []string{"--store", "sqlite:" + filepath.Join(data, "friend.db"), "--user-url", users}
	a.recommendation.args = []string{"--user-url", users, "--friend-url", friends}
	a.edge.args = []string{"--user-url", users, "--friend-url", friends, "--recommendation-url", recommendations}
	t.Cleanup(func() {
		for _, s := range a.all() {
			if s.stop != nil {
				if code := s.end(); code != 0 {
					t.Errorf("%s ended with %d: %s", s.name, code, s.stderr)
				}
			}
		}
	})
	return a
}

// all returns the services, in the order in which they are stopped.
func (a *apart) all() []*service { return []*service{a.edge, a.recommendation, a.friend, a.user} }

// start starts all of them.
func (a *apart) start() *apart {
	a.t.Helper()
	for _, s := range []*service{a.user, a.friend, a.recommendation, a.edge} {
		s.start()
	}
	return a
}

// client returns a client of the gateway.
func (a *apart) client() *client.Client {
	transport := client.Transport(64)
	a.t.Cleanup(transport.CloseIdleConnections)
	return client.New("http://"+a.edge.addr, &http.Client{Transport: transport, Timeout: time.Minute})
}

// get asks one of the services itself, and returns the status and the body.
func get(t *testing.T, url string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

// eventually asks until something is so, or the test ends.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // it is a matter of milliseconds
	defer cancel()
	for !so() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}

// addAll makes people and friendships: 1-2, 2-3 and so on.
func addAll(t *testing.T, c *client.Client, people int64) {
	t.Helper()
	for id := int64(1); id <= people; id++ {
		if u, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil || u.ID != id {
			t.Fatalf("%+v, %v", u, err)
		}
		if id > 1 {
			if _, a, err := c.AddFriend(t.Context(), id-1, id, ""); err != nil || !a.Created {
				t.Fatalf("%+v, %v", a, err)
			}
		}
	}
}

// recommended waits until a person is recommended exactly somebody.
func recommended(t *testing.T, c *client.Client, id int64, want ...int64) {
	t.Helper()
	eventually(t, "the recommendations are right", func() bool {
		got, err := c.Recommend(t.Context(), id, 0)
		if err != nil || len(got) != len(want) {
			return false
		}
		for i := range got {
			if got[i].User.ID != want[i] {
				return false
			}
		}
		return true
	})
}

// TestServicesThatRunApartAreOneSystem: commands, queries, erasing and its receipt go
// through all of them, and what one process has kept the next one goes on with.
func TestServicesThatRunApartAreOneSystem(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	a := newApart(t, data).start()
	c := a.client()
	addAll(t, c, 5)
	recommended(t, c, 1, 3)
	if _, _, err := c.AddFriend(t.Context(), 1, 77, ""); !slugIs(err, wire.UserNotFound) {
		t.Errorf("nobody has the id 77: %v", err)
	}
	if _, err := c.Erase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the erasure is complete", func() bool {
		receipt, err := c.Erasure(t.Context(), 2)
		return err == nil && receipt.Complete && receipt.Done.FriendshipsRemaining == 0
	})
	if friends, err := c.Friends(t.Context(), 3); err != nil || len(friends) != 1 || friends[0].FriendID != 4 {
		t.Errorf("3 has %+v, %v", friends, err)
	}
	if _, _, err := c.AddFriend(t.Context(), 1, 2, ""); !slugIs(err, wire.UserNotFound) {
		t.Errorf("2 is erased: %v", err)
	}
	for _, s := range a.all() {
		if code := s.end(); code != 0 {
			t.Errorf("%s ended with %d: %s", s.name, code, s.stderr)
		}
	}
	verified(t, data)
	// One process goes on with the same files, then several again.
	r := start(t, data)
	recommended(t, r.client(), 3, 5)
	if code := r.end(); code != 0 {
		t.Fatal(r.stderr)
	}
	a.start()
	recommended(t, c, 3, 5)
	if u, _, err := c.CreateUser(t.Context(), "Next", "", ""); err != nil || u.ID != 6 {
		t.Errorf("%+v, %v", u, err)
	}
}

// slugIs says whether an error is a problem of some kind.
func slugIs(err error, slug wire.Slug) bool {
	problem, ok := errors.AsType[*client.ProblemError](err)
	return ok && problem.Slug() == slug
}

// TestWhileTheUserServiceIsAway friendships of people who are known go on, others wait, and
// whoever looks is told; when it is back, everything goes on by itself.
func TestWhileTheUserServiceIsAway(t *testing.T) {
	a := newApart(t, filepath.Join(t.TempDir(), "data")).start()
	c := a.client()
	addAll(t, c, 4) // all but 4 twice, so all are known
	if _, _, err := c.CreateUser(t.Context(), "Not", "Seen", ""); err != nil {
		t.Fatal(err)
	}
	a.user.end()
	if _, made, err := c.AddFriend(t.Context(), 1, 3, ""); err != nil || !made.Created {
		t.Errorf("both are known: %v", err)
	}
	_, _, err := c.AddFriend(t.Context(), 1, 5, "")
	problem, ok := errors.AsType[*client.ProblemError](err)
	if !ok || problem.Slug() != wire.UsersUnavailable || problem.RetryAfter == 0 || problem.Problem.Instance != "/friend/v1/users/1/commands/addFriend" {
		t.Errorf("5 is not known: %v", err)
	}
	if _, err := c.RemoveFriend(t.Context(), 1, 2, ""); err != nil {
		t.Errorf("ending a friendship needs nobody: %v", err)
	}
	recommended(t, c, 2, 1, 4)
	if _, _, err := c.User(t.Context(), 1); !slugIs(err, wire.NoInstance) {
		t.Errorf("the gateway says %v", err)
	}
	if status, _, body := get(t, a.friend.addr+"/readyz?verbose"); status != 200 || !strings.Contains(body, "[?]user-service away") {
		t.Errorf("friend is ready: %d %s", status, body)
	}
	if status, _, body := get(t, a.friend.addr+"/actuator/health"); status != 200 || !strings.Contains(body, `"user-service":{"status":"UNKNOWN"}`) {
		t.Errorf("friend's health: %d %s", status, body)
	}
	if status, _, body := get(t, a.edge.addr+"/actuator/health"); status != 503 || !strings.Contains(body, `"user":{"status":"DOWN"}`) ||
		!strings.Contains(body, `"friend":{"status":"UP"}`) {
		t.Errorf("the gateway's health: %d %s", status, body)
	}
	a.user.start()
	eventually(t, "5 can be befriended", func() bool {
		_, made, err := c.AddFriend(t.Context(), 1, 5, "")
		return err == nil && made.Created
	})
	if _, err := c.Erase(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the friendships of 3 are ended", func() bool {
		friends, err := c.Friends(t.Context(), 3)
		return err == nil && len(friends) == 0
	})
	if _, _, err := c.AddFriend(t.Context(), 2, 3, ""); !slugIs(err, wire.UserNotFound) {
		t.Errorf("3 is not known any more: %v", err)
	}
}

// TestRecommendationsAreNotReadyBeforeTheyKnowWhatWasThere, and say so in every way; while
// the others are away later, they go on.
func TestRecommendationsAreNotReadyBeforeTheyKnowWhatWasThere(t *testing.T) {
	a := newApart(t, filepath.Join(t.TempDir(), "data"))
	a.recommendation.begin() // nobody is there yet
	eventually(t, "it listens", func() bool {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", a.recommendation.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	if status, _, body := get(t, a.recommendation.addr+"/readyz?verbose"); status != 503 || !strings.Contains(body, "[-]projections") {
		t.Errorf("it is ready: %d %s", status, body)
	}
	path := a.recommendation.addr + "/v1/users/1/commands/recommendFriends"
	status, headers, body := get(t, path)
	if status != 503 || headers.Get("Retry-After") == "" || !strings.Contains(body, string(wire.ProjectionBehind)) {
		t.Errorf("it answers %d %s", status, body)
	}
	for _, s := range []*service{a.user, a.friend, a.edge} {
		s.start()
	}
	c := a.client()
	addAll(t, c, 3)
	eventually(t, "it is ready", func() bool {
		status, _, _ := get(t, a.recommendation.addr+"/readyz")
		return status == 200
	})
	if status, headers, body := get(t, path, "Min-Event-Position", "user:3, friend:2", "Prefer", "wait=30"); status != 200 ||
		!strings.Contains(body, `"id":3`) || headers.Get("Projection-Position") != "user:3, friend:2" {
		t.Errorf("it answers %d %v %s", status, headers, body)
	}
	a.user.end()
	a.friend.end()
	recommended(t, c, 1, 3)
	if status, _, body := get(t, a.recommendation.addr+"/readyz?verbose"); status != 200 {
		t.Errorf("it needs nobody any more: %d %s", status, body)
	}
	if status, _, body := get(t, path, "Min-Event-Position", "user:3@00000000"); status != 410 {
		t.Errorf("a position of another log is answered %d %s", status, body)
	}
}

// TestALogThatIsReplacedMakesAnotherGraph: a backup is restored, people who were created
// since are not there any more, and the graph and the friendships of the erased are those
// of the log that is there.
func TestALogThatIsReplacedMakesAnotherGraph(t *testing.T) { putBack(t) }

// putBack puts an older copy of the logs in their place while they are followed, and has
// them grow differently. graph are arguments of the service of recommendations.
func putBack(t *testing.T, graph ...string) {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	a := newApart(t, data)
	a.recommendation.args = append(a.recommendation.args, graph...)
	a.start()
	c := a.client()
	addAll(t, c, 3)
	recommended(t, c, 1, 3)
	for _, s := range []*service{a.user, a.friend} {
		s.end()
	}
	kept := filepath.Join(dir, "kept")
	if err := os.CopyFS(kept, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	a.user.start()
	a.friend.start()
	for range 3 { // what is lost with the folder
		if _, _, err := c.CreateUser(t.Context(), "Lost", "", ""); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "6 can be befriended", func() bool {
		_, made, err := c.AddFriend(t.Context(), 2, 6, "")
		return err == nil && made.Created
	})
	recommended(t, c, 1, 3, 6)
	for _, s := range []*service{a.user, a.friend} {
		s.end()
	}
	if err := errors.Join(os.RemoveAll(data), os.Rename(kept, data)); err != nil {
		t.Fatal(err)
	}
	a.user.start()
	a.friend.start()
	recommended(t, c, 1, 3)
	for range 3 { // others, at the same positions
		if u, _, err := c.CreateUser(t.Context(), "Other", "", ""); err != nil || u.FirstName != "Other" {
			t.Fatalf("%+v, %v", u, err)
		}
	}
	if _, _, err := c.AddFriend(t.Context(), 2, 4, ""); err != nil {
		t.Fatal(err)
	}
	recommended(t, c, 1, 3, 4)
	if got, err := c.Recommend(t.Context(), 1, 0); err != nil || got[1].User.FirstName != "Other" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestEachServiceHasItsOffice: what operators ask and order of it.
func TestEachServiceHasItsOffice(t *testing.T) {
	a := newApart(t, filepath.Join(t.TempDir(), "data")).start()
	addAll(t, a.client(), 3)
	recommended(t, a.client(), 1, 3)
	for _, c := range []struct {
		service *service
		path    string
		wants   []string
	}{
		{a.user, "lag", []string{`"projection":"users","log":"user","kind":"view","position":3,"head":3,"behind":0`}},
		{a.friend, "lag", []string{`"projection":"friends"`}},
		{a.friend, "breakers", []string{`{"service":"user-service","transport":"http","state":"closed"}`}},
		{a.recommendation, "lag", []string{`"log":"user","kind":"follower","position":3,"head":3,"behind":0`, `"log":"friend"`}},
		{a.edge, "instances", []string{`{"service":"user-service","address":"` + a.user.addr + `","status":"UP"}`, `"recommendation-service"`, `"edge-service"`}},
		{a.edge, "config", []string{`"user-url":["http://` + a.user.addr + `"]`}},
	} {
		status, _, body := get(t, c.service.admin+"/admin/v1/"+c.path)
		for _, want := range c.wants {
			if status != 200 || !strings.Contains(body, want) {
				t.Errorf("%s of %s is %d %s, and lacks %s", c.path, c.service.name, status, body, want)
			}
		}
	}
	for _, s := range a.all() {
		status, _, body := get(t, s.admin+"/metrics")
		if status != 200 || !strings.Contains(body, `http_server_request_duration_seconds`) {
			t.Errorf("metrics of %s: %d", s.name, status)
		}
	}
	if _, _, body := get(t, a.recommendation.addr+"/metrics"); !strings.Contains(body, `ensemble_projection_lag_events{projection="users"} 0`) {
		t.Errorf("no lag in %s", body)
	}
	for service, name := range map[*service]string{a.user: "users", a.friend: "friends", a.recommendation: "recommendation"} {
		out := new(lockedBuffer)
		if code := run(t.Context(), []string{"rebuild", name, "--admin", "http://" + service.admin}, out, out); code != 0 {
			t.Errorf("rebuild %s: %s", name, out)
		}
	}
	recommended(t, a.client(), 1, 3)
}

// TestAServiceThatCanNotBeSaysWhy and which flag mends it, and leaves nothing behind.
func TestAServiceThatCanNotBeSaysWhy(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for args, says := range map[string]string{
		"user --store " + data:                      "--store " + data + " is not the address of a store: write sqlite:PATH",
		"user --store sqlite:":                      "is not the address of a store",
		"user --broker rabbit://u:hunter2@h":        "--broker rabbit://u:***@h is not the address of a broker",
		"friend --migrate-store postgres://h/d":     "--migrate-store is for Postgres",
		"user --keys vault://u:hunter2@h":           "--keys vault://u:***@h is not where keys can be",
		"user --keys postgres://u:hunter2@h:x/":     "the URL of the keys can't be read",
		"friend --user-url users":                   "--user-url users is not the address of a service: write it like http://127.0.0.1:8120",
		"friend --user-url http://a,http://b":       "--user-url",
		"recommendation --graph sql://h":            "--graph sql://h is not the address of a graph",
		"recommendation --friend-url :":             "--friend-url",
		"edge --user-url http://a/user":             "--user-url: \"http://a/user\" is not the address of a service",
		"edge --backend-timeout 1ms":                "--backend-timeout 1ms is too short",
		"edge --friend-url http://a --friend-url b": "--friend-url: \"b\"",
		"edge --max-connections 0":                  "--max-connections 0 lets nobody in",
		"user --addr 0.0.0.0:0":                     "--addr 0.0.0.0:0 can be reached from other machines",
		"friend --addr nowhere":                     "--addr \"nowhere\" is not HOST:PORT",
		"recommendation --prometheus-push-enabled":  "--prometheus-push-enabled needs to know where to",
	} {
		all := strings.Fields(args)
		if !strings.Contains(args, "--addr") {
			all = append(all, "--addr", "127.0.0.1:0")
		}
		if !strings.Contains(args, "--store") && (all[0] == "user" || all[0] == "friend") {
			all = append(all, "--store", "sqlite:"+filepath.Join(data, "x.db"))
		}
		errs := new(lockedBuffer)
		if code := run(t.Context(), all, io.Discard, errs); code != 1 || !strings.Contains(errs.String(), says) || strings.Contains(errs.String(), "hunter2") {
			t.Errorf("%s: %d %s", args, code, errs)
		}
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Error("a start that failed left something")
	}
}

// TestAFolderIsForOneServiceOfAKind: the lock of 'up' is that of the services.
func TestAFolderIsForOneServiceOfAKind(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	start(t, data)
	for _, args := range [][]string{
		{"user", "--store", "sqlite:" + filepath.Join(data, "user.db"), "--keys", filepath.Join(data, "keys")},
		{"friend", "--store", "sqlite:" + filepath.Join(data, "friend.db")},
	} {
		errs := new(lockedBuffer)
		if code := run(t.Context(), append(args, "--addr", "127.0.0.1:0"), io.Discard, errs); code != 1 || !strings.Contains(errs.String(), "another process") {
			t.Errorf("%s beside up: %d %s", args[0], code, errs)
		}
	}
}

// TestServicesThatRunApartOnPostgres: each log in a database of its own, made by the role
// that may, and served by one that can only append and read.
func TestServicesThatRunApartOnPostgres(t *testing.T) {
	owners := [2]string{servertest.Postgres(t), servertest.Postgres(t)}
	roles := [2]string{asRole(t, owners[0]), asRole(t, owners[1])} // they go when the services have ended
	a := newApart(t, filepath.Join(t.TempDir(), "data"))
	for i, s := range []*service{a.user, a.friend} {
		s.args = append(s.args, "--store", roles[i], "--migrate-store", owners[i])
	}
	a.start()
	c := a.client()
	addAll(t, c, 4)
	recommended(t, c, 1, 3)
	if _, err := c.Erase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the erasure is complete", func() bool {
		receipt, err := c.Erasure(t.Context(), 2)
		return err == nil && receipt.Complete
	})
	for _, s := range a.all() {
		if code := s.end(); code != 0 {
			t.Errorf("%s ended with %d: %s", s.name, code, s.stderr)
		}
	}
	a.start()
	recommended(t, c, 4)
	recommended(t, c, 3)
	if u, _, err := c.CreateUser(t.Context(), "Next", "", ""); err != nil || u.ID != 5 {
		t.Errorf("%+v, %v", u, err)
	}
	for service, name := range map[*service]string{a.user: "users", a.friend: "friends"} {
		out := new(lockedBuffer)
		if code := run(t.Context(), []string{"rebuild", name, "--admin", "http://" + service.admin}, out, out); code != 0 || !strings.Contains(out.String(), "the same as before") {
			t.Errorf("rebuild %s: %s", name, out)
		}
	}
}

// TestReplicasOfTheUserServiceShareLogAndKeys: what one has recorded the other answers, and
// who was erased by one has no name at the other. Keys of nobody are refused beside a log.
func TestReplicasOfTheUserServiceShareLogAndKeys(t *testing.T) {
	people, keys, others := servertest.Postgres(t), servertest.Postgres(t), servertest.Postgres(t)
	master := filepath.Join(t.TempDir(), "secret", "master.key")
	replica := func(args ...string) *service {
		return &service{t: t, name: "user", addr: freePort(t), args: append([]string{"--store", people, "--keys", keys, "--master-key", master}, args...)}
	}
	one, two := replica(), replica()
	for _, s := range []*service{one, two} {
		s.start()
		defer func() {
			if code := s.end(); code != 0 {
				t.Errorf("ended with %d: %s", code, s.stderr)
			}
		}()
	}
	direct := func(s *service) *client.Client {
		transport := client.Transport(4)
		t.Cleanup(transport.CloseIdleConnections)
		return client.Direct("http://"+s.addr, "user", &http.Client{Transport: transport, Timeout: time.Minute})
	}
	ada, _, err := direct(one).CreateUser(t.Context(), "Ada", "Lovelace", "")
	if err != nil || ada.ID != 1 {
		t.Fatalf("%+v, %v", ada, err)
	}
	if status, _, body := get(t, two.addr+"/v1/users/1"); status != 200 || !strings.Contains(body, "Lovelace") {
		t.Fatalf("%d %s", status, body)
	}
	if next, _, err := direct(two).CreateUser(t.Context(), "Grace", "Hopper", ""); err != nil || next.ID != 2 {
		t.Fatalf("%+v, %v", next, err)
	}
	if _, err := direct(two).Erase(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if status, _, body := get(t, one.addr+"/v1/users/1"); status != http.StatusGone || strings.Contains(body, "Lovelace") {
		t.Errorf("erased by the other: %d %s", status, body)
	}
	if status, _, body := get(t, one.addr+"/v1/events?after=0"); status != 200 || strings.Contains(body, "Lovelace") || !strings.Contains(body, "Hopper") {
		t.Errorf("its events: %d %s", status, body)
	}
	lost := replica("--keys", others, "--master-key", filepath.Join(t.TempDir(), "master.key"))
	lost.begin()
	if code := <-lost.ended; code != 1 || !strings.Contains(lost.stderr.String(), "no keys in postgres://") {
		t.Errorf("with keys of nobody it ended with %d: %s", code, lost.stderr)
	}
}

// asRole returns the address of a database for a role that owns nothing in it.
func asRole(t *testing.T, owner string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), owner)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	role := "serving_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(t.Context(), "create role "+role+" login"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), owner)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), "drop owned by "+role+"; drop role "+role); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	return u.String()
}

// TestTheGraphMayBeInNeo4j: what it answers is what memory answers, also after a restart.
func TestTheGraphMayBeInNeo4j(t *testing.T) {
	address := servertest.Neo4j(t)
	b, err := neo4j.Open(t.Context(), neo4j.Config{URL: address})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Empty(t.Context()), b.Close(t.Context())); err != nil {
		t.Fatal(err)
	}
	a := newApart(t, filepath.Join(t.TempDir(), "data"))
	a.recommendation.args = append(a.recommendation.args, "--graph", address)
	a.start()
	c := a.client()
	addAll(t, c, 5)
	recommended(t, c, 1, 3)
	a.recommendation.end()
	a.recommendation.start()
	recommended(t, c, 3, 1, 5)
	if shared, err := c.Mutual(t.Context(), 3, 5); err != nil || len(shared) != 1 || shared[0].ID != 4 {
		t.Errorf("%+v, %v", shared, err)
	}
	// Other logs take the place of these, while nobody looks.
	for _, s := range a.all() {
		s.end()
	}
	if err := os.RemoveAll(a.data); err != nil {
		t.Fatal(err)
	}
	a.start()
	addAll(t, c, 3)
	recommended(t, c, 1, 3)
	recommended(t, c, 3, 1)
}
