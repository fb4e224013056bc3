package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

// receipt is what tests look at of a receipt.
type receipt struct {
	ID       int64
	Complete bool
	Done     struct {
		KeyDestroyed, FriendshipsEnded, FilesCleared, RecommendationsCleared bool
		FriendshipsRemoved                                                   *int64
		FriendshipsRemaining                                                 int64
	}
	Remains []struct{ Where, What string }
}

// canaries creates people with a name that can be searched for.
func canaries(t *testing.T, s *apitest.System, n int) {
	t.Helper()
	for i := range n {
		expect(t, s.Do("POST", "/user/v1/users", fmt.Sprintf(`{"firstName":"Canary%d","lastName":"L"}`, i+1)), http.StatusCreated)
	}
}

// TestANameVanishesFromEveryAnswerWithDELETE: the next question does not find it,
// without waiting for anything.
func TestANameVanishesFromEveryAnswerWithDELETE(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 5)
	for _, pair := range []string{"1/commands/addFriend?friendId=2", "2/commands/addFriend?friendId=3", "2/commands/addFriend?friendId=4", "3/commands/addFriend?friendId=4"} {
		expect(t, s.Do("POST", "/friend/v1/users/"+pair, ""), http.StatusCreated)
	}
	s.Settle(t)
	recommend := "/recommendation/v1/users/1/commands/recommendFriends"
	mutual := "/recommendation/v1/users/2/commands/findMutualFriends?friendId=4"
	for _, question := range []string{recommend, mutual} {
		if w := s.Do("GET", question, ""); !strings.Contains(w.Body.String(), "Canary3") {
			t.Fatalf("%s: %s", question, w.Body)
		}
	}
	w := s.Do("DELETE", "/user/v1/users/3", "")
	expect(t, w, http.StatusNoContent)
	if !strings.HasPrefix(w.Header().Get("Event-Position"), "user:6@") {
		t.Errorf("Event-Position is %q", w.Header().Get("Event-Position"))
	}
	for _, question := range []string{
		recommend, mutual, "/user/v1/users", "/user/v1/users/3", "/friend/v1/users/2/friends",
		"/recommendation/v1/users/3/commands/recommendFriends", "/user/v1/users/3/erasure",
	} {
		if w := s.Do("GET", question, ""); strings.Contains(w.Body.String(), "Canary3") {
			t.Errorf("%s: %s", question, w.Body)
		}
	}
}

func TestOneOfAHundredWhoDeleteIsTheOne(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 1)
	var mu sync.Mutex
	answers := map[int]int{}
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			code := s.Do("DELETE", "/user/v1/users/1", "").Code
			mu.Lock()
			defer mu.Unlock()
			answers[code]++
		})
	}
	group.Wait()
	if answers[204] != 1 || answers[410] != 99 || s.UserLog.Position() != 2 {
		t.Fatalf("%v, %d events", answers, s.UserLog.Position())
	}
}

func TestWhatIsNoDELETE(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 2)
	problem(t, s.Do("DELETE", "/user/v1/users/0", ""), http.StatusBadRequest, wire.InvalidID)
	problem(t, s.Do("DELETE", "/user/v1/users/x", ""), http.StatusBadRequest, wire.InvalidID)
	problem(t, s.Do("DELETE", "/user/v1/users/9", ""), http.StatusNotFound, wire.UserNotFound)
	problem(t, s.Do("DELETE", "/user/v1/users", ""), http.StatusMethodNotAllowed, wire.MethodNotAllowed)
	problem(t, s.Do("DELETE", "/user/v1/users/1/erasure", ""), http.StatusMethodNotAllowed, wire.MethodNotAllowed)
	problem(t, s.Do("GET", "/user/v1/users/0/erasure", ""), http.StatusBadRequest, wire.InvalidID)
	problem(t, s.Do("GET", "/user/v1/users/9/erasure", ""), http.StatusNotFound, wire.UserNotFound)
	problem(t, s.Do("GET", "/user/v1/users/1/erasure", ""), http.StatusNotFound, wire.ErasureNotFound)
	if s.UserLog.Position() != 2 {
		t.Fatalf("the log has %d events", s.UserLog.Position())
	}
	// A body, a key or another media type mean nothing to it.
	expect(t, s.Do("DELETE", "/user/v1/users/1", `{"firstName":"x"`, "Idempotency-Key", "k\x01"), http.StatusNoContent)
	expect(t, s.Do("DELETE", "/user/v1/users/2/", strings.Repeat("x", 100_000), "Content-Type", "text/plain"), http.StatusNoContent)
}

