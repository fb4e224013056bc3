package guard

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/wire"
)

// TestARefusalSaysWhatToMend holds each refusal against the word that somebody who
// has to repair a client looks for.
func TestARefusalSaysWhatToMend(t *testing.T) {
	limits := DefaultLimits()
	for _, c := range []struct{ sentence, line, headers, says string }{
		{"single spaces", "GET  / HTTP/1.1", "Host: a", "slash"},
		{"a version", "GET / HTTP/1.1 ", "Host: a", "HTTP/1.1"},
		{"a method that is a word", "G@T / HTTP/1.1", "Host: a", "METHOD"},
		{"no stars", "GET * HTTP/1.1", "Host: a", "OPTIONS alone"},
		{"a slash", "GET a HTTP/1.1", "Host: a", "begins with a slash"},
		{"one slash", "GET /a//b HTTP/1.1", "Host: a", "one slash"},
		{"no dots", "GET /a/. HTTP/1.1", "Host: a", "segment of dots"},
		{"no dots before a query", "GET /a/..?b HTTP/1.1", "Host: a", "segment of dots"},
		{"whole escapes", "GET /%4 HTTP/1.1", "Host: a", "two hexadecimal digits"},
		{"no escaped slash", "GET /%2f HTTP/1.1", "Host: a", "escaped slash"},
		{"UTF-8", "GET /%ff HTTP/1.1", "Host: a", "not UTF-8"},
		{"no fragment", "GET /?a#b HTTP/1.1", "Host: a", "query"},
		{"few parameters", "GET /?" + strings.Repeat("&", 100) + " HTTP/1.1", "Host: a", "too many parameters"},
		{"a host", "GET / HTTP/1.1", "X: y", "Host is missing"},
		{"one host", "GET / HTTP/1.1", "Host: a\r\nHost: a", "more than once"},
		{"a plain host", "GET / HTTP/1.1", "Host: a b", "not a name"},
		{"the same host", "GET http://b/ HTTP/1.1", "Host: a", "request line"},
		{"one length", "GET / HTTP/1.1", "Host: a\r\nContent-Length: 1\r\nContent-Length: 1", "Content-Length"},
		{"a plain length", "GET / HTTP/1.1", "Host: a\r\nContent-Length: 1.0", "whole number"},
		{"one framing", "GET / HTTP/1.1", "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", "only one of them"},
		{"a known coding", "GET / HTTP/1.1", "Host: a\r\nTransfer-Encoding: br", "Content-Length instead"},
		{"no chunks in 1.0", "GET / HTTP/1.0", "Host: a\r\nTransfer-Encoding: chunked", "HTTP/1.0 has no"},
		{"a colon", "GET / HTTP/1.1", "Host: a\r\nX", "no colon"},
		{"no space before it", "GET / HTTP/1.1", "Host: a\r\nX : y", "before its colon"},
		{"no underscore", "GET / HTTP/1.1", "Host: a\r\nX_Y: z", "Use a hyphen"},
		{"no controls", "GET / HTTP/1.1", "Host: a\r\nX: \x07", "control character"},
		{"no strange options", "GET / HTTP/1.1", "Host: a\r\nConnection: Host", "Leave them out"},
		{"no upgrade", "GET / HTTP/1.1", "Host: a\r\nUpgrade: h2c", "Version.HTTP_1_1"},
		{"no tunnel", "CONNECT a:1 HTTP/1.1", "Host: a", "no proxy"},
		{"no trace", "TRACE / HTTP/1.1", "Host: a", "off"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			head := c.line + "\r\n" + c.headers + "\r\n\r\n"
			_, refused := check([]byte(head), &limits)
			if refused == nil || !strings.Contains(refused.detail, c.says) {
				t.Fatalf("refused with %+v, which does not say %q", refused, c.says)
			}
			if !slices.Contains([]wire.Slug{wire.BadRequest, wire.MethodNotAllowed, wire.URITooLong}, refused.slug) {
				t.Errorf("the kind is %s", refused.slug)
			}
		})
	}
}

// TestWhatIsShownOfATarget: an answer repeats the path, never the query, and
// nothing that could be more than a path.
func TestWhatIsShownOfATarget(t *testing.T) {
	for target, want := range map[string]string{
		"/a/b":                         "/a/b",
		"/a?name=Ada":                  "/a",
		"/a\x1b[31m":                   "",
		"/m\xc3\xbcller":               "",
		"/a b":                         "",
		"/" + strings.Repeat("x", 255): "/" + strings.Repeat("x", 255),
		"/" + strings.Repeat("x", 256): "",
		"":                             "",
	} {
		if got := shown(target); got != want {
			t.Errorf("of %.20q is shown %.20q, not %.20q", target, got, want)
		}
	}
}

// TestAHandlerWithoutItsListenerAdmitsNoForgery: the request that stands for a
// refusal is refused also where no guarded connection has made it.
func TestAHandlerWithoutItsListenerAdmitsNoForgery(t *testing.T) {
	var counted []wire.Slug
	s := NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the handler was called")
	}), Config{
		Refused: func(kind wire.Slug) { counted = append(counted, kind) },
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodDelete} {
		w := httptest.NewRecorder()
		s.Handler.ServeHTTP(w, httptest.NewRequest(method, refusedTarget, nil))
		if w.Code != http.StatusBadRequest || w.Header().Get("Connection") != "close" || (w.Body.Len() == 0) != (method == http.MethodHead) {
			t.Errorf("%s is answered %d %v %s", method, w.Code, w.Header(), w.Body)
		}
	}
	if !slices.Equal(counted, []wire.Slug{wire.BadRequest, wire.BadRequest, wire.BadRequest}) {
		t.Errorf("counted were %v", counted)
	}
}

// TestADeadlineOfTheHeadGivesWayOnlyToAnInterruption: net/http interrupts a Read by
// a deadline in the past, and sets others that are for requests it has seen.
func TestADeadlineOfTheHeadGivesWayOnlyToAnInterruption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := DefaultLimits()
		client, server := net.Pipe()
		defer client.Close()
		c := &conn{Conn: server, limits: &limits, close: func() {}}
		defer c.Close()
		go io.WriteString(client, "GET /")
		begin := time.Now()
		read := func() time.Duration {
			if n, err := c.Read(make([]byte, 100)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read %d bytes, %v", n, err)
			}
			return time.Since(begin)
		}
		time.AfterFunc(3*time.Second, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })
		if took := read(); took != 3*time.Second {
			t.Errorf("the interruption came after %v", took)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, err := c.Read(b)
		if err != nil || !strings.HasPrefix(string(b[:n]), "GET "+refusedTarget+" ") || time.Since(begin) != limits.HeadTime {
			t.Errorf("after %v came %q, %v", time.Since(begin), b[:n], err)
		}
		if c.refusal.slug != wire.RequestTimeout {
			t.Errorf("refused as %s", c.refusal.slug)
		}
		if n, err := c.Read(b); n > 0 || !errors.Is(err, io.EOF) {
			t.Errorf("then came %q, %v", b[:n], err)
		}
	})
}
