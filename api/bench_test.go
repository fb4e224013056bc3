package api_test

import (
	"bufio"
	"bytes"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/edge"
	"ensemble/internal/guard"
	"ensemble/internal/telemetry"
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

// SetWriteDeadline is there because connections have it.
func (*nobody) SetWriteDeadline(time.Time) error { return nil }

// serve answers one request over and over, without a network.
func serve(b *testing.B, h http.Handler, status int, method, target, body string, headers ...string) {
	b.Helper()
	serveEach(b, h, status, method, func() string { return target }, body, headers...)
}

// serveEach answers requests with targets of their own, without a network.
func serveEach(b *testing.B, h http.Handler, status int, method string, target func() string, body string, headers ...string) {
	b.Helper()
	r := &http.Request{Method: method, Header: http.Header{"User-Agent": {"bench"}, "X-Request-Id": {"bench"}}}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := &nobody{header: http.Header{}}
	reader := strings.NewReader(body)
	last := ""
	b.ReportAllocs()
	for b.Loop() {
		if next := target(); next != last {
			u, err := url.ParseRequestURI(next)
			if err != nil {
				b.Fatal(err)
			}
			r.URL, last = u, next
		}
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
	_, h := production(b, 100)
	serve(b, h, 200, "GET", "/user/v1/users/50", "")
}

// production returns a system with n people and the gateway as it is run: measured,
// and not held against its description as that of a System is.
func production(b *testing.B, n int) (*apitest.System, http.Handler) {
	b.Helper()
	metrics := telemetry.NewMetrics()
	s := apitest.Start(b, apitest.Options{Metrics: metrics})
	h := edge.New(edge.Config{Metrics: metrics, Log: apitest.Quiet(), Services: []edge.Service{
		{Prefix: "/user", Handler: s.User}, {Prefix: "/friend", Handler: s.Friend}, {Prefix: "/recommendation", Handler: s.Recommendation},
	}})
	for range n {
		expect(b, apitest.Do(h, http.MethodPost, "/user/v1/users", `{"firstName":"Ada","lastName":"Lovelace"}`), http.StatusCreated)
	}
	return s, h
}

// village returns the gateway of a system in which person 1 has twenty friends, who
// have twenty more each.
func village(b *testing.B) http.Handler {
	b.Helper()
	s, h := production(b, 100)
	for friend := 2; friend < 22; friend++ {
		add(b, h, 1, friend)
		for n := range 20 {
			add(b, h, friend, 22+(friend*7+n*3)%79)
		}
	}
	s.Settle(b)
	return h
}

func add(b *testing.B, h http.Handler, x, y int) {
	b.Helper()
	apitest.Do(h, http.MethodPost, additionOf(x, y), "") // some are friends already
}

// additionOf is the command with which x adds y.
func additionOf(x, y int) string {
	return "/friend/v1/users/" + strconv.Itoa(x) + "/commands/addFriend?friendId=" + strconv.Itoa(y)
}

// pairs returns a function that returns another pair of n people each time.
func pairs(b *testing.B, n int) func() string {
	x, y := 1, 1
	return func() string {
		if y++; y > n {
			x, y = x+1, x+2
		}
		if y > n {
			b.Fatalf("there are no more pairs")
		}
		return additionOf(x, y)
	}
}

const tenOfTheVillage = "/recommendation/v1/users/1/commands/recommendFriends?limit=10"

func BenchmarkRecommendTenThroughTheEdge(b *testing.B) {
	serve(b, village(b), 200, "GET", tenOfTheVillage, "")
}

func BenchmarkAddFriendThroughTheEdge(b *testing.B) {
	_, h := production(b, 2000)
	serveEach(b, h, 201, "POST", pairs(b, 2000), "")
}

func BenchmarkRecommendTenOverLoopback(b *testing.B) {
	overLoopback(b, village(b), "200", "GET", func() string { return tenOfTheVillage })
}

func BenchmarkAddFriendOverLoopback(b *testing.B) {
	_, h := production(b, 2000)
	overLoopback(b, h, "201", "POST", pairs(b, 2000))
}

// overLoopback sends requests over one connection to a server as it is run. What the client
// does allocates nothing, so allocations are the server's.
func overLoopback(b *testing.B, h http.Handler, status, method string, target func() string) {
	b.Helper()
	server := apitest.Listen(b, h, guard.Config{})
	conn, err := new(net.Dialer).DialContext(b.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 64<<10), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		out = append(append(append(out[:0], method...), ' '), target()...)
		out = append(out, " HTTP/1.1\r\nHost: x\r\nUser-Agent: bench\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n"...)
		if _, err := conn.Write(out); err != nil {
			b.Fatal(err)
		}
		if err := skip(in, status); err != nil {
			b.Fatal(err)
		}
	}
}

// skip reads an answer that has a length.
func skip(in *bufio.Reader, status string) error {
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && string(line[9:12]) != status {
			return fmt.Errorf("answered %s", line)
		}
		if digits, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for _, d := range bytes.TrimSpace(digits) {
				length = length*10 + int(d-'0')
			}
		}
		if len(line) == len("\r\n") {
			_, err := in.Discard(length)
			return err
		}
	}
}

func BenchmarkEdgeAlone(b *testing.B) {
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	serve(b, edge.New(edge.Config{Services: []edge.Service{{Prefix: "/user", Handler: nothing}}}), 200, "GET", "/user/v1/users/50", "")
}

// BenchmarkEdgeOverLoopback is the gateway before a service that does nothing: what is
// left of a request is the connection, net/http, the guard and the edge.
func BenchmarkEdgeOverLoopback(b *testing.B) {
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	h := edge.New(edge.Config{Metrics: telemetry.NewMetrics(), Services: []edge.Service{{Prefix: "/user", Handler: nothing}}})
	overLoopback(b, h, "200", "GET", func() string { return "/user/v1/users/50" })
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

// BenchmarkRecommendAll answers with ten thousand people out of the backend.
func BenchmarkRecommendAll(b *testing.B) {
	serve(b, serviceOf(crowd(b, 10_000)), 200, "GET", recommendPath, "")
}

// BenchmarkMutualAll answers with ten thousand people whom two share.
func BenchmarkMutualAll(b *testing.B) {
	serve(b, serviceOf(crowd(b, 10_000)), 200, "GET", lists()["mutual"], "")
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
