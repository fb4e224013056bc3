package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/client"
	"ensemble/internal/guard"
	"ensemble/wire"
)

// serveStreams serves a system over real connections. Ending it ends the streams
// first.
func serveStreams(t *testing.T, s *apitest.System) (address string) {
	t.Helper()
	server := apitest.Listen(t, s.Gateway, guard.Config{})
	t.Cleanup(func() { // before the server ends
		s.User.EndStreams()
		s.Friend.EndStreams()
	})
	return server.URL
}

// cutter is a transport whose connections are cut after a random number of bytes,
// wherever that is in an event.
type cutter struct {
	*http.Transport
	cuts *atomic.Int64
}

func newCutter(cuts *atomic.Int64, upTo int) cutter {
	return cutter{cuts: cuts, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &shortConn{Conn: conn, left: rand.IntN(upTo), cuts: cuts}, err
		},
	}}
}

// shortConn is a connection that is cut while it is read.
type shortConn struct {
	net.Conn
	left int
	cuts *atomic.Int64
}

// Read implements net.Conn.
func (c *shortConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		c.cuts.Add(1)
		_ = c.Close()
		return 0, errors.New("cut")
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// A thousand clients follow one log while it is written. Every connection is cut
// somewhere, and goes on; nobody misses an event or sees one twice.
func TestAThousandFollowersWithRandomCuts(t *testing.T) {
	followers, n := 1000, 30
	if os.Getenv("ENSEMBLE_SOAK") != "" {
		n = 500
	}
	s := apitest.Start(t, apitest.Options{})
	address := serveStreams(t, s)
	for range 10 {
		create(t, s)
	}
	var cuts, seen atomic.Int64
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var group sync.WaitGroup
	for i := range followers {
		group.Go(func() {
			transport := newCutter(&cuts, 6000)
			c := client.New(address, &http.Client{Transport: transport})
			feed := client.Feed{After: int64(i % 10)}
			if i%5 == 0 {
				feed.Types = []string{"UserCreated", "UserErased"}
			}
			last := feed.After
			for e, err := range c.Events(ctx, "user", feed) {
				if err != nil {
					t.Errorf("after %d: %v", last, err)
					return
				}
				if last++; e.Position != last || e.Type != "UserCreated" {
					t.Errorf("event %d comes where %d should", e.Position, last)
					return
				}
				seen.Add(1)
				if last == int64(n) {
					return
				}
			}
		})
	}
	for range n - 10 {
		create(t, s)
	}
	group.Wait()
	if cuts.Load() < int64(followers)/4 {
		t.Errorf("only %d connections were cut", cuts.Load())
	}
	t.Logf("%d events reached %d followers over %d cuts", seen.Load(), followers, cuts.Load())
}

func create(t *testing.T, s *apitest.System) {
	t.Helper()
	if w := s.Do("POST", "/user/v1/users", `{"firstName":"Ada","lastName":"Lovelace"}`); w.Code != http.StatusCreated {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
}

// collect follows a feed up to its first error, or up to a number of events.
func collect(ctx context.Context, c *client.Client, log string, feed client.Feed, n int) (events []wire.Event, err error) {
	for e, err := range c.Events(ctx, log, feed) {
		if err != nil {
			return events, err
		}
		if events = append(events, e); len(events) == n {
			break
		}
	}
	return events, nil
}

func TestAFeedFromAnotherLogEnds(t *testing.T) {
	s, c := connect(t)
	create(t, s)
	events, err := collect(t.Context(), c, "user", client.Feed{}, 1)
	if err != nil || len(events) != 1 || events[0].Stream != "user-1" || events[0].Time.IsZero() {
		t.Fatalf("%+v, %v", events, err)
	}
	lineage := events[0].ID[:8]
	if events, err := collect(t.Context(), c, "user", client.Feed{After: 0, Lineage: lineage}, 1); err != nil || len(events) != 1 {
		t.Errorf("%+v, %v", events, err)
	}
	for _, wrong := range []struct {
		feed client.Feed
		log  string
		want wire.Slug
	}{
		{client.Feed{After: 2}, "user", wire.PositionAhead},
		{client.Feed{After: 2, Lineage: lineage}, "user", wire.PositionAhead},
		{client.Feed{After: 1, Lineage: "00000000"}, "user", wire.LogReplaced},
		{client.Feed{Types: []string{"FriendAdded"}}, "user", wire.InvalidParameter},
		{client.Feed{}, "group", wire.NotFound},
	} {
		_, err := collect(t.Context(), c, wrong.log, wrong.feed, 1)
		if problem, ok := errors.AsType[*client.ProblemError](err); !ok || problem.Slug() != wrong.want {
			t.Errorf("%+v ends with %v, not %s", wrong.feed, err, wrong.want)
		}
	}
}

func TestFollowingEndsWithItsContext(t *testing.T) {
	s, c := connect(t)
	create(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	for e, err := range c.Events(ctx, "user", client.Feed{}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			break
		}
		if e.Position == 1 {
			cancel()
		}
	}
	cancel()
	if _, err := collect(ctx, c, "user", client.Feed{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}

// A feed that does not go on where it was cut is an error, never passed on.
func TestAFeedIsChecked(t *testing.T) {
	event := func(id, position int) string {
		return fmt.Sprintf("id: %d\nevent: UserCreated\ndata: {\"position\":%d,\ndata: \"type\":\"UserCreated\"}\n\n", id, position)
	}
	for _, c := range []struct {
		sentence, stream string
		events           int
		broken           bool
	}{
		{"an event is missing", event(1, 1) + event(3, 3), 1, true},
		{"an event comes again", event(1, 1) + event(1, 1), 1, true},
		{"its id is another one", event(1, 2), 0, true},
		{"it is no JSON", "id: 1\ndata: {\n\n", 0, true},
		{"its id is no position", "id: one\ndata: {}\n\n", 0, true},
		{"what is passed over is told", ": \nid: 5\n\n" + event(6, 6), 1, false},
		{"an event that is cut off is none", event(1, 1) + strings.TrimSuffix(event(2, 2), "\n"), 1, false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			fake := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.stream) }))
			events, err := collect(ctx, fake, "user", client.Feed{OnCut: func(error) { cancel() }}, 9)
			if len(events) != c.events || errors.Is(err, client.ErrFeed) != c.broken || err == nil {
				t.Errorf("%+v, %v", events, err)
			}
		})
	}
}

