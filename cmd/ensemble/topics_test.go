package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"ensemble/broker"
	brokers "ensemble/broker/memory"
	"ensemble/eventstore"
	"ensemble/friend"
	"ensemble/user"
	"ensemble/wire"
)

// fakeKafka is a broker that speaks Kafka's protocol, for one test.
func fakeKafka(t *testing.T) string {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return "kafka://" + strings.Join(cluster.ListenAddrs(), ",")
}

// over adds a broker to all services that have something to do with one.
func (a *apart) over(address string) *apart {
	for _, s := range []*service{a.user, a.friend, a.recommendation} {
		s.args = append(s.args, "--broker", address)
	}
	return a
}

// TestServicesThatRunApartOverTopicsAreOneSystem: what is published reaches recommendations
// through topics, with the positions that commands were answered with; whoever starts again
// reads the topics from their beginning.
func TestServicesThatRunApartOverTopicsAreOneSystem(t *testing.T) {
	a := newApart(t, filepath.Join(t.TempDir(), "data")).over(fakeKafka(t)).start()
	c := a.client()
	addAll(t, c, 4)
	path := a.recommendation.addr + "/v1/users/1/commands/recommendFriends"
	status, headers, body := get(t, path, "Min-Event-Position", "user:4, friend:3", "Prefer", "wait=30")
	if status != 200 || !strings.Contains(body, `"id":3`) || headers.Get("Projection-Position") != "user:4, friend:3" {
		t.Errorf("it answers %d %v %s", status, headers, body)
	}
	if _, err := c.Erase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the erasure is complete", func() bool {
		receipt, err := c.Erasure(t.Context(), 2)
		return err == nil && receipt.Complete
	})
	recommended(t, c, 1)
	if code := a.recommendation.end(); code != 0 {
		t.Fatal(a.recommendation.stderr)
	}
	a.user.end() // the topics have everything
	a.friend.end()
	a.recommendation.start()
	recommended(t, c, 1)
	if status, _, body := get(t, a.recommendation.admin+"/admin/v1/lag"); status != 200 || !strings.Contains(body, `"log":"user","kind":"follower","position":5,"head":5,"behind":0`) {
		t.Errorf("lag: %d %s", status, body)
	}
	a.friend.start()
	a.user.start()
	eventually(t, "4 and 1 are recommended to each other", func() bool {
		_, _, _ = c.AddFriend(t.Context(), 1, 3, "")
		got, err := c.Recommend(t.Context(), 1, 0)
		return err == nil && len(got) == 1 && got[0].User.ID == 4
	})
	if _, _, body := get(t, a.user.addr+"/metrics"); !strings.Contains(body, `ensemble_relay_lag_events{topic="user"}`) {
		t.Error("the lag of the relay is not measured")
	}
}

// TestABrokerThatIsAwayHoldsNobodyUp: commands go on, health says who is away, and what was
// not published is once it is back.
func TestABrokerThatIsAwayHoldsNobodyUp(t *testing.T) {
	address := freePort(t)
	a := newApart(t, filepath.Join(t.TempDir(), "data")).over("kafka://" + address)
	a.user.start()
	a.friend.start()
	a.edge.start()
	a.recommendation.begin()
	c := a.client()
	addAll(t, c, 3)
	eventually(t, "it is said that the broker is away", func() bool {
		_, _, body := get(t, a.user.addr+"/actuator/health")
		return strings.Contains(body, `"broker":{"status":"UNKNOWN"}`) && strings.HasPrefix(body, `{"status":"UP"`)
	})
	var port int
	if _, err := fmt.Sscanf(address, "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	recommended(t, c, 1, 3)
}

// published is a topic at a broker in memory, and what follows it.
type published struct {
	*brokers.Broker
	g *generations
}

// followTopics follows both topics of a broker in memory, without a service behind them.
func followTopics(t *testing.T, b *brokers.Broker) *published {
	t.Helper()
	letters, err := broker.OpenDeadLetters("")
	if err != nil {
		t.Fatal(err)
	}
	nobody := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nobody.Close)
	p := newProcess(discardLog())
	graphs, err := openGraph(t.Context(), "memory", sources{}, new(resources))
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerations(p, graphs, newTopics(
		sources{users: nobody.URL, friends: nobody.URL, logger: discardLog()}, b, letters).follow)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	return &published{Broker: b, g: g}
}

