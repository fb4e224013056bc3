package guard_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
	"ensemble/wire"
)

// FuzzFront sends any bytes over a real connection to the gateway and to a service.
// Nothing panics, nothing is answered 5xx (but 505 to another version of HTTP),
// every refusal is a problem, there are never more answers than net/http finds
// requests, and the next client is served.
func FuzzFront(f *testing.F) {
	for _, e := range corpus(f) {
		f.Add([]byte(strings.ReplaceAll(e.bytes, "{user}", "/user")))
		f.Add([]byte(strings.ReplaceAll(e.bytes, "{user}", "")))
	}
	s := apitest.Start(f, apitest.Options{})
	open := ports(f, s, guard.Limits{})
	f.Fuzz(func(t *testing.T, sent []byte) {
		for _, p := range open {
			got := p.exchange(t, sent)
			answers := statuses(t, got)
			for _, a := range answers {
				if a >= 500 && a != http.StatusHTTPVersionNotSupported {
					t.Errorf("the %s answers %d", p.name, a)
				}
			}
			if most := requests(sent); len(answers) > most {
				t.Errorf("the %s answers %v to what net/http reads as %d requests", p.name, answers, most)
			}
			p.serves(t)
		}
	})
}

// exchange sends bytes, then the end, and returns all that comes back.
func (p port) exchange(t *testing.T, sent []byte) []byte {
	t.Helper()
	c := p.dial(t)
	defer c.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Write(sent)
		c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil && errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	c.Close()
	<-done
	return got
}

// statuses takes a stream of answers apart. Which of them answers HEAD can't be
// seen, so a body is what does not begin like the next answer.
func statuses(t *testing.T, got []byte) (all []int) {
	t.Helper()
	for len(got) > 0 {
		method := "GET"
		if _, after, _ := bytes.Cut(got, []byte("\r\n\r\n")); len(after) == 0 || bytes.HasPrefix(after, []byte("HTTP/1.1 ")) {
			method = "HEAD"
		}
		r := bufio.NewReaderSize(bytes.NewReader(got), len(got)+16)
		resp, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("not an answer: %v: %.200q", err, got)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("an answer breaks off: %v: %.200q", err, got)
		}
		if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") != wire.ProblemType {
			t.Errorf("a refusal is no problem: %.200q", got)
		}
		if resp.StatusCode >= 200 {
			all = append(all, resp.StatusCode)
		}
		got, _ = r.Peek(r.Buffered())
	}
	return all
}

// requests counts what net/http reads as requests, what it can't read as one more. Empty
// lines before a request are no part of it (RFC 9112, 2.2).
func requests(sent []byte) int {
	r := bufio.NewReader(bytes.NewReader(sent))
	for n := 1; ; n++ {
		for next, _ := r.Peek(1); len(next) > 0 && (next[0] == '\r' || next[0] == '\n'); next, _ = r.Peek(1) {
			_, _ = r.Discard(1)
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return n
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return n
		}
	}
}
