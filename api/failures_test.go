package api_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/internal/telemetry"
	"ensemble/recommendation"
	"ensemble/user"
	"ensemble/wire"
)

// brokenLog is a driver whose commits or reads fail when told to.
type brokenLog struct {
	eventstore.Driver
	commit, read error
}

func (l *brokenLog) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	if l.commit != nil {
		return nil, l.commit
	}
	return l.Driver.Commit(ctx, batch)
}

func (l *brokenLog) Select(ctx context.Context, q eventstore.Select) ([][]eventstore.Value, error) {
	if l.read != nil {
		return nil, l.read
	}
	return l.Driver.Select(ctx, q)
}

// broken starts a system whose log of people can be made to fail.
func broken(t *testing.T) (*apitest.System, *brokenLog) {
	t.Helper()
	log := new(brokenLog)
	s := apitest.Start(t, apitest.Options{UserLog: func(d eventstore.Driver) eventstore.Driver {
		log.Driver = d
		return log
	}})
	return s, log
}

func TestAFullDiskRefusesWritesAndGoesOnReading(t *testing.T) {
	s, log := broken(t)
	people(t, s, 1)
	log.commit = fmt.Errorf("write: %w", eventstore.ErrFull)
	w := s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k")
	problem(t, w, http.StatusServiceUnavailable, wire.StorageFull)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	expect(t, s.Do("GET", "/user/v1/users/1", ""), http.StatusOK)
	log.commit = nil
	w = s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k")
	expect(t, w, http.StatusCreated)
	if u := decode[wire.User](t, w); u.ID != 2 || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("after the disk was freed: %+v", u)
	}
}

func TestACommitOfUnknownOutcomeIsNeverADefiniteFailure(t *testing.T) {
	s, log := broken(t)
	log.commit = errors.New("fsync: input/output error")
	w := s.Do("POST", "/user/v1/users", ada)
	p := problem(t, w, http.StatusServiceUnavailable, wire.OutcomeUnknown)
	if w.Header().Get("Retry-After") == "" || strings.Contains(p.Detail, "fsync") {
		t.Errorf("Retry-After %q, detail %q", w.Header().Get("Retry-After"), p.Detail)
	}
	// The log has stopped: later commands were definitely not carried out.
	problem(t, s.Do("POST", "/user/v1/users", ada), http.StatusServiceUnavailable, wire.ShuttingDown)
	if health := decode[wire.Health](t, s.Do("GET", "/user/actuator/health", "")); health.Status != "DOWN" ||
		health.Components["log"].Status != "DOWN" || health.Components["serving"].Status != "UP" {
		t.Errorf("health is %+v", health)
	}
	expect(t, s.Do("GET", "/user/actuator/health/liveness", ""), http.StatusOK)
	expect(t, s.Do("GET", "/user/actuator/health/readiness", ""), http.StatusServiceUnavailable)
	expect(t, s.Do("GET", "/actuator/health", ""), http.StatusServiceUnavailable)
	ready := apitest.Do(s.User, "GET", "/readyz?verbose", "")
	expect(t, ready, http.StatusServiceUnavailable)
	if !strings.Contains(ready.Body.String(), "[-]log failed") {
		t.Errorf("readyz says %s", ready.Body)
	}
}

func TestAFullQueueIsBusy(t *testing.T) {
	gate := make(chan struct{})
	s := apitest.Start(t, apitest.Options{Queue: 1, UserLog: slow(gate)})
	answers := make(chan *httptest.ResponseRecorder)
	for range 20 {
		go func() { answers <- s.Do("POST", "/user/v1/users", ada) }()
	}
	busy := <-answers // the others wait for the gate
	p := problem(t, busy, http.StatusServiceUnavailable, wire.Busy)
	if busy.Header().Get("Retry-After") == "" || p.Detail == "" {
		t.Errorf("busy without help: %s", busy.Body)
	}
	close(gate)
	created := 0
	for range 19 {
		if w := <-answers; w.Code == http.StatusCreated {
			created++
		}
	}
	if n := events(t, s.UserLog); int64(created) != n {
		t.Errorf("%d created, %d events", created, n)
	}
}

func TestWhatIsInsideIsNotShown(t *testing.T) {
	s, log := broken(t)
	log.read = errors.New("SELECT * FROM users: no such table")
	for _, target := range []string{"/user/v1/users/1", "/user/v1/users"} {
		w := s.Do("GET", target, "")
		problem(t, w, http.StatusInternalServerError, wire.Internal)
		if strings.Contains(w.Body.String(), "SELECT") {
			t.Errorf("%s shows %s", target, w.Body)
		}
	}
}

func TestDrainingIsNotReadyButAlive(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	s.Health.SetDraining(true)
	expect(t, s.Do("GET", "/user/actuator/health", ""), http.StatusServiceUnavailable)
	expect(t, apitest.Do(s.User, "GET", "/readyz", ""), http.StatusServiceUnavailable)
	expect(t, apitest.Do(s.User, "GET", "/livez", ""), http.StatusOK)
	expect(t, s.Do("POST", "/user/v1/users", ada), http.StatusCreated) // what still comes is answered
}

// backend answers with what a test gives it.
type backend struct {
	recommendation.Backend
	candidates iter.Seq2[recommendation.Candidate, error]
}