// send publishes what happened in a log of a name to both topics: people, then friendships
// of one with all others.
func send(t *testing.T, b *brokers.Broker, lineage eventstore.Lineage, from, people int64) {
	t.Helper()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	users, friends := wire.UserRecords(openKeys{}), wire.FriendRecords()
	for id := from; id <= people; id++ {
		created, err := user.Encode(openKeys{}, user.Created{FirstName: fmt.Sprint("Person ", id), LastName: "L", Key: id})
		publish(t, b, "user", users, lineage, eventstore.Event{
			Stream: user.Stream(id), Version: 1, Position: eventstore.Position(id), Number: id, Type: created.Type, Data: created.Data, Time: at,
		}, err)
		if id == 1 {
			continue
		}
		added, err := friend.Encode(friend.Added{By: 1, To: id})
		publish(t, b, "friend", friends, lineage, eventstore.Event{
			Stream: friend.Stream(1, id), Version: 1, Position: eventstore.Position(id - 1), Number: id - 1, Type: added.Type, Data: added.Data, Time: at,
		}, err)
	}
}

// prepared returns a broker with both topics.
func prepared(t *testing.T) *brokers.Broker {
	t.Helper()
	b := brokers.New()
	if err := errors.Join(b.Prepare(t.Context(), "user"), b.Prepare(t.Context(), "friend")); err != nil {
		t.Fatal(err)
	}
	return b
}

