package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
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
)

func TestWhoIsErasedHasNoNameInTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := apitest.Start(t, apitest.Options{})
		expect(t, s.Do("POST", "/user/v1/users", `{"firstName":"Canary","lastName":"Yellow"}`), http.StatusCreated)
		people(t, s, 1)
		_, b := follow(t, pipeServer(t, s), "/user/v1/events?after=1")
		if got := b.next(t); !strings.Contains(got, `"firstName":"Ada"`) {
			t.Errorf("the other one is %s", got)
		}
		expect(t, s.Do("DELETE", "/user/v1/users/1", ""), http.StatusNoContent)
		got := b.next(t)
		if !strings.HasPrefix(got, "id: 3\nevent: UserErased\n") || !strings.Contains(got, `"data":{"id":1,"firstName":null,"lastName":null,`) {
			t.Errorf("the end of a person is told as %s", got)
		}
		all := s.Do("GET", "/user/v1/events", "").Body.String()
		if strings.Contains(all, "Canary") || strings.Contains(all, "Yellow") || strings.Count(all, "\n") != 3 {
			t.Errorf("the feed says %s", all)
		}
	})
}

func TestHowAFeedIsSent(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 1)
	const page = "application/x-ndjson"
	for _, c := range []struct {
		sentence string
		accept   []string
		status   int
		media    string
	}{
		{"as a page without a wish", nil, http.StatusOK, page},
		{"as a page to whom all is the same", []string{"*/*"}, http.StatusOK, page},
		{"as a page by name", []string{page}, http.StatusOK, page},
		{"as a stream by name", []string{live}, http.StatusOK, live},
		{"as a stream among texts", []string{"text/*"}, http.StatusOK, live},
		{"as a page if both are liked", []string{live + ", " + page}, http.StatusOK, page},
		{"as what is liked better", []string{live + ";q=0.9, " + page + ";q=0.8"}, http.StatusOK, live},
		{"over two lines", []string{live + ";q=0.7", page + ";q=0.8"}, http.StatusOK, page},
		{"never as JSON", []string{"application/json"}, http.StatusNotAcceptable, ""},
		{"never as what is refused", []string{live + ";q=0, " + page + ";q=0"}, http.StatusNotAcceptable, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodHead, "/user/v1/events", nil)
			r.Header["Accept"] = c.accept
			w := httptest.NewRecorder()
			s.Gateway.ServeHTTP(w, r)
			if w.Code != c.status || c.media != "" && w.Header().Get("Content-Type") != c.media || w.Header().Get("Vary") != "Accept" {
				t.Errorf("%q is answered %d %v", c.accept, w.Code, w.Header())
			}
		})
	}
}

// Over a real network, too, a client that reads nothing is cut off, and another one
// misses nothing.
func TestARealConnectionThatIsNotReadIsCut(t *testing.T) {
	s := apitest.Start(t, apitest.Options{Feed: api.FeedConfig{Patience: 3 * time.Second}})
	server := httptest.NewUnstartedServer(nil)
	server.Config = guard.NewServer(s.Gateway, guard.Config{Log: apitest.Quiet()}).Server
	server.Listener = guard.Listen(shortBuffers{server.Listener}, guard.DefaultLimits())
	server.Start()
	defer server.Close()
	defer s.User.EndStreams()
	const n = 400 // some hundred kilobytes: more than the buffers of both ends
	name := strings.Repeat("n", 250)
	for range n {
		expect(t, s.Do("POST", "/user/v1/users", fmt.Sprintf(`{"firstName":%q,"lastName":%q}`, name, name)), http.StatusCreated)
	}
	dial := func(buffer int) net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).SetReadBuffer(buffer) //nolint:forcetypeassert // it is one
		fmt.Fprintf(conn, "GET /user/v1/events HTTP/1.1\r\nHost: test\r\nAccept: %s\r\n\r\n", live)
		return conn
	}
	stalled, reading := dial(4096), dial(1<<20)
	defer stalled.Close()
	defer reading.Close()
	resp, err := http.ReadResponse(bufio.NewReader(reading), nil)
	if err != nil {
		t.Fatal(err)
	}
	b := blocks{bufio.NewReader(resp.Body)}
	b.next(t)
	for i := range n {
		if got := b.next(t); !strings.HasPrefix(got, fmt.Sprintf("id: %d\n", i+1)) {
			t.Fatalf("after %d events comes %.40q", i, got)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for s.User.Streams() > 1 && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	if open := s.User.Streams(); open != 1 {
		t.Errorf("%d streams are open", open)
	}
	if resp, err = http.ReadResponse(bufio.NewReader(stalled), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the stalled one ended with %v", err)
	}
}

// shortBuffers is a listener whose connections hold little of what is not read.
type shortBuffers struct{ net.Listener }

// Accept implements net.Listener.
func (l shortBuffers) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(4096)
	}
	return conn, err
}
