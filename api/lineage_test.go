package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/wire"
)

// restoredLog is a log that a backup was restored into: it has another name from
// some position on.
type restoredLog struct {
	eventstore.Driver
	fork eventstore.Fork
}

func (l restoredLog) Head(ctx context.Context) (eventstore.Head, error) {
	head, err := l.Driver.Head(ctx)
	head.Lineage = append(slices.Clone(head.Lineage), l.fork)
	return head, err
}

func TestAfterARestoreEachPositionHasTheNameThatItWasWrittenUnder(t *testing.T) {
	fork := eventstore.Fork{UUID: [16]byte{0xaa, 0xbb, 0xcc, 0xdd}, First: 3}
	s := apitest.Start(t, apitest.Options{UserLog: func(d eventstore.Driver) eventstore.Driver {
		return restoredLog{d, fork}
	}})
	people(t, s, 4)
	head, err := s.UserLog.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := string(wire.AppendUUID(nil, head.Lineage[0].UUID))
	var ids []string
	for line := range strings.Lines(s.Do("GET", "/user/v1/events", "").Body.String()) {
		_, rest, _ := strings.Cut(line, `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		ids = append(ids, id)
	}
	const second = "aabbccdd-0000-0000-0000-000000000000"
	if want := []string{first + ":1", first + ":2", second + ":3", second + ":4"}; !slices.Equal(ids, want) {
		t.Errorf("the ids are %v, not %v", ids, want)
	}
	for _, c := range []struct {
		sentence, token string
		status          int
	}{
		{"what came before the fork is in both", "user:2@" + first[:8], http.StatusOK},
		{"what came after it is in the new one", "user:4@aabbccdd", http.StatusOK},
		{"what the restore has cut off is nowhere", "user:3@" + first[:8], http.StatusGone},
		{"also if the log has not got as far again", "user:900@" + first[:8], http.StatusGone},
		{"the new one did not write what is older", "user:2@aabbccdd", http.StatusGone},
		{"a token without a name is a position", "user:4", http.StatusOK},
	} {
		for _, target := range []string{
			"/user/v1/users/1", "/user/v1/events", "/recommendation/v1/users/1/commands/recommendFriends",
		} {
			if w := s.Do("GET", target, "", "Min-Event-Position", c.token); w.Code != c.status {
				t.Errorf("%s: %s is answered %d %s", c.sentence, target, w.Code, w.Body)
			}
		}
	}
	w := s.Do("GET", "/user/v1/events", "", "Accept", live, "Last-Event-ID", "4", "Min-Event-Position", "user:4@"+first[:8])
	problem(t, w, http.StatusGone, wire.LogReplaced)
}

// Many clients write, and each reads at once what follows from its own commands.
func TestEverybodyReadsTheirOwnWrites(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	const clients, rounds = 8, 20
	people(t, s, 3*clients*rounds)
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			for round := range rounds {
				a := 3*(client*rounds+round) + 1 // a and a+2 share a+1
				var token string
				for _, pair := range [][2]int{{a, a + 1}, {a + 2, a + 1}} {
					w := s.Do("POST", fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", pair[0], pair[1]), "")
					if token = w.Header().Get("Event-Position"); w.Code != http.StatusCreated || token == "" {
						t.Errorf("answered %d %v", w.Code, w.Header())
						return
					}
				}
				w := s.Do("GET", fmt.Sprintf("/recommendation/v1/users/%d/commands/recommendFriends", a), "",
					"Min-Event-Position", token, "Prefer", "wait=30")
				if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), fmt.Sprintf(`{"user":{"id":%d,`, a+2)) {
					t.Errorf("after %s the answer is %d %s", token, w.Code, w.Body)
				}
				contains, err := wire.ParsePositions(w.Header()["Projection-Position"])
				if err != nil || len(contains) != 2 {
					t.Errorf("it contains %v, %v", contains, err)
					return
				}
				if asked, err := wire.ParsePosition(token); err != nil || contains[1].Position < asked.Position {
					t.Errorf("%s was asked for, and %v is in the answer", token, contains)
				}
			}
		})
	}
	group.Wait()
}

// FuzzFeed asks for anything of a feed: it never panics, never answers 5xx, and
// every refusal is a problem.
func FuzzFeed(f *testing.F) {
	f.Add("after=0&types=UserCreated,UserRenamed&limit=5000", "application/x-ndjson", "1", "user:1", "wait=0")
	f.Add("after=9223372036854775807", "*/*;q=0.1", "0", "user:2@00000000, friend:1", "handling=lenient, wait=0")
	f.Add("after=&types=&limit=0", "text/event-stream;q=0", "", ",", `wait="0`)
	f.Add("after=1&after=2&types=UserErased,UserErased&limit=%31", "application/json", "-1", "user", "")
	s := apitest.Start(f, apitest.Options{})
	people(f, s, 3)
	f.Fuzz(func(t *testing.T, query, accept, last, position, prefer string) {
		target := "/user/v1/events?" + query
		if !sendable("HEAD", target) {
			t.Skip()
		}
		prefer = "wait=0, " + prefer // nobody waits here
		for _, method := range []string{"HEAD", "GET"} {
			headers := []string{"Accept", accept, "Last-Event-ID", last, "Min-Event-Position", position, "Prefer", prefer}
			if method == "GET" { // a stream would not end
				headers[1] = "application/x-ndjson"
			}
			w := s.Do(method, target, "", headers...)
			switch {
			case w.Code >= 500 && (w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == ""):
				t.Errorf("%s %s %q is answered %d %s", method, target, headers, w.Code, w.Body)
			case w.Code == http.StatusOK && w.Header().Get("Content-Type") == "application/x-ndjson":
				if _, err := wire.ParsePosition(w.Header().Get("Event-Position")); err != nil {
					t.Errorf("%s %s does not say up to where it is: %v", method, target, w.Header())
				}
			case w.Code >= 400 && method == "GET":
				if p := decode[wire.Problem](t, w); p.Status != w.Code || p.Detail == "" {
					t.Errorf("%s %s is answered with an incomplete problem: %s", method, target, w.Body)
				}
			}
		}
	})
}
