package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ensemble/client"
	"ensemble/wire"
)

// fakeCluster starts a broker that speaks Kafka's protocol.
func fakeCluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

// throughTopics returns services whose events go through a broker.
func throughTopics(t *testing.T, data string, cluster *kfake.Cluster) *apart {
	t.Helper()
	a := newApart(t, data)
	for _, s := range []*service{a.user, a.friend, a.recommendation} {
		s.args = append(s.args, "--broker", "kafka://"+cluster.ListenAddrs()[0])
	}
	a.recommendation.args = append(a.recommendation.args, "--data", filepath.Join(data, "recommendation"))
	return a
}

// TestServicesThatRunApartThroughTopicsAreOneSystem: what is answered 2xx is recommended,
// positions and all, over restarts, and a reader may wait for what it wrote.
func TestServicesThatRunApartThroughTopicsAreOneSystem(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	a := throughTopics(t, data, fakeCluster(t)).start()
	c := a.client()
	addAll(t, c, 5)
	_, made, err := c.AddFriend(t.Context(), 5, 1, "")
	if err != nil {
		t.Fatal(err)
	}
	path := a.recommendation.addr + "/v1/users/1/commands/recommendFriends"
	status, headers, body := get(t, path, "Min-Event-Position", made.EventPosition, "Prefer", "wait=30")
	if status != 200 || headers.Get("Projection-Position") != "user:5, friend:5" || strings.Count(body, `"weight":1`) != 2 {
		t.Errorf("it answers %d %s %s", status, headers.Get("Projection-Position"), body)
	}
	if status, _, body := get(t, path, "Min-Event-Position", "friend:3@00000000"); status != 410 || !strings.Contains(body, string(wire.LogReplaced)) {
		t.Errorf("a position of another log: %d %s", status, body)
	}
	if _, err := c.Erase(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	recommended(t, c, 1, 4)
	a.recommendation.end()
	if _, _, err := c.AddFriend(t.Context(), 3, 1, ""); err != nil { // 3-4-5-1-3
		t.Fatal(err)
	}
	a.recommendation.start()
	recommended(t, c, 1, 4)
	recommended(t, c, 3, 5)
	var lags []wire.Lag
	for _, admin := range []string{a.user.admin, a.friend.admin, a.recommendation.admin} {
		_, _, text := get(t, admin+"/admin/v1/lag")
		var some []wire.Lag
		if err := json.Unmarshal([]byte(text), &some); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lags = append(lags, some...)
	}
	for _, l := range lags {
		if l.Behind != 0 || l.Error != "" {
			t.Errorf("%+v", l)
		}
	}
	if len(lags) != 4 {
		t.Errorf("there are %+v", lags)
	}
}

// TestWhileTheBrokerIsAwayCommandsGoOn, questions too; health and the administration say
// so; and when it is back, all that happened meanwhile is recommended.
func TestWhileTheBrokerIsAwayCommandsGoOn(t *testing.T) {
	cluster := fakeCluster(t)
	a := throughTopics(t, filepath.Join(t.TempDir(), "data"), cluster).start()
	c := a.client()
	addAll(t, c, 3)
	recommended(t, c, 1, 3)
	var away atomic.Bool
	away.Store(true)
	cluster.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if !away.Load() {
			return nil, nil, false
		}
		return nil, errors.New("the broker is away"), true
	})
	for id := int64(4); id <= 9; id++ {
		if _, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.AddFriend(t.Context(), id-1, id, ""); err != nil {
			t.Fatal(err)
		}
	}
	recommended(t, c, 1, 3)
	if status, _, _ := get(t, a.friend.addr+"/readyz"); status != 200 {
		t.Errorf("friend is not ready: %d", status)
	}
	eventually(t, "the metrics say how much waits", func() bool {
		_, _, text := get(t, a.friend.addr+"/metrics")
		return strings.Contains(text, "ensemble_relay_lag_events{topic=\"friend\"} 6")
	})
	away.Store(false)
	recommended(t, c, 8, 6)
}

