package guard

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// FuzzHead holds the guard against net/http: what the guard lets pass, net/http
// reads without an error, and both agree on what was asked and how long the body is.
func FuzzHead(f *testing.F) {
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a?b=c&d=%zz HTTP/1.0\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: a:1\r\nContent-Length: 12\r\nX-Y: \tz \r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: CHUNKED\r\nExpect: 100-continue\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close, TE\r\nUpgrade: x\r\n\r\n",
		"GET http://a:b/ HTTP/1.1\r\nHost: a:b\r\n\r\n",
		"GET http://a%41/ HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /%41%C3%A4 HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		f.Add([]byte(text))
	}
	limits := DefaultLimits()
	f.Fuzz(func(t *testing.T, b []byte) {
		var s scanner
		end, refused := s.end(b, &limits)
		if end == 0 || refused != nil {
			return
		}
		head := b[:end]
		frame, refused := check(head, &limits)
		if refused != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			t.Fatalf("net/http refuses what has passed: %v", err)
		}
		length := r.ContentLength
		if frame.chunked {
			length++ // -1: not known
		}
		if length != frame.length || frame.chunked != (len(r.TransferEncoding) == 1) {
			t.Errorf("the guard says %+v, net/http %d %v", frame, r.ContentLength, r.TransferEncoding)
		}
		if r.RequestURI == refusedTarget {
			t.Error("a client gets through with the path that stands for a refusal")
		}
		if lines := bytes.Count(head, []byte("\r\n")) - 2; lines < len(r.Header) {
			t.Errorf("%d lines became %d headers", lines, len(r.Header))
		}
	})
}

// TestAHeadInPiecesIsReadAsInOne holds the scanner, which sees a head grow, against
// itself seeing it at once.
func TestAHeadInPiecesIsReadAsInOne(t *testing.T) {
	limits := DefaultLimits()
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
		"\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\n",
		"GET /" + strings.Repeat("x", 20000),
		"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 102) + "\r\n",
	} {
		var whole scanner
		end, refused := whole.end([]byte(text), &limits)
		var s scanner
		for n := range len(text) + 1 {
			got, r := s.end([]byte(text[:n]), &limits)
			if got == 0 && r == nil && n < len(text) {
				continue
			}
			if got != end || (r == nil) != (refused == nil) || r != nil && r.slug != refused.slug {
				t.Errorf("%.40q: %d %v in pieces, %d %v at once", text, got, r, end, refused)
			}
			break
		}
	}
}

// BenchmarkCheck is what looking at the head of a usual request costs.
func BenchmarkCheck(b *testing.B) {
	head := []byte("GET /recommendation/v1/users/17/commands/recommendFriends?limit=10 HTTP/1.1\r\n" +
		"Host: 127.0.0.1:9000\r\nUser-Agent: Go-http-client/1.1\r\nAccept: application/json\r\n" +
		"Idempotency-Key: 0123456789abcdef\r\nAccept-Encoding: gzip\r\n\r\n")
	limits := DefaultLimits()
	b.ReportAllocs()
	for b.Loop() {
		var s scanner
		end, _ := s.end(head, &limits)
		if _, r := check(head[:end], &limits); r != nil {
			b.Fatal(r.detail)
		}
	}
}
