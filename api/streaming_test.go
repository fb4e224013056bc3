package api_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/internal/guard"
	"ensemble/internal/telemetry"
	"ensemble/recommendation"
	"ensemble/user"
)

// ada is a candidate; every list of these tests consists of her.
func candidate(id int64) recommendation.Candidate {
	return recommendation.Candidate{User: recommendation.NewProfile(user.User{ID: id, FirstName: "Ada", LastName: strings.Repeat("x", 100)}), Weight: 1}
}

// endless is a list without end. ended is closed when nobody asks for more.
func endless() (list iter.Seq2[recommendation.Candidate, error], ended chan struct{}) {
	ended = make(chan struct{})
	return func(yield func(recommendation.Candidate, error) bool) {
		defer close(ended)
		for id := int64(1); yield(candidate(id), nil); id++ {
		}
	}, ended
}

func TestTheFirstBytesLeaveBeforeTheLastIsRead(t *testing.T) {
	for _, accept := range []string{"application/json", "application/x-ndjson", "text/event-stream"} {
		arrived := make(chan struct{})
		server := httptest.NewServer(recommending(func(yield func(recommendation.Candidate, error) bool) {
			for id := int64(1); id <= 2000; id++ {
				if id == 1000 {
					<-arrived
				}
				if !yield(candidate(id), nil) {
					return
				}
			}
		}))
		resp := answerOf(t, server, recommendPath, accept)
		body := bufio.NewReader(resp.Body)
		if _, err := body.ReadByte(); err != nil {
			t.Fatal(err)
		}
		close(arrived)
		rest, err := io.ReadAll(body)
		if n := strings.Count(string(rest), "{\"user\""); err != nil || n < 1999 {
			t.Errorf("as %s %d came, %v", accept, n, err)
		}
		resp.Body.Close()
		server.Client().CloseIdleConnections()
		server.Close()
	}
}

func TestAListThatBreaksLateAbortsInEveryForm(t *testing.T) {
	server := httptest.NewServer(recommending(failingAfter(5000)))
	defer server.Close()
	for _, accept := range []string{"application/json", "application/x-ndjson", "text/event-stream"} {
		resp := answerOf(t, server, recommendPath, accept)
		body, err := io.ReadAll(resp.Body)
		if err == nil {
			t.Errorf("as %s %d bytes came as if they were all", accept, len(body))
		}
		resp.Body.Close()
	}
	server.Client().CloseIdleConnections()
}

func TestAClientThatHangsUpEndsTheWork(t *testing.T) {
	list, ended := endless()
	server := httptest.NewServer(recommending(list))
	defer server.Close()
	resp := answerOf(t, server, recommendPath, "application/x-ndjson")
	if _, err := resp.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() // of an answer that goes on: closes the connection
	<-ended
	server.Client().CloseIdleConnections()
}

// waiting is a backend that is slow until its context ends.
type waiting struct {
	recommendation.Backend
	begun, ended chan struct{}
}

func (w waiting) Recommend(ctx context.Context, _ int64, _ recommendation.Query) iter.Seq2[recommendation.Candidate, error] {
	return func(yield func(recommendation.Candidate, error) bool) {
		close(w.begun)
		<-ctx.Done()
		yield(recommendation.Candidate{}, ctx.Err())
		close(w.ended)
	}
}

func TestAClientThatHangsUpBeforeTheFirstByteEndsTheWork(t *testing.T) {
	w := waiting{begun: make(chan struct{}), ended: make(chan struct{})}
	server := httptest.NewServer(api.NewRecommendation(api.RecommendationConfig{
		Config: api.Config{Log: apitest.Quiet()}, Recommendations: recommendation.New(w, nil),
	}))
	defer server.Close()
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		<-w.begun
		hangUp()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+recommendPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := server.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Fatalf("answered %v, %v", resp, err)
	}
	<-w.ended
	server.Client().CloseIdleConnections()
}

// pipes is a network in memory, whose clock is that of the test.
type pipes struct {
	calls chan net.Conn
	down  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.calls:
		return c, nil
	case <-p.down:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.down)
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{} }

// request opens a connection and sends a request for recommendations.
func (p *pipes) request(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	p.calls <- server
	if _, err := io.WriteString(client, "GET "+recommendPath+" HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return client
}

// overPipes serves a list, measured as in production, in a bubble of time.
func overPipes(t *testing.T, list iter.Seq2[recommendation.Candidate, error]) *pipes {
	t.Helper()
	h := api.NewRecommendation(api.RecommendationConfig{
		Config:          api.Config{Name: "recommendation-service", Log: apitest.Quiet(), Metrics: telemetry.NewMetrics()},
		Recommendations: recommendation.New(backend{candidates: list}, nil),
	})
	p := &pipes{calls: make(chan net.Conn), down: make(chan struct{})}
	server := guard.NewServer(h, guard.Config{Log: apitest.Quiet()})
	served := make(chan error)
	go func() { served <- server.Serve(p) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return p
}

func TestAClientThatReadsOneByteAndStallsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, ended := endless()
		conn := overPipes(t, list).request(t)
		defer conn.Close()
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		<-ended
		if took := time.Since(start); took > time.Minute {
			t.Errorf("a client that does not read holds its list for %v", took)
		}
		if rest, err := io.ReadAll(conn); strings.HasSuffix(string(rest), "0\r\n\r\n") {
			t.Errorf("the list looks whole, %v", err)
		}
	})
}

func TestAClientThatReadsSlowlyGetsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 2000
		conn := overPipes(t, func(yield func(recommendation.Candidate, error) bool) {
			for id := int64(1); id <= people && yield(candidate(id), nil); id++ {
			}
		}).request(t)
		defer conn.Close()
		start := time.Now()
		resp, err := http.ReadResponse(bufio.NewReaderSize(slowly{conn}, 16<<10), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if n := strings.Count(string(body), "\n"); n != people || err != nil {
			t.Errorf("%d of %d came, %v", n, people, err)
		}
		if took := time.Since(start); took < 2*time.Minute {
			t.Errorf("%v are not slow", took)
		}
	})
}

// slowly is a client that takes 8 seconds for what it reads at once.
type slowly struct{ io.Reader }

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(8 * time.Second)
	return s.Reader.Read(b)
}