// TestATopicWhoseBeginningIsGoneIsJoinedToTheFeed.
func TestATopicWhoseBeginningIsGoneIsJoinedToTheFeed(t *testing.T) {
	cluster := fakeCluster(t)
	a := throughTopics(t, filepath.Join(t.TempDir(), "data"), cluster)
	for _, s := range []*service{a.user, a.friend, a.edge} {
		s.start()
	}
	c := a.client()
	addAll(t, c, 6)
	emptyTopics(t, cluster, 4, 2)
	a.recommendation.start()
	recommended(t, c, 1, 3)
	recommended(t, c, 4, 2, 6)
}

// TestAGraphFromTopicsIsSaved: the next start needs neither the beginning of the topics nor
// the other services, and no name lies open in the folder. A snapshot that can't be used
// costs only time.
func TestAGraphFromTopicsIsSaved(t *testing.T) {
	cluster, data := fakeCluster(t), filepath.Join(t.TempDir(), "data")
	a := throughTopics(t, data, cluster).start()
	c := a.client()
	addAll(t, c, 6)
	recommended(t, c, 4, 2, 6)
	a.recommendation.end()
	a.user.end()
	a.friend.end()
	emptyTopics(t, cluster, 6, 5)
	a.recommendation.start()
	recommended(t, c, 4, 2, 6)
	a.recommendation.end()
	snapshot := filepath.Join(data, "recommendation", "1.snapshot")
	saved, err := os.ReadFile(snapshot)
	if err != nil || bytes.Contains(saved, []byte("Lovelace")) {
		t.Fatalf("it shows names, or: %v", err)
	}
	saved[len(saved)/2] ^= 1
	if err := os.WriteFile(snapshot, saved, 0o600); err != nil {
		t.Fatal(err)
	}
	a.user.start()
	a.friend.start()
	addOne(t, c, 7) // so that there is a record, which says what is missing
	a.recommendation.start()
	recommended(t, c, 4, 2, 6)
	recommended(t, c, 5, 3, 7)
	if !strings.Contains(a.recommendation.stderr.String(), "a snapshot of the graph was refused") {
		t.Errorf("it says nothing of the snapshot:\n%s", a.recommendation.stderr)
	}
}

