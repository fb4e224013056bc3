package api_test

import (
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/edge"
	"ensemble/recommendation"
	"ensemble/user"
)

// nobody is a client who does not listen.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) WriteHeader(status int)      { n.status = status }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }

// serve answers one request over and over, without a network.
func serve(b *testing.B, h http.Handler, status int, method, target, body string, headers ...string) {
	b.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{Method: method, URL: u, Header: http.Header{"User-Agent": {"bench"}, "X-Request-Id": {"bench"}}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := &nobody{header: http.Header{}}
	reader := strings.NewReader(body)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		reader.Reset(body)
		r.Body = readCloser{reader}
		h.ServeHTTP(w, r)
		if w.status != status {
			b.Fatalf("answered %d", w.status)
		}
	}
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// The read models and the log below are the memory driver's, so what is left is
// the API itself.
func BenchmarkGetUser(b *testing.B) {
	s := apitest.Start(b, apitest.Options{})
	people(b, s, 100)
	serve(b, s.User, 200, "GET", "/v1/users/50", "")
}

func BenchmarkGetUserThroughTheEdge(b *testing.B) {
	s := apitest.Start(b, apitest.Options{})
	people(b, s, 100)
	serve(b, s.Gateway, 200, "GET", "/user/v1/users/50", "")
}

func BenchmarkEdgeAlone(b *testing.B) {
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	serve(b, edge.New(edge.Config{Services: []edge.Service{{Prefix: "/user", Handler: nothing}}}), 200, "GET", "/user/v1/users/50", "")
}

func BenchmarkRefuseBody(b *testing.B) {
	s := apitest.Start(b, apitest.Options{})
	serve(b, s.User, 422, "POST", "/v1/users", `{"firstName":"","lastName":"Lovelace"}`, "Content-Type", "application/json")
}

func BenchmarkRecommendTen(b *testing.B) {
	serve(b, recommending(candidates(10)), 200, "GET", "/v1/users/1/commands/recommendFriends?limit=10", "")
}

func BenchmarkRecommendThousand(b *testing.B) {
	serve(b, recommending(candidates(1000)), 200, "GET", "/v1/users/1/commands/recommendFriends", "")
}

// candidates returns a list of n people with names of usual length.
func candidates(n int) iter.Seq2[recommendation.Candidate, error] {
	ada := recommendation.NewProfile(user.User{ID: 1, FirstName: "Ada", LastName: "Lovelace"})
	return func(yield func(recommendation.Candidate, error) bool) {
		for range n {
			if !yield(recommendation.Candidate{User: ada, Weight: 7}, nil) {
				return
			}
		}
	}
}