func (b backend) Recommend(context.Context, int64, recommendation.Query) iter.Seq2[recommendation.Candidate, error] {
	return b.candidates
}

// recommending returns a service of recommendations that answers with a list.
func recommending(candidates iter.Seq2[recommendation.Candidate, error]) http.Handler {
	return api.NewRecommendation(api.RecommendationConfig{
		Config:          api.Config{Name: "recommendation-service", Log: apitest.Quiet()},
		Recommendations: recommendation.New(backend{candidates: candidates}, nil),
	})
}

// failingAfter returns a list that breaks after n items.
func failingAfter(n int) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		for id := range int64(n) {
			if !yield(recommendation.Candidate{User: recommendation.NewProfile(user.User{ID: id + 1, FirstName: "Ada"}), Weight: 1}, nil) {
				return
			}
		}
		yield(recommendation.Candidate{}, errors.New("the backend is gone"))
	}
}

const recommendPath = "/v1/users/1/commands/recommendFriends"

func TestAListThatBreaksEarlyIsAProblem(t *testing.T) {
	w := apitest.Do(recommending(failingAfter(3)), "GET", recommendPath, "")
	problem(t, w, http.StatusInternalServerError, wire.Internal)
}

func TestAListThatBreaksLateAbortsTheConnection(t *testing.T) {
	server := httptest.NewServer(recommending(failingAfter(5000)))
	defer server.Close()
	resp, err := server.Client().Get(server.URL + recommendPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil {
		t.Errorf("%d bytes came as if they were all", len(body))
	}
	server.CloseClientConnections()
	server.Client().CloseIdleConnections()
}

func TestALongListIsStreamedWhole(t *testing.T) {
	const n = 20_000
	server := httptest.NewServer(recommending(func(yield func(recommendation.Candidate, error) bool) {
		for id := range int64(n) {
			if !yield(recommendation.Candidate{User: recommendation.NewProfile(user.User{ID: id + 1}), Weight: n - int(id)}, nil) {
				return
			}
		}
	}))
	defer server.Close()
	resp, err := server.Client().Get(server.URL + recommendPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w := httptest.NewRecorder()
	if _, err := io.Copy(w, resp.Body); err != nil {
		t.Fatal(err)
	}
	list := decode[[]wire.Recommendation](t, w)
	if len(list) != n || list[n-1].User.ID != n {
		t.Errorf("%d of %d came", len(list), n)
	}
	server.Client().CloseIdleConnections()
}

func TestAPanicIsA500WithoutItsStack(t *testing.T) {
	h := recommending(func(func(recommendation.Candidate, error) bool) { panic("secret state") })
	w := apitest.Do(h, "GET", recommendPath, "")
	problem(t, w, http.StatusInternalServerError, wire.Internal)
	if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "goroutine") {
		t.Errorf("the body shows %s", w.Body)
	}
	expect(t, apitest.Do(h, "GET", "/livez", ""), http.StatusOK)
}

func TestMetricsCountRoutesAndNotPaths(t *testing.T) {
	metrics := telemetry.NewMetrics()
	s := apitest.Start(t, apitest.Options{Metrics: metrics})
	people(t, s, 3)
	for _, id := range []string{"1", "2", "3"} {
		expect(t, s.Do("GET", "/user/v1/users/"+id, ""), http.StatusOK)
	}
	w := apitest.Do(s.User, "GET", "/metrics", "")
	expect(t, w, http.StatusOK)
	want := `http_server_request_duration_seconds_count{application="user-service",http_request_method="GET",` +
		`http_response_status_code="200",http_route="/v1/users/{id}"} 3`
	if !strings.Contains(w.Body.String(), want) {
		t.Errorf("the metrics lack %s", want)
	}
	expect(t, apitest.Do(s.User, "GET", "/actuator/prometheus", ""), http.StatusOK)
}

func TestAServiceWithNothingButItsHealth(t *testing.T) {
	h := api.NewHealth(api.Config{Name: "discovery-service", Version: "1.0", Log: apitest.Quiet()})
	if health := decode[wire.Health](t, apitest.Do(h, "GET", "/actuator/health", "")); health.Status != "UP" {
		t.Errorf("health is %+v", health)
	}
	problem(t, apitest.Do(h, "GET", "/v1/users", ""), http.StatusNotFound, wire.NotFound)
	problem(t, apitest.Do(h, "GET", "/metrics", ""), http.StatusNotFound, wire.NotFound) // nothing is measured
}

// TestAGraphWhoseDatabaseIsAwayIsAskedAgainLater: the answer says that it is no fault of the
// question, and when to ask again.
func TestAGraphWhoseDatabaseIsAwayIsAskedAgainLater(t *testing.T) {
	h := recommending(func(yield func(recommendation.Candidate, error) bool) {
		yield(recommendation.Candidate{}, fmt.Errorf("recommend for 1: %w: connection refused", recommendation.ErrAway))
	})
	w := apitest.Do(h, "GET", recommendPath, "")
	problem(t, w, http.StatusServiceUnavailable, wire.Busy)
	if w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "refused") {
		t.Errorf("Retry-After %q, %s", w.Header().Get("Retry-After"), w.Body)
	}
}