// publish publishes one event.
func publish(t *testing.T, b *brokers.Broker, topic string, render render, lineage eventstore.Lineage, e eventstore.Event, err error) {
	t.Helper()
	if err == nil {
		var record broker.Record
		if record, err = render(&e, lineage); err == nil {
			_, err = b.Publish(t.Context(), topic, []broker.Record{record})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// openKeys are keys that seal nothing.
type openKeys struct{ user.Keys }

// Seal implements [user.Keys].
func (openKeys) Seal(_ int64, plain []byte) ([]byte, error) { return plain, nil }

// Open implements [user.Keys].
func (openKeys) Open(_ int64, sealed []byte) ([]byte, error) { return sealed, nil }

// ask asks whom somebody should befriend, and returns the status, positions and body.
func (p *published) ask(id int64, headers ...string) (status int, positions, body string) {
	r := httptest.NewRequest(http.MethodGet, fmt.Sprintf("/v1/users/%d/commands/recommendFriends", id), http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	p.g.ServeHTTP(w, r)
	return w.Code, w.Header().Get("Projection-Position"), w.Body.String()
}

// TestTopicsAreFollowedFromTheirBeginning, and positions are those of the logs behind them.
func TestTopicsAreFollowedFromTheirBeginning(t *testing.T) {
	b := brokers.New()
	lineage := eventstore.Lineage{{UUID: [16]byte{1}, First: 1}}
	p := followTopics(t, b)
	if status, _, body := p.ask(2); status != 503 || !strings.Contains(body, "not known yet what there is") {
		t.Errorf("before there are topics: %d %s", status, body)
	}
	for _, topic := range []string{"user", "friend"} {
		if err := b.Prepare(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
	}
	send(t, b, lineage, 1, 4)
	if err := p.g.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, positions, body := p.ask(2, "Min-Event-Position", "user:4@01000000, friend:3@01000000", "Prefer", "wait=30")
	if status != 200 || positions != "user:4, friend:3" || strings.Count(body, `"weight":1`) != 2 || !strings.Contains(body, "Person 4") {
		t.Errorf("%d %s %s", status, positions, body)
	}
	if status, _, body := p.ask(2, "Min-Event-Position", "user:4@02000000"); status != 410 {
		t.Errorf("another log: %d %s", status, body)
	}
	for _, one := range p.g.projections() {
		d, err := one.Afar(t.Context())
		if err != nil || d.Head != d.Position || d.Position == 0 {
			t.Errorf("%s: %+v, %v", one.Log, d, err)
		}
	}
	b.SetAway(true)
	if d, err := p.g.projections()[0].Afar(t.Context()); err == nil {
		t.Errorf("the broker is away, and lag is %+v", d)
	}
	b.SetAway(false)
	before := p.g.live.Load()
	if err := p.g.rebuild(t.Context(), func(eventstore.Position, eventstore.Position) {}); err != nil || p.g.live.Load() == before {
		t.Errorf("a rebuild says %v", err)
	}
	if again, positions, answer := p.ask(2); again != 200 || positions != "user:4, friend:3" || answer != body {
		t.Errorf("made anew: %d %s %s", again, positions, answer)
	}
}

// TestATopicOfALogThatWasReplacedMakesAnotherGraph: what was left behind is not in it.
func TestATopicOfALogThatWasReplacedMakesAnotherGraph(t *testing.T) {
	b := prepared(t)
	old := eventstore.Lineage{{UUID: [16]byte{1}, First: 1}}
	send(t, b, old, 1, 5)
	p := followTopics(t, b)
	if err := p.g.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "five people are known", func() bool {
		_, _, body := p.ask(2)
		return strings.Count(body, `"weight"`) == 3
	})
	// Both logs were restored from a backup of three people, and one other came.
	now := append(old[:1:1], eventstore.Fork{UUID: [16]byte{2}, First: 4})
	at := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	created, err := user.Encode(openKeys{}, user.Created{FirstName: "Another", LastName: "4", Key: 4})
	publish(t, b, "user", wire.UserRecords(openKeys{}), now, eventstore.Event{
		Stream: user.Stream(4), Version: 1, Position: 4, Number: 4, Type: created.Type, Data: created.Data, Time: at,
	}, err)
	eventually(t, "4 is another one, and 5 is gone", func() bool {
		_, positions, body := p.ask(2)
		return positions == "user:4, friend:4" && strings.Contains(body, "Another") && !strings.Contains(body, "Person 5")
	})
}

// TestTopicsOfAnotherSystemHaveNoPositions: records without headers of ours are followed,
// and who asks for a position is told that there are none.
func TestTopicsOfAnotherSystemHaveNoPositions(t *testing.T) {
	b := prepared(t)
	for _, record := range []struct{ topic, value string }{
		{"user", `{"id":-1,"createdAt":null,"subject":{"id":1,"createdAt":1669477531123,"lastModified":1669477531123,"firstName":"Ada","lastName":"L"},"eventType":"USER_CREATED"}`},
		{"user", `{"id":-2,"subject":{"id":2,"createdAt":1669477531123,"lastModified":1669477531123,"firstName":"Bob","lastName":"L"},"eventType":"USER_CREATED"}`},
		{"user", `{"id":-3,"subject":{"id":3,"createdAt":1669477531123,"lastModified":1669477531123,"firstName":"Eve","lastName":"L"},"eventType":"USER_CREATED"}`},
		{"friend", `{"subject":{"id":1,"userId":1,"friendId":2,"createdAt":1669477531123,"updatedAt":1669477531123},"eventType":"FRIEND_ADDED","friendMessage":null}`},
		{"friend", `{"subject":{"id":2,"userId":2,"friendId":3,"createdAt":1669477531123,"updatedAt":1669477531123},"eventType":"FRIEND_ADDED","friendMessage":null}`},
		{"friend", `not JSON at all`},
	} {
		if _, err := b.Publish(t.Context(), record.topic, []broker.Record{{Value: []byte(record.value), Time: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	p := followTopics(t, b)
	if err := p.g.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, positions, body := p.ask(1)
	if status != 200 || positions != "" || !strings.Contains(body, `"firstName":"Eve"`) {
		t.Errorf("%d %q %s", status, positions, body)
	}
	if status, _, body := p.ask(1, "Min-Event-Position", "user:1"); status != 400 || !strings.Contains(body, "without positions") {
		t.Errorf("a position: %d %s", status, body)
	}
}
