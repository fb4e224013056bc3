package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// pieces is a connection whose reads give one piece after the other.
type pieces struct {
	net.Conn
	left [][]byte
}

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	for len(p.left) > 0 && len(p.left[0]) == 0 {
		p.left = p.left[1:]
	}
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.left[0])
	p.left[0] = p.left[0][n:]
	return n, nil
}

// reading returns a connection that has received something, in pieces of a length.
func reading(text string, length int) *Connection {
	p := new(pieces)
	for rest := []byte(text); len(rest) > 0; {
		n := min(max(length, 1), len(rest))
		p.left, rest = append(p.left, rest[:n]), rest[n:]
	}
	return &Connection{conn: p, buf: make([]byte, 16)}
}

// TestAnswersAreReadAsTheyAreSent: whole or byte by byte, with another answer behind.
func TestAnswersAreReadAsTheyAreSent(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		status int
		body   string
	}{
		"with a length":        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\n\r\nhello", 200, "hello"},
		"in any case":          {"HTTP/1.1 201 Created\r\ncontent-LENGTH:5 \r\n\r\nhello", 201, "hello"},
		"of nothing":           {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""},
		"without a body":       {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		"that did not change":  {"HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 304, ""},
		"without a reason":     {"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx", 500, "x"},
		"in chunks":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1A;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", 200, "helloabcdefghijklmnopqrstuvwxyz"},
		"in chunks of nothing": {"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200, ""},
		"in chunks, and more":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, "x"},
		"with a long head":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 60_000) + "\r\nContent-Length: 1\r\n\r\nz", 200, "z"},
	} {
		for _, length := range []int{1, 2, 3, 7, 100, 1 << 20} {
			c2 := reading(c.answer+"HTTP/1.1 202 Accepted\r\nContent-Length: 4\r\n\r\nnext", length)
			status, body, err := c2.answer()
			if status != c.status || string(body) != c.body || err != nil {
				t.Errorf("%s, in pieces of %d: %d, %q, %v", name, length, status, body, err)
			}
			if status, body, err := c2.answer(); status != 202 || string(body) != "next" || err != nil {
				t.Errorf("%s, in pieces of %d: what is behind it: %d, %q, %v", name, length, status, body, err)
			}
		}
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"another protocol":     "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"another version":      "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"no status":            "HTTP/1.1 \r\nContent-Length: 0\r\n\r\n",
		"a status of letters":  "HTTP/1.1 abc\r\nContent-Length: 0\r\n\r\n",
		"a provisional one":    "HTTP/1.1 100 Continue\r\n\r\n",
		"a negative status":    "HTTP/1.1 -20 No\r\nContent-Length: 0\r\n\r\n",
		"no length":            "HTTP/1.1 200 OK\r\nDate: x\r\n\r\nhello",
		"a length of letters":  "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
		"a negative length":    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"a length without end": "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"too long":             "HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n",
		"a chunk of letters":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"a negative chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
		"a chunk too long":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4000001\r\n",
		"a chunk without end":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz",
		"a head too long":      "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 70_000) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		if status, body, err := reading(answer, 100).answer(); !errors.Is(err, ErrAnswer) || body != nil {
			t.Errorf("%s: %d, %q, %v", name, status, body, err)
		}
	}
}

func TestAnAnswerThatIsCutIsAnError(t *testing.T) {
	for _, whole := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n",
	} {
		for n := range len(whole) {
			if status, body, err := reading(whole[:n], 9).answer(); !errors.Is(err, io.EOF) {
				t.Errorf("%q: %d, %q, %v", whole[:n], status, body, err)
			}
		}
	}
}

// FuzzAnswer: an answer is read as net/http reads it, or refused, and never does a
// stranger make it fail otherwise.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "", "\r\n\r\n",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, answer []byte, length int) {
		status, body, err := reading(string(answer), length).answer()
		if err != nil {
			if !errors.Is(err, ErrAnswer) && !errors.Is(err, io.EOF) {
				t.Fatalf("%q: %v", answer, err)
			}
			return
		}
		want, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil {
			return // stricter than we are: it is not our server
		}
		defer want.Body.Close()
		all, err := io.ReadAll(want.Body)
		if err == nil && (status != want.StatusCode || !bytes.Equal(body, all)) {
			t.Fatalf("%q: %d, %q, want %d, %q", answer, status, body, want.StatusCode, all)
		}
	})
}

