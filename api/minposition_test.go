package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/wire"
)

func TestAReaderIsAnsweredAsSoonAsThePositionIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		befriend(t, s, 3)
		begun := time.Now()
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			answer <- s.Do("GET", "/recommendation/v1/users/1/commands/recommendFriends", "",
				"Min-Event-Position", "friend:3", "Prefer", "wait=20")
		}()
		time.Sleep(19 * time.Second)
		people(t, s, 1)
		expect(t, s.Do("POST", "/friend/v1/users/3/commands/addFriend?friendId=4", ""), http.StatusCreated)
		w := <-answer
		expect(t, w, http.StatusOK)
		if took := time.Since(begun); took != 19*time.Second {
			t.Errorf("it was answered after %v", took)
		}
		if !strings.HasSuffix(w.Header().Get("Projection-Position"), "friend:3") || w.Header().Get("Preference-Applied") != "wait=20" {
			t.Errorf("answered with %v", w.Header())
		}
	})
}

func TestAReaderWaitsForWhatNeverComes(t *testing.T) {
	for _, c := range []struct {
		sentence, prefer string
		took             time.Duration
	}{
		{"two seconds if it does not say", "", 2 * time.Second},
		{"as long as it says", "wait=7", 7 * time.Second},
		{"not at all", "wait=0", 0},
		{"half a minute at most", "wait=31", 30 * time.Second},
		{"what makes no sense is ignored", "wait=soon", 2 * time.Second},
		{"until it takes what there is", "handling=lenient, wait=3", 3 * time.Second},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := apitest.Start(t, apitest.Options{})
				p := pipeServer(t, s)
				for _, target := range []string{
					"/recommendation/v1/users/1/commands/recommendFriends", "/user/v1/users", "/user/v1/events",
				} {
					begun := time.Now()
					resp := p.ask(t, target, "Min-Event-Position", "user:1", "Prefer", c.prefer).answer(t)
					lenient := strings.Contains(c.prefer, "lenient")
					switch {
					case time.Since(begun) != c.took:
						t.Errorf("%s is answered after %v", target, time.Since(begun))
					case lenient && resp.StatusCode != http.StatusOK, !lenient && resp.StatusCode != http.StatusServiceUnavailable:
						t.Errorf("%s is answered %d", target, resp.StatusCode)
					case lenient && resp.Header.Get("Preference-Applied") != "wait=3, handling=lenient":
						t.Errorf("%s is answered with %v", target, resp.Header)
					case !lenient && resp.Header.Get("Retry-After") == "":
						t.Errorf("%s does not say when to come again", target)
					}
				}
			})
		})
	}
}

func TestThereAreOnlySoManyWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		ctx, leave := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for range 1024 {
			waiting.Go(func() {
				r := httptest.NewRequestWithContext(ctx, "GET", "/v1/users", nil)
				r.Header.Set("Min-Event-Position", "user:1")
				r.Header.Set("Prefer", "wait=30")
				s.User.ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		synctest.Wait()
		ask := func(prefer string) *httptest.ResponseRecorder {
			return s.Do("GET", "/user/v1/users", "", "Min-Event-Position", "user:1", "Prefer", prefer)
		}
		problem(t, ask("wait=30"), http.StatusServiceUnavailable, wire.Busy)
		problem(t, ask("wait=0"), http.StatusServiceUnavailable, wire.ProjectionBehind)
		expect(t, ask("handling=lenient"), http.StatusOK)
		expect(t, s.Do("GET", "/user/v1/users", ""), http.StatusOK)
		leave() // who has gone waits no longer
		waiting.Wait()
		problem(t, ask("wait=1"), http.StatusServiceUnavailable, wire.ProjectionBehind)
	})
}

func TestAServiceThatStopsLetsNobodyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		answer := make(chan *httptest.ResponseRecorder, 1)
		go func() {
			answer <- s.Do("GET", "/recommendation/v1/users/1/commands/recommendFriends", "",
				"Min-Event-Position", "user:1", "Prefer", "wait=30")
		}()
		synctest.Wait()
		begun := time.Now()
		s.Recommendation.EndStreams()
		problem(t, <-answer, http.StatusServiceUnavailable, wire.ShuttingDown)
		if time.Since(begun) > 0 {
			t.Errorf("it waited %v more", time.Since(begun))
		}
	})
}

func TestEveryReadTakesAPosition(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, target := range []string{
		"/user/v1/users", "/user/v1/users/1", "/user/v1/events", "/friend/v1/users/1/friends", "/friend/v1/friends/1",
		"/friend/v1/events", "/recommendation/v1/users/1/commands/recommendFriends",
		"/recommendation/v1/users/1/commands/findMutualFriends?friendId=2",
	} {
		for _, header := range []string{" ", ",", "user", "user:", "user:-1", "user:1@", "user:1@3f2a91c", "USER:1", "users:1", "user:1;friend:1", "user:9223372036854775808"} {
			problem(t, s.Do("GET", target, "", "Min-Event-Position", header, "Min-Event-Position", header), http.StatusBadRequest, wire.InvalidPosition)
		}
		for _, log := range []string{"user", "friend"} {
			if strings.HasPrefix(target, "/"+log) || strings.HasPrefix(target, "/recommendation") {
				problem(t, s.Do("GET", target, "", "Min-Event-Position", log+":0@00000000"), http.StatusGone, wire.LogReplaced)
			}
		}
	}
	if w := s.Do("POST", "/user/v1/users", ada, "Min-Event-Position", "nonsense"); w.Code != http.StatusCreated {
		t.Errorf("a command is no read, and is answered %d", w.Code)
	}
}

func TestWhoKnowsNoPositionsSaysSo(t *testing.T) {
	foreign := api.NewRecommendation(api.RecommendationConfig{Config: api.Config{Log: apitest.Quiet()}})
	w := apitest.Do(foreign, "GET", "/v1/users/1/commands/recommendFriends", "", "Min-Event-Position", "user:1")
	problem(t, w, http.StatusBadRequest, wire.InvalidPosition)
}
