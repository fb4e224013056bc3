package main

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/friend"
	"ensemble/internal/loadgen"
	"ensemble/user"
)

// position returns how many events there are in a log that another process writes, 0
// while it is being made.
func position(t *testing.T, path string) eventstore.Position {
	t.Helper()
	log, err := sqlite.Open(t.Context(), path, sqlite.Options{ReadOnly: true})
	if err != nil {
		return 0 // its first transaction is not there yet; what stays wrong is met below
	}
	defer log.Close()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Position
}

// killedAt runs a program and kills it once a log has so many events, or a file is there.
func killedAt(t *testing.T, program, log string, at eventstore.Position, file string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for position(t, log) < at && !exists(file) {
		select {
		case err := <-ended:
			t.Fatalf("%v ended by itself: %v", args, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended // it says that it was killed
}

// TestADemonstrationThatIsKilledIsCompletedOnce: kill -9 among the people and among the
// friendships, and once all is there. In the end everybody is there once, under the name of
// their own number, and so is each friendship.
func TestADemonstrationThatIsKilledIsCompletedOnce(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	program := buildBinary(t, "") // a real network takes a minute and more with the race detector
	for _, until := range []struct {
		log string
		at  eventstore.Position
	}{
		{"user", 1 + eventstore.Position(rand.IntN(3000))},
		{"friend", 1 + eventstore.Position(rand.IntN(30_000))},
		{"friend", 30_001 + eventstore.Position(rand.IntN(40_000))},
		{"friend", math.MaxInt64}, // the demonstration says that it is complete before that
	} {
		killedAt(t, program, filepath.Join(data, until.log+".db"), until.at, filepath.Join(data, demoLoaded),
			"up", "--demo", "--data", data, "--edge-addr", "127.0.0.1:0",
			"--user-addr", "off", "--friend-addr", "off", "--recommendation-addr", "off", "--admin-addr", "off")
	}
	for range 2 { // both find it complete
		r := start(t, data, "--demo")
		if code := r.end(); code != 0 {
			t.Fatalf("stopping ended with %d: %s", code, r.stderr)
		}
	}
	verified(t, data)
	demonstrated(t, events(t, data))
}

// demonstrated holds both logs against the network that they were made from.
func demonstrated(t *testing.T, logs map[string][]eventstore.Event) {
	t.Helper()
	graph, err := loadgen.Demo()
	if err != nil {
		t.Fatal(err)
	}
	people := map[int64]bool{}
	for _, e := range logs[user.Category] {
		if e.Type != "UserCreated" || people[e.Number] {
			t.Fatalf("event %d is %s of %s", e.Position, e.Type, e.Stream)
		}
		people[e.Number] = true
	}
	for id := int64(1); id <= 4039; id++ {
		if !people[id] {
			t.Fatalf("person %d is missing", id)
		}
	}
	if len(people) != 4039 {
		t.Fatalf("%d people", len(people))
	}
	pairs := map[[2]int64]bool{}
	for _, e := range logs[friend.Category] {
		var who struct{ By, To int64 }
		if err := json.Unmarshal(e.Data, &who); err != nil {
			t.Fatal(err)
		}
		if pair := pairOf(who.By, who.To); e.Type != "FriendAdded" || pairs[pair] || !people[who.By] || !people[who.To] {
			t.Fatalf("event %d is %s %s", e.Position, e.Type, e.Data)
		} else {
			pairs[pair] = true
		}
	}
	if len(pairs) != len(graph.Friendships) {
		t.Fatalf("%d friendships instead of %d", len(pairs), len(graph.Friendships))
	}
}

// TestWhoHasATokenOfALostTailIsToldThatTheLogWasReplaced, end to end: a backup, more
// writes, a restore, and every place where a client may show what it had.
func TestWhoHasATokenOfALostTailIsToldThatTheLogWasReplaced(t *testing.T) {
	base := t.TempDir()
	data, file, restored := filepath.Join(base, "data"), filepath.Join(base, "b.tar"), filepath.Join(base, "restored")
	r := start(t, data)
	create := func(r *running) (token string) {
		t.Helper()
		_, a, err := r.client().CreateUser(t.Context(), "Ada", "Lovelace", "")
		if err != nil {
			t.Fatal(err)
		}
		return a.EventPosition
	}
	kept := create(r)
	create(r)
	_, befriended, err := r.client().AddFriend(t.Context(), 1, 2, "")
	if err != nil {
		t.Fatal(err)
	}
	if said, code := command(t, "events", "backup", file, "--data", data); code != 0 {
		t.Fatal(said)
	}
	lost := create(r)
	_, parted, err := r.client().AddFriend(t.Context(), 1, 3, "")
	if err != nil {
		t.Fatal(err)
	}
	r.end()
	for _, args := range [][]string{
		{"events", "restore", file, "--data", restored},
		{"keys", "backup", filepath.Join(base, "k"), "--data", data},
		{"keys", "restore", filepath.Join(base, "k"), "--data", restored},
	} {
		if said, code := command(t, args...); code != 0 {
			t.Fatal(said)
		}
	}
	r = start(t, restored)
	beyond := "it was written after the backup, and the restored log is shorter"
	for range 2 {
		for _, c := range []struct{ about, token, target string }{
			{"the lost user", lost, "/user/v1/users/1"},
			{"the lost user", lost, "/user/v1/users"},
			{"the lost user", lost, "/user/v1/events"},
			{"the lost user", lost, "/recommendation/v1/users/1/commands/recommendFriends"},
			{"the lost friendship", parted.EventPosition, "/friend/v1/users/1/friends"},
			{"the lost friendship", parted.EventPosition, "/recommendation/v1/users/1/commands/recommendFriends"},
			{"both", lost + ", " + befriended.EventPosition, "/recommendation/v1/users/1/commands/recommendFriends"},
		} {
			status, _, body := r.get(c.target, "Min-Event-Position", c.token, "Prefer", "handling=lenient, wait=0")
			if status != 410 || !strings.Contains(body, "/problems/log-replaced") {
				t.Errorf("%s (%s): %s after %s is answered %d %s", c.about, beyond, c.target, c.token, status, body)
			}
		}
		for _, token := range []string{kept, befriended.EventPosition} {
			status, _, body := r.get("/recommendation/v1/users/1/commands/recommendFriends", "Min-Event-Position", token, "Prefer", "wait=30")
			if status != 200 {
				t.Errorf("%s is in the backup, and answered %d %s", token, status, body)
			}
		}
		// Once the log is as long as the lost one was, the tokens differ by name alone.
		create(r)
		create(r)
		if _, _, err := r.client().AddFriend(t.Context(), 1, 4, ""); err != nil {
			return // it is there in the second round
		}
		beyond = "another event has its number now"
	}
}