func TestDELETEAtAVersionThatIsGoneChangesNothing(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 1)
	before := s.Do("GET", "/user/v1/users/1", "").Header().Get("Etag")
	expect(t, s.Do("PUT", "/user/v1/users/1", `{"firstName":"Eve","lastName":""}`), http.StatusOK)
	now := s.Do("GET", "/user/v1/users/1", "").Header().Get("Etag")
	problem(t, s.Do("DELETE", "/user/v1/users/1", "", "If-Match", before), http.StatusPreconditionFailed, wire.PreconditionFailed)
	problem(t, s.Do("DELETE", "/user/v1/users/9", "", "If-Match", before), http.StatusNotFound, wire.UserNotFound)
	expect(t, s.Do("GET", "/user/v1/users/1", ""), http.StatusOK)
	expect(t, s.Do("DELETE", "/user/v1/users/1", "", "If-Match", now), http.StatusNoContent)
	problem(t, s.Do("DELETE", "/user/v1/users/1", "", "If-Match", now), http.StatusGone, wire.UserErased)
}

func TestTheReceiptSaysWhatWasDone(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 4)
	for _, id := range []int{2, 3, 4} {
		expect(t, s.Do("POST", fmt.Sprintf("/friend/v1/users/1/commands/addFriend?friendId=%d", id), ""), http.StatusCreated)
	}
	expect(t, s.Do("DELETE", "/user/v1/users/1", ""), http.StatusNoContent)
	s.Settle(t)
	w := s.Do("GET", "/user/v1/users/1/erasure", "")
	expect(t, w, http.StatusOK)
	var r receipt
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.ID != 1 || !r.Complete || !r.Done.KeyDestroyed || r.Done.FriendshipsRemaining != 0 ||
		r.Done.FriendshipsRemoved == nil || *r.Done.FriendshipsRemoved != 3 || len(r.Remains) < 4 {
		t.Fatalf("%s", w.Body)
	}
}

// TestTheReceiptIsHonestWhileSomethingIsLeft: the friend side has not begun yet.
func TestTheReceiptIsHonestWhileSomethingIsLeft(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	canaries(t, s, 1)
	users := readmodel.NewUsers(s.UserLog)
	service, err := api.NewUser(t.Context(), api.UserConfig{
		Config: api.Config{Name: "user-service", Log: apitest.Quiet()}, Store: s.UserLog,
		Commands: user.NewService(s.UserLog, s.Keys), Users: users,
		Erasing: func(context.Context, user.Erasure) (wire.Erasing, error) {
			return wire.Erasing{Remaining: 7, Followed: true}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, apitest.Do(service, "DELETE", "/v1/users/1", ""), http.StatusNoContent)
	w := apitest.Do(service, "GET", "/v1/users/1/erasure", "")
	var r receipt
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Complete || !r.Done.KeyDestroyed || r.Done.FriendshipsEnded || r.Done.FilesCleared || r.Done.FriendshipsRemaining != 7 ||
		r.Done.FriendshipsRemoved != nil {
		t.Fatalf("%s", w.Body)
	}
}

// TestAFollowerThatIsStuckDoesNotHoldTheAnswer for longer than a moment.
func TestAFollowerThatIsStuckDoesNotHoldTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		canaries(t, s, 1)
		service, err := api.NewUser(t.Context(), api.UserConfig{
			Config: api.Config{Name: "user-service", Log: apitest.Quiet()}, Store: s.UserLog,
			Commands: user.NewService(s.UserLog, s.Keys), Users: readmodel.NewUsers(s.UserLog),
			Vanished: func(ctx context.Context, _ eventstore.Position) error { <-ctx.Done(); return ctx.Err() },
		})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, apitest.Do(service, "DELETE", "/v1/users/1", ""), http.StatusNoContent)
	})
}
