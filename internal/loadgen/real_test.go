package loadgen

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/client"
)

// loaded starts a whole system on a port of its own and loads a network.
func loaded(t *testing.T, people, friendships int) (c *client.Client, g *Graph, ids []int64) {
	t.Helper()
	server := httptest.NewServer(apitest.Start(t, apitest.Options{}).Gateway)
	transport := client.Transport(64)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	c = client.New(server.URL, &http.Client{Transport: transport})
	g, ids = Random(people, friendships, 3), make([]int64, people)
	report, err := Run(t.Context(), Options{Client: c, Workers: 8, Graph: g, IDs: ids, Seed: 3, Keys: "real-", Reads: 20})
	if err != nil || len(report.Void()) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	return c, g, ids
}

// TestAnOpenLoadOfEveryKindIsRefusedNothingByTheRealSystem: and leaves there what was
// planned, no more and no less.
func TestAnOpenLoadOfEveryKindIsRefusedNothingByTheRealSystem(t *testing.T) {
	c, g, ids := loaded(t, 60, 300)
	o := OpenOptions{
		Schedule: Schedule{Rate: 200, Ramp: 200 * time.Millisecond, Warmup: 100 * time.Millisecond, Duration: time.Second},
		Client:   c, Mix: everything(), Seed: 9, Graph: g, IDs: ids, Keys: "open-", InFlight: 64, Patience: time.Minute,
	}
	counts, err := o.count()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		if counts[kind] == 0 {
			t.Fatalf("nothing to do of %s: %v", kind, counts)
		}
	}
	report, err := RunOpen(t.Context(), o)
	if err != nil || len(report.Void()) != 0 {
		t.Fatalf("%v, %v", report.Void(), err)
	}
	there := map[int64]bool{}
	for u, err := range c.EachUser(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		there[u.ID] = true
	}
	if want := 60 + counts[Create] - counts[Erase]; len(there) != want {
		t.Errorf("%d people, want %d", len(there), want)
	}
	system := newStrict(g)
	for p := range o.plan(counts) {
		system.do(p)
	}
	staying := len(ids) - counts[Erase]
	for i, id := range ids[:staying] {
		want := 0
		for pair := range system.friends {
			if (pair[0] == i || pair[1] == i) && max(pair[0], pair[1]) < staying {
				want++
			}
		}
		friends, err := c.Friends(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for _, f := range friends {
			if there[f.FriendID] {
				got++ // friendships of the erased end when the system comes to it
			}
		}
		if got != want {
			t.Errorf("person %d has %d friends, want %d", id, got, want)
		}
	}
}

// TestASecondRunWithTheSameKeysDoesTheWorkOfOne: commands are known by their keys,
// also those of an open load.
func TestASecondRunWithTheSameKeysDoesTheWorkOfOne(t *testing.T) {
	c, g, ids := loaded(t, 20, 30)
	o := OpenOptions{
		Schedule: Schedule{Rate: 100, Duration: 500 * time.Millisecond, Constant: true},
		Client:   c, Mix: Mix{{Create, 1}, {Add, 1}, {Remove, 1}}, Seed: 4, Graph: g, IDs: ids, Keys: "twice-", InFlight: 8, Patience: time.Minute,
	}
	for range 2 {
		if report, err := RunOpen(t.Context(), o); err != nil || len(report.Void()) != 0 || report.All.Done != 50 {
			t.Fatalf("%v, %v", report.Void(), err)
		}
	}
	counts, err := o.count()
	if err != nil {
		t.Fatal(err)
	}
	u, _, err := c.CreateUser(t.Context(), "Next", "", "")
	if want := int64(20 + counts[Create] + 1); err != nil || u.ID != want {
		t.Errorf("the next person is %d, want %d, %v", u.ID, want, err)
	}
}