func TestAFeedGoesOnWhenItsServiceComesBack(t *testing.T) {
	var calls atomic.Int64
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		last := r.Header.Get("Last-Event-ID")
		switch n := calls.Add(1); {
		case n == 2:
			w.WriteHeader(http.StatusBadGateway)
		case n == 1 && last == "0" || n == 3 && last == "1":
			fmt.Fprintf(w, "id: %s\ndata: {\"position\":%[1]s,\"id\":\"3f2a91c0-:%[1]s\"}\n\n", map[string]string{"0": "1", "1": "2"}[last])
		default:
			t.Errorf("connection %d goes on after %s", n, last)
		}
		if got := r.Header.Get("Min-Event-Position"); calls.Load() > 1 && got != "user:1@3f2a91c0" {
			t.Errorf("it does not say which log it means, but %q", got)
		}
	}))
	cuts := 0
	events, err := collect(t.Context(), c, "user", client.Feed{OnCut: func(error) { cuts++ }}, 2)
	if err != nil || len(events) != 2 || events[1].Position != 2 || cuts != 2 {
		t.Errorf("%+v, %d cuts, %v", events, cuts, err)
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add("id: 1\ndata: {\"position\":1}\n\n")
	f.Add(":\n\nretry: 1000\n\nid\ndata:\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hc := &http.Client{Transport: saying(stream)}
		last := int64(0)
		for e, err := range client.New("http://test", hc).Events(ctx, "user", client.Feed{OnCut: func(error) { cancel() }}) {
			if err != nil {
				return
			}
			if e.Position <= last {
				t.Errorf("%d after %d", e.Position, last)
			}
			last = e.Position
		}
	})
}

// saying is a transport that answers everything with one stream.
type saying string

// RoundTrip implements http.RoundTripper.
func (a saying) RoundTrip(*http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.WriteString(string(a))
	return w.Result(), nil
}
