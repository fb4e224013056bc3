package guard_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
)

// pipes is a listener whose connections are in memory, so that time can be faked.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	return client
}

// inFakeTime serves a handler that reads its body, in a bubble where hours pass in
// no time.
func inFakeTime(t *testing.T, test func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		server := guard.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "late", http.StatusTeapot)
			}
		}), guard.Config{Log: apitest.Quiet()})
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := server.Serve(p); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serving ended: %v", err)
			}
		})
		test(t, p)
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
}

// trickle sends one piece a second until the other side has had enough.
func trickle(c net.Conn, pieces []string) {
	for _, piece := range pieces {
		if _, err := io.WriteString(c, piece); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// bytewise is the slowest way to send a text.
func bytewise(text string) []string { return strings.Split(text, "") }

func TestSlowClients(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	const good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, c := range []struct {
		sentence string
		pieces   []string
		want     []string
		after    time.Duration
	}{
		{"who says nothing is hung up on after the time for a head", nil, nil, 10 * time.Second},
		{"a head that trickles is refused after its time", bytewise(strings.Repeat("x", 1000)), []string{"408 request-timeout"}, 10 * time.Second},
		{"a head that breaks off is refused after its time", []string{"GET / HT"}, []string{"408 request-timeout"}, 10 * time.Second},
		{"so is the second head on a connection", []string{good, "G"}, []string{"200", "408 request-timeout"}, 11 * time.Second},
		{"and one that comes with the first", []string{good + "G"}, []string{"200", "408 request-timeout"}, 10 * time.Second},
		{"a connection that is not used is closed", []string{good}, []string{"200"}, 120 * time.Second},
		{"a body that trickles ends the request", append([]string{post + "Content-Length: 1000\r\n\r\n"}, bytewise(strings.Repeat("x", 1000))...), []string{"418"}, 30 * time.Second},
		{"so does one in chunks", append([]string{post + "Transfer-Encoding: chunked\r\n\r\n"}, bytewise(strings.Repeat("1\r\nx\r\n", 300))...), []string{"418"}, 30 * time.Second},
		{"a head in pieces is as good as in one", []string{good[:1], good[1:7], good[7:25], good[25:]}, []string{"200"}, 123 * time.Second},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T, p *pipes) {
				begin := time.Now()
				client := p.dial()
				var sending sync.WaitGroup
				sending.Go(func() { trickle(client, c.pieces) })
				defer sending.Wait()
				defer client.Close()
				r := bufio.NewReader(client)
				for _, want := range c.want {
					if got := plain(t, r); got != want {
						t.Fatalf("answered %s, not %s", got, want)
					}
				}
				if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
					t.Errorf("at the end came %q, %v", rest, err)
				}
				if took := time.Since(begin); took < c.after-time.Second || took > c.after+2*time.Second {
					t.Errorf("it took %v, not about %v", took, c.after)
				}
			})
		})
	}
}

// plain is answer for a handler whose own refusals are no problems.
func plain(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	if peek, err := r.Peek(12); err == nil && string(peek[9:]) == "418" {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return "418"
	}
	return answer(t, r, "GET")
}

func TestIdleAndSlowClientsDoNotStopOthers(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, p := range ports(t, s, guard.Limits{}) {
		for i := range 1000 {
			c := p.dial(t)
			if i%2 == 0 {
				io.WriteString(c, "GET "+p.prefix+"/v1/users HTTP/1.1\r\nHost: a\r\nX: ")
			}
		}
		for range 20 {
			p.serves(t)
		}
	}
}

func TestConnectionsBeyondTheLimitAreToldAndClosed(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	limits := guard.DefaultLimits()
	limits.Connections = 3
	p := ports(t, s, limits)[0]
	inside := make([]net.Conn, limits.Connections)
	for i := range inside {
		inside[i] = p.dial(t)
		p.keepsServing(t, inside[i])
	}
	for range 200 { // again and again: they take no places
		c := p.dial(t)
		io.WriteString(c, p.legal())
		r := bufio.NewReader(c)
		if got := answer(t, r, "GET"); got != "503 too-many-connections" {
			t.Fatalf("one too many is answered %s", got)
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			t.Errorf("at the end came %q, %v", rest, err)
		}
		c.Close()
	}
	for _, c := range inside {
		p.keepsServing(t, c)
	}
	inside[0].Close()
	for { // the place is free once the server has noticed
		c := p.dial(t)
		io.WriteString(c, p.legal())
		got := answer(t, bufio.NewReader(c), "GET")
		c.Close()
		if got == "200" {
			break
		}
	}
}

// keepsServing fails unless an open connection gets an answer and stays open.
func (p port) keepsServing(t *testing.T, c net.Conn) {
	t.Helper()
	io.WriteString(c, "GET "+p.prefix+"/v1/users HTTP/1.1\r\nHost: a\r\n\r\n")
	if got := answer(t, bufio.NewReader(c), "GET"); got != "200" {
		t.Fatalf("who is inside is answered %s", got)
	}
}

func TestWhoSendsOnAfterARefusalStillReadsIt(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	p := ports(t, s, guard.Limits{})[0]
	for range 50 {
		c := p.dial(t)
		go io.WriteString(c, "POST /user//v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 200000))
		if got := answer(t, bufio.NewReader(c), "POST"); got != "400 bad-request" {
			t.Fatalf("answered %s", got)
		}
		c.Close()
	}
}

func TestAServerHasEveryLimit(t *testing.T) {
	srv := guard.NewServer(http.NotFoundHandler(), guard.Config{Log: apitest.Quiet()})
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.WriteTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes != 64<<10 {
		t.Errorf("a server without a limit: %+v", srv)
	}
	if srv.Protocols.UnencryptedHTTP2() || srv.Protocols.HTTP2() || !srv.Protocols.HTTP1() {
		t.Errorf("protocols are %v, not HTTP/1 alone", srv.Protocols)
	}
}