// addOne makes a person and befriends them with the one before.
func addOne(t *testing.T, c *client.Client, id int64) {
	t.Helper()
	if u, _, err := c.CreateUser(t.Context(), "Ada", "Lovelace", ""); err != nil || u.ID != id {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, _, err := c.AddFriend(t.Context(), id-1, id, ""); err != nil {
		t.Fatal(err)
	}
}

// emptyTopics has the broker delete the first records of both topics, once they are there.
func emptyTopics(t *testing.T, cluster *kfake.Cluster, users, friends int64) {
	t.Helper()
	admin := kadm.NewClient(kafkaClient(t, cluster))
	eventually(t, "both topics have everything", func() bool {
		ends, err := admin.ListEndOffsets(t.Context(), "user", "friend")
		u, _ := ends.Lookup("user", 0)
		f, _ := ends.Lookup("friend", 0)
		return err == nil && u.Offset >= users && f.Offset >= friends
	})
	gone := kadm.Offsets{}
	gone.AddOffset("user", 0, users, -1)
	gone.AddOffset("friend", 0, friends, -1)
	if _, err := admin.DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
}

// TestARebuildReadsTheTopicsAgain, with what was a dead letter in its place.
func TestARebuildReadsTheTopicsAgain(t *testing.T) {
	a := throughTopics(t, filepath.Join(t.TempDir(), "data"), fakeCluster(t)).start()
	c := a.client()
	addAll(t, c, 4)
	recommended(t, c, 1, 3)
	for range 2 {
		resp, err := http.Post("http://"+a.recommendation.admin+"/admin/v1/projections/recommendation/rebuild", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			t.Fatalf("it is answered %d", resp.StatusCode)
		}
		eventually(t, "it is rebuilt", func() bool {
			_, _, text := get(t, a.recommendation.admin+"/admin/v1/projections/recommendation/rebuild")
			return strings.Contains(text, `"state":"done"`)
		})
		recommended(t, c, 1, 3)
	}
}

// kafkaClient returns a client of a broker.
func kafkaClient(t *testing.T, cluster *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	k, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cluster.ListenAddrs()...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k
}

// TestASpringSystemIsFollowed: its records have no ids of ours, so answers have no
// position; what it sends that nobody can read is set aside.
func TestASpringSystemIsFollowed(t *testing.T) {
	cluster := fakeCluster(t)
	k := kafkaClient(t, cluster, kgo.AllowAutoTopicCreation())
	admin := kadm.NewClient(k)
	if _, err := admin.CreateTopics(t.Context(), 3, 1, nil, "user", "friend"); err != nil {
		t.Fatal(err)
	}
	send := func(topic, format string, args ...any) {
		t.Helper()
		r := &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, format, args...), Headers: []kgo.RecordHeader{
			{Key: "contentType", Value: []byte(`"application/json"`)},
			{Key: "spring_json_header_types", Value: []byte(`{"contentType":"java.lang.String"}`)},
		}}
		if err := k.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for id := 1; id <= 4; id++ {
		send("user", `{"id":%d,"createdAt":null,"lastModified":null,"subject":{"id":%d,"firstName":"N%d","lastName":"L","createdAt":"2022-11-26T15:45:31.123+0000","lastModified":"2022-11-26T15:45:31.123+0000"},"eventType":"USER_CREATED"}`, -id, id, id)
	}
	for _, pair := range [][2]int{{1, 2}, {2, 3}, {3, 4}} {
		send("friend", `{"subject":{"id":null,"userId":%d,"friendId":%d,"createdAt":1669477531123,"updatedAt":null},"eventType":"FRIEND_ADDED","friendMessage":null}`, pair[0], pair[1])
	}
	send("friend", "what is this?")
	s := &service{t: t, name: "recommendation", addr: freePort(t), args: []string{"--broker", "kafka://" + cluster.ListenAddrs()[0]}}
	s.start()
	defer func() {
		if code := s.end(); code != 0 {
			t.Errorf("it ended with %d: %s", code, s.stderr)
		}
	}()
	path := s.addr + "/v1/users/1/commands/recommendFriends"
	status, headers, body := get(t, path)
	if status != 200 || headers.Get("Projection-Position") != "" || !strings.Contains(body, `"firstName":"N3"`) {
		t.Errorf("it answers %d, %q, %s", status, headers.Get("Projection-Position"), body)
	}
	if status, _, body := get(t, path, "Min-Event-Position", "user:1"); status != 400 || !strings.Contains(body, string(wire.InvalidPosition)) {
		t.Errorf("a position: %d %s", status, body)
	}
	if _, _, list := get(t, s.admin+"/admin/v1/dead-letters"); !strings.Contains(list, `"value":"what is this?"`) || strings.Count(list, `"id":"friend-`) != 1 {
		t.Errorf("set aside are %s", list)
	}
	send("friend", `{"subject":{"userId":2,"friendId":3},"eventType":"FRIEND_REMOVED"}`)
	eventually(t, "3 is not recommended any more", func() bool {
		_, _, body := get(t, path)
		return body == "[]\n" || body == "[]"
	})
}

// TestAConsumerOfTheSpringSystemCanAttachToALaptopRun: in its groups, through the embedded
// broker, it reads what it knows.
func TestAConsumerOfTheSpringSystemCanAttachToALaptopRun(t *testing.T) {
	address := freePort(t)
	r := start(t, filepath.Join(t.TempDir(), "data"), "--embedded-kafka", address)
	c := r.client()
	addAll(t, c, 3)
	if _, err := c.RemoveFriend(t.Context(), 3, 2, ""); err != nil {
		t.Fatal(err)
	}
	kinds := map[string][]string{}
	for topic, group := range map[string]string{"user": "user-group", "friend": "friend-group"} {
		k, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for len(kinds[topic]) < 3 {
			fetches := k.PollFetches(ctx)
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			for _, record := range fetches.Records() {
				var event struct{ EventType string }
				if err := json.Unmarshal(record.Value, &event); err != nil {
					t.Fatal(err)
				}
				kinds[topic] = append(kinds[topic], event.EventType)
			}
		}
		cancel()
		k.Close()
	}
	if got := fmt.Sprint(kinds["user"], kinds["friend"]); got != "[USER_CREATED USER_CREATED USER_CREATED] [FRIEND_ADDED FRIEND_ADDED FRIEND_REMOVED]" {
		t.Errorf("they read %s", got)
	}
	if code := r.end(); code != 0 {
		t.Errorf("it ended with %d: %s", code, r.stderr)
	}
}
