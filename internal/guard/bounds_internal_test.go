package guard

import (
	"errors"
	"net"
	"net/url"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"ensemble/wire"
)

// TestAPathThatPassesIsReadInOneWay draws paths of what attackers put into them. One
// that passes has the same segments for who decodes it once, twice, or not at all,
// and for who resolves dots and slashes before or after.
func TestAPathThatPassesIsReadInOneWay(t *testing.T) {
	pieces := []string{
		"/", "a", "users", ".", "..", "...", "%2e", "%2E", "%2f", "%5c", "\\", "%25", "%", "%41", "%c3%a4", "%c0%af",
		"%00", ";", "%3b", "#", " ", "~", "@", ":", "%zz", "\x7f", "é", "%20", "//", "v1",
	}
	limits := DefaultLimits()
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		sent := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "pieces"), "")
		if checkPath([]byte(sent), &limits) != nil {
			return
		}
		passed++
		once, err := url.PathUnescape(sent)
		if err != nil {
			t.Fatalf("%q can't be decoded: %v", sent, err)
		}
		if twice, err := url.PathUnescape(once); err != nil || twice != once {
			t.Errorf("%q is %q, and decoded again %q, %v", sent, once, twice, err)
		}
		if strings.Count(sent, "/") != strings.Count(once, "/") {
			t.Errorf("%q has other segments when it is decoded: %q", sent, once)
		}
		if clean := path.Clean(once); clean != once && clean+"/" != once {
			t.Errorf("%q is %q, which is resolved to %q", sent, once, clean)
		}
		if cut, _, found := strings.Cut(once, ";"); found {
			t.Errorf("%q is %q to who cuts it at the semicolon", sent, cut)
		}
		if strings.ContainsFunc(once, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }) {
			t.Errorf("%q decodes to %q", sent, once)
		}
	})
	if passed == 0 {
		t.Error("nothing passes")
	}
}

// TestPathsThatPeopleSendPass: whoever means no harm notices nothing of the guard.
func TestPathsThatPeopleSendPass(t *testing.T) {
	limits := DefaultLimits()
	for _, sent := range []string{
		"/", "/user/v1/users/1", "/user/v1/users/", "/user/v1/users?ids=1,2,3&limit=10", "/%31", "/m%C3%BCller", "/a.b/c..d/...",
		"/~a/@b/c:d/(e)", "/?next=http://a/b//c/../d", "/?q=%2f%2e%00%zz", "/?a=b?c", "/?", "/a%20b",
	} {
		if r := checkPath([]byte(sent), &limits); r != nil {
			t.Errorf("%s is refused: %s", sent, r.detail)
		}
	}
}

// TestLimitsHoldToTheByte: what is as large as a limit passes, one more does not.
func TestLimitsHoldToTheByte(t *testing.T) {
	small := Limits{Head: 400, Headers: 4, Target: 100, Parameters: 3}
	request := func(target, headers string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n"
	}
	rest := func(whole int) string { // a header that makes a request of that size
		return "X: " + strings.Repeat("y", whole-len(request("/", "X: \r\n"))) + "\r\n"
	}
	for _, c := range []struct {
		sentence, good, bad string
		kind                wire.Slug
	}{
		{"a target", request("/"+strings.Repeat("x", 99), ""), request("/"+strings.Repeat("x", 100), ""), wire.URITooLong},
		{"a target with a query", request("/?"+strings.Repeat("x", 98), ""), request("/?"+strings.Repeat("x", 99), ""), wire.URITooLong},
		{"parameters", request("/?a&b&c", ""), request("/?a&b&c&d", ""), wire.URITooLong},
		{"headers", request("/", strings.Repeat("X: y\r\n", 3)), request("/", strings.Repeat("X: y\r\n", 4)), wire.HeadersTooLarge},
		{"a head", request("/", rest(400)), request("/", rest(401)), wire.HeadersTooLarge},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if r := refusalOf(c.good, &small); r != nil {
				t.Errorf("as large as may be, it is refused: %+v", r)
			}
			if r := refusalOf(c.bad, &small); r == nil || r.slug != c.kind {
				t.Errorf("one more is refused as %+v, not as %s", r, c.kind)
			}
		})
	}
}

// refusalOf returns why a whole head is refused, nil if it passes.
func refusalOf(head string, l *Limits) *refusal {
	var s scanner
	end, r := s.end([]byte(head), l)
	if r == nil && end == len(head) {
		_, r = check([]byte(head), l)
	}
	return r
}

// hung is a connection that only remembers whether it was closed.
type hung struct {
	net.Conn
	closed atomic.Bool
}

func (h *hung) Close() error { h.closed.Store(true); return nil }

// crowd is a listener at which any number of clients waits.
type crowd struct {
	net.Listener
	all []*hung
}

func (c *crowd) Accept() (net.Conn, error) {
	if len(c.all) == cap(c.all) {
		return nil, errors.New("nobody is left")
	}
	c.all = append(c.all, new(hung))
	return c.all[len(c.all)-1], nil
}

// TestACrowdIsServedAnsweredOrHungUpOn: up to the limit clients are served, the next
// are answered, the rest is closed at once, and places come back.
func TestACrowdIsServedAnsweredOrHungUpOn(t *testing.T) {
	const limit, crowded = 5, 5 + overflow + 50
	waiting := &crowd{all: make([]*hung, 0, crowded)}
	l := Listen(waiting, Limits{Connections: limit})
	var served, answered []net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		if c.(*conn).refusal == nil {
			served = append(served, c)
		} else {
			answered = append(answered, c)
		}
	}
	closed := 0
	for _, h := range waiting.all {
		if h.closed.Load() {
			closed++
		}
	}
	if len(served) != limit || len(answered) != overflow || closed != 50 {
		t.Errorf("%d are served, %d answered, %d closed", len(served), len(answered), closed)
	}
	for _, c := range append(served, answered...) {
		c.(*conn).refused.Store(false) // nothing to read away here
		c.Close()
		c.Close() // net/http may do so; the place comes back once
	}
	if open := l.(*listener).open.Load(); open != 0 {
		t.Errorf("%d places are lost", open)
	}
}
