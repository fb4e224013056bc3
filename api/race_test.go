package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// racers is how many clients do the same thing at once.
const racers = 100

// race sends a request a hundred times at once and returns the answers by status.
func race(request func(i int) *httptest.ResponseRecorder) map[int][]*httptest.ResponseRecorder {
	var mu sync.Mutex
	var running sync.WaitGroup
	start := make(chan struct{})
	answers := make(map[int][]*httptest.ResponseRecorder)
	for i := range racers {
		running.Go(func() {
			<-start
			w := request(i)
			mu.Lock()
			defer mu.Unlock()
			answers[w.Code] = append(answers[w.Code], w)
		})
	}
	close(start)
	running.Wait()
	return answers
}

func TestRaceOnOnePairFromOneSide(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	answers := race(func(int) *httptest.ResponseRecorder {
		return s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", "")
	})
	if len(answers[201]) != 1 || len(answers[409]) != racers-1 {
		t.Errorf("%d created, %d conflicts", len(answers[201]), len(answers[409]))
	}
	if n := events(t, s.FriendLog); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRaceOnOnePairFromBothSides(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	answers := race(func(i int) *httptest.ResponseRecorder {
		return s.Do("POST", fmt.Sprintf("/friend/v1/users/%d/commands/addFriend?friendId=%d", 1+i%2, 2-i%2), "")
	})
	if len(answers[201]) != 1 || len(answers[200]) != racers/2 || len(answers[409]) != racers/2-1 {
		t.Errorf("%d created, %d friends already, %d conflicts", len(answers[201]), len(answers[200]), len(answers[409]))
	}
	if n := events(t, s.FriendLog); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestRaceToRemoveOneFriendship(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), 201)
	answers := race(func(i int) *httptest.ResponseRecorder {
		return s.Do("POST", fmt.Sprintf("/friend/v1/users/%d/commands/removeFriend?friendId=%d", 1+i%2, 2-i%2), "")
	})
	if len(answers[204]) != 1 || len(answers[404]) != racers-1 {
		t.Errorf("%d removed, %d not found", len(answers[204]), len(answers[404]))
	}
}

func TestRaceOnOneUser(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 1)
	answers := race(func(i int) *httptest.ResponseRecorder {
		return s.Do("PUT", "/user/v1/users/1", fmt.Sprintf(`{"firstName":"Ada %d","lastName":"Lovelace"}`, i))
	})
	if len(answers[200]) != racers {
		t.Fatalf("only %d of %d were answered 200", len(answers[200]), racers)
	}
	tags := map[string]bool{}
	for _, w := range answers[200] {
		tags[w.Header().Get("ETag")] = true
	}
	if len(tags) != racers || events(t, s.UserLog) != racers+1 {
		t.Errorf("%d versions and %d events for %d renames", len(tags), events(t, s.UserLog), racers)
	}
}

func TestRaceOnOneKey(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	answers := race(func(int) *httptest.ResponseRecorder {
		return s.Do("POST", "/user/v1/users", `{"firstName":"Ada","lastName":"Lovelace"}`, "Idempotency-Key", "once")
	})
	if len(answers[201])+len(answers[409]) != racers || len(answers[201]) == 0 {
		t.Fatalf("%d created, %d still running", len(answers[201]), len(answers[409]))
	}
	first := 0
	for _, w := range answers[201] {
		if u := decode[wire.User](t, w); u.ID != 1 {
			t.Errorf("user %d", u.ID)
		}
		if w.Header().Get("Idempotency-Replayed") == "" {
			first++
		}
	}
	for _, w := range answers[409] {
		problem(t, w, 409, wire.KeyInUse)
		if w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if first != 1 || events(t, s.UserLog) != 1 {
		t.Errorf("%d first answers, %d events", first, events(t, s.UserLog))
	}
}

func TestUsersCreatedAtOnceAreNumberedDensely(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	answers := race(func(int) *httptest.ResponseRecorder {
		return s.Do("POST", "/user/v1/users", `{"firstName":"Ada","lastName":"Lovelace"}`)
	})
	seen := map[int64]bool{}
	for _, w := range answers[http.StatusCreated] {
		seen[decode[wire.User](t, w).ID] = true
	}
	for id := int64(1); id <= racers; id++ {
		if !seen[id] {
			t.Errorf("nobody has id %d", id)
		}
	}
}
