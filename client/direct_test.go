package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"ensemble/api/apitest"
	"ensemble/client"
	"ensemble/wire"
)

// direct returns a client of one service on its own port.
func direct(t *testing.T, h http.Handler, service string) *client.Client {
	t.Helper()
	server := httptest.NewServer(h)
	transport := client.Transport(4)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return client.Direct(server.URL+"/", service, &http.Client{Transport: transport})
}

// TestAServiceIsCalledOnItsOwnPortAsThroughTheGateway: commands, queries, pages, feeds and
// health, without the prefix that only the gateway knows.
func TestAServiceIsCalledOnItsOwnPortAsThroughTheGateway(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	users, friends, recommendations := direct(t, s.User, "user"), direct(t, s.Friend, "friend"), direct(t, s.Recommendation, "recommendation")
	ctx := t.Context()
	for range 5 {
		if _, _, err := users.CreateUser(ctx, "Ada", "L", ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, a, err := users.User(ctx, 5); err != nil || a.ETag == "" {
		t.Errorf("%+v, %v", a, err)
	}
	if found, err := users.UsersByID(ctx, 9, 2, 1); err != nil || len(found) != 2 {
		t.Errorf("%+v, %v", found, err)
	}
	n := 0
	for _, err := range users.EachUser(ctx, 2) { // the link to the next page has no prefix here
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 5 {
		t.Errorf("there are %d people", n)
	}
	for _, pair := range [][2]int64{{1, 2}, {2, 3}} {
		if _, a, err := friends.AddFriend(ctx, pair[0], pair[1], ""); err != nil || !a.Created || a.Location[:4] != "/v1/" {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	s.Settle(t)
	if ranked, err := recommendations.Recommend(ctx, 1, 0); err != nil || len(ranked) != 1 || ranked[0].User.ID != 3 {
		t.Errorf("%+v, %v", ranked, err)
	}
	if h, err := friends.Health(ctx, "friend"); err != nil || h.Status != "UP" {
		t.Errorf("%+v, %v", h, err)
	}
	next := int64(0)
	for e, err := range friends.Events(ctx, "friend", client.Feed{}) {
		if next++; err != nil || e.Position != next {
			t.Fatalf("event %d is %+v, %v", next, e, err)
		}
		if next == 2 {
			break
		}
	}
	if _, _, err := friends.User(ctx, 1); err == nil {
		t.Error("the service of friendships says who somebody is")
	}
}

// TestWhereALogEndsAndWhoHasFollowedItSoFar.
func TestWhereALogEndsAndWhoHasFollowedItSoFar(t *testing.T) {
	s, c := connect(t)
	empty, err := c.Head(t.Context(), "user")
	if err != nil || empty.Position != 0 || empty.Log != "user" || len(empty.Lineage) != 1 || empty.Lineage[0].First != 1 {
		t.Fatalf("%+v, %v", empty, err)
	}
	for range 3 {
		if _, _, err := c.CreateUser(t.Context(), "Ada", "L", ""); err != nil {
			t.Fatal(err)
		}
	}
	head, err := c.Head(t.Context(), "user")
	if err != nil || head.Position != 3 || head.Lineage[0] != empty.Lineage[0] {
		t.Fatalf("%+v, %v", head, err)
	}
	e, err := c.Next(t.Context(), "user", 1)
	if err != nil || e.Position != 2 || e.ID != head.Lineage[0].UUID+":2" {
		t.Errorf("the next event is %+v, %v", e, err)
	}
	if e, err := c.Next(t.Context(), "user", 4); err == nil {
		t.Errorf("behind the end there is %+v", e)
	}
	s.Settle(t)
	if at, err := c.Followed(t.Context(), "recommendation"); err != nil || at != 3 {
		t.Errorf("recommendations have come to %d, %v", at, err)
	}
	// In one process friendships follow nobody: the log of people is at hand.
	if at, err := c.Followed(t.Context(), "friend"); err == nil {
		t.Errorf("friendships have come to %d", at)
	}
}

// TestHowFarAServiceHasComeIsRead, whatever else it follows.
func TestHowFarAServiceHasComeIsRead(t *testing.T) {
	for header, want := range map[string]int64{
		"user:7": 7, "user:0": 0, "friend:9, user:8": 8, "friend:9": -1, "": -1, "user": -1,
	} {
		c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Projection-Position", header)
			_, _ = w.Write([]byte("[]"))
		}))
		if at, err := c.Followed(t.Context(), "friend"); want >= 0 && at != want || (want < 0) != (err != nil) {
			t.Errorf("%q is read as %d, %v", header, at, err)
		}
	}
	c := clientOf(t, http.NotFoundHandler())
	var problem *client.ProblemError
	if _, err := c.Followed(t.Context(), "recommendation"); !errors.As(err, &problem) || problem.Problem.Status != 404 {
		t.Errorf("nobody has come to %v", err)
	}
	if _, err := c.Head(t.Context(), "user"); !errors.As(err, &problem) || problem.Slug() != wire.Slug("") {
		t.Errorf("no log ends at %v", err)
	}
}