// TestAConnectionUnderstandsTheServer: bodies of every length, in chunks or not, over
// a real connection, one behind the other.
func TestAConnectionUnderstandsTheServer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if len(body) > 0 || r.ContentLength != 0 || r.Host != "here" {
			t.Errorf("%s %s from %q: %d bytes", r.Method, r.URL, r.Host, r.ContentLength)
		}
		for _, n := range r.URL.Query()["n"] {
			var size int
			_, _ = fmt.Sscan(n, &size)
			_, _ = w.Write(bytes.Repeat([]byte(r.Method[:1]), size))
			w.(http.Flusher).Flush()
		}
	}))
	defer server.Close()
	c, err := Dial(t.Context(), server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	rapid.Check(t, func(t *rapid.T) {
		method := rapid.SampledFrom([]string{http.MethodGet, http.MethodPost, http.MethodDelete}).Draw(t, "method")
		path, want := "/x?", 0
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 40_000), 0, 4).Draw(t, "sizes") {
			path += fmt.Sprintf("n=%d&", n)
			want += n
		}
		status, body, err := c.Send(AppendRequest(nil, method, "here", path))
		if err != nil || status != 200 || len(body) != want || strings.Count(string(body), method[:1]) != want {
			t.Fatalf("%s %s: %d, %d bytes, %v", method, path, status, len(body), err)
		}
	})
}

// TestAConnectionEndsWithItsContext: also while its server says nothing.
func TestAConnectionEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	all, err := DialAll(ctx, l.Addr().String(), 2)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := all.Send(t.Context(), 2, func(dst []byte, _ int64) []byte {
		return AppendRequest(dst, http.MethodGet, "here", "/")
	}); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := all.Close(); err != nil {
		t.Error(err)
	}
	if _, err := DialAll(ctx, l.Addr().String(), 2); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestEachRequestIsSentOnce: whichever connection it goes over.
func TestEachRequestIsSentOnce(t *testing.T) {
	var mu sync.Mutex
	seen, from := map[string]int{}, map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+r.RequestURI]++
		from[r.RemoteAddr] = true
	}))
	defer server.Close()
	const people = 50
	host := server.Listener.Addr().String()
	all, err := DialAll(t.Context(), host, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	for _, write := range []func([]byte, int64) []byte{
		func(dst []byte, i int64) []byte { return AppendRecommend(dst, host, int64(Scattered(i, people))) },
		func(dst []byte, i int64) []byte { return AppendAddFriend(dst, host, i, int64(Scattered(i, people))) },
	} {
		if _, err := all.Send(t.Context(), people, write); err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2*people || len(from) > 4 ||
		seen["GET /recommendation/v1/users/0/commands/recommendFriends?limit=10"] != 1 ||
		seen[fmt.Sprintf("POST /friend/v1/users/7/commands/addFriend?friendId=%d", Scattered(7, people))] != 1 {
		t.Errorf("%d requests from %d connections: %v", len(seen), len(from), seen)
	}
}

// TestAPacedRequestIsMeasuredFromWhenItWasDue: the first answer holds the only connection
// up. Who waits behind it has waited, however quick their own answers are.
func TestAPacedRequestIsMeasuredFromWhenItWasDue(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if asked.Add(1) == 1 {
			time.Sleep(30 * time.Millisecond)
		}
	}))
	defer server.Close()
	host := server.Listener.Addr().String()
	all, err := DialAll(t.Context(), host, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	write := func(dst []byte, i int64) []byte { return AppendRecommend(dst, host, i) }
	times, err := all.Pace(t.Context(), 5, 1000, write)
	if err != nil || len(times) != 5 || asked.Load() != 5 {
		t.Fatalf("%v, %v, %d requests", times, err, asked.Load())
	}
	for i, d := range times {
		if d < times[0]-time.Duration(i)*time.Millisecond {
			t.Errorf("request %d was due %d ms after the first, was answered after it, and took %v of its %v", i+1, i, d, times[0])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.Pace(ctx, 5, 0.001, write); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was ended says %v", err)
	}
}

// TestRequestsAreThoseOfTheAPI: byte by byte, as they go over the wire; behind what
// is there already.
func TestRequestsAreThoseOfTheAPI(t *testing.T) {
	for want, got := range map[string][]byte{
		"GET /x?y=z HTTP/1.1\r\nHost: h:1\r\n\r\n":                                                               AppendRequest(nil, http.MethodGet, "h:1", "/x?y=z"),
		"beforeDELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n":                                        AppendRequest([]byte("before"), http.MethodDelete, "h", "/"),
		"GET /recommendation/v1/users/7/commands/recommendFriends?limit=10 HTTP/1.1\r\nHost: h\r\n\r\n":          AppendRecommend(nil, "h", 7),
		"POST /friend/v1/users/7/commands/addFriend?friendId=8 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n": AppendAddFriend(nil, "h", 7, 8),
	} {
		if string(got) != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestScatteredIsAPermutation: of any number of people, so that everybody is asked
// about before anybody is again.
func TestScatteredIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5_000).Draw(t, "n")
		first := rapid.Int64Range(0, 1e9).Draw(t, "first")
		seen := make([]bool, n)
		for i := range int64(n) {
			at := Scattered(first+i, n)
			if at < 0 || at >= n || seen[at] {
				t.Fatalf("request %d is about %d, again or not there", first+i, at)
			}
			seen[at] = true
		}
	})
}
