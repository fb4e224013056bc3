package guard

import (
	"bufio"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// smuggle is what an attacker puts between two bytes of a good head, hoping that
// one reader sees an end, a length or a name there and another does not.
func smuggle() []string {
	return []string{
		"\r", "\n", "\r\n", "\r\n\r\n", "\n\n", " ", "\t", "\x00", "\x0b", "\x85", "\u2028", ":", ",", ";", "\"", "0", "+1", "_",
		"\r\nContent-Length: 3", "\nContent-Length: 3", "\r\n Content-Length: 3", "\r\nContent-Length : 3", "\r\nContent-Length: 0x3",
		"\r\nTransfer-Encoding: chunked", "\r\nTransfer-Encoding:\tchunked", "\r\nTransfer-Encoding: xchunked", "\r\nTransfer_Encoding: chunked",
		"\r\nTransfer-Encoding: chunked, identity", "\r\nHost: b", "\r\nConnection: Content-Length", "\r\nUpgrade: h2c",
		"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n", "%2f", "/..", "//", "#", "\\",
	}
}

// drawMutated returns a good head in which a few things were inserted, left out,
// changed or written twice.
func drawMutated(t *rapid.T) string {
	head := rapid.SampledFrom([]string{
		"GET /user/v1/users?limit=3 HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n",
		"POST /user/v1/users HTTP/1.1\r\nHost: a:9000\r\nContent-Length: 5\r\nContent-Type: application/json\r\n\r\n",
		"POST /user/v1/users HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"PUT /user/v1/users/1 HTTP/1.0\r\nHost: a\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\n",
		"DELETE http://a/user/v1/users/1 HTTP/1.1\r\nHost: a\r\nIf-Match: \"1-3f2a91c0\"\r\n\r\n",
	}).Draw(t, "head")
	for range rapid.IntRange(1, 4).Draw(t, "mutations") {
		at := rapid.IntRange(0, len(head)).Draw(t, "at")
		end := min(len(head), at+rapid.IntRange(0, 3).Draw(t, "length"))
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 4: // a whole line, which random places rarely make
			line := rapid.SampledFrom(smuggle()).Draw(t, "line")
			if i := strings.LastIndex(head, "\r\n\r\n"); i >= 0 {
				head = head[:i] + line + head[i:]
			}
		case 0:
			head = head[:at] + head[end:]
		case 1:
			head = head[:end] + head[at:]
		case 2:
			head = head[:at] + string([]byte{rapid.Byte().Draw(t, "byte")}) + head[end:]
		case 3:
			head = head[:at] + rapid.SampledFrom(smuggle()).Draw(t, "inserted") + head[at:]
		}
	}
	return head
}

// TestNoMutationMakesTwoRequestsOfOne: what passes as one head ends for net/http
// at the same byte, frames its body in the same way, and says nothing in its
// fields that another reader could take for the end of a line.
func TestNoMutationMakesTwoRequestsOfOne(t *testing.T) {
	limits := DefaultLimits()
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			readAsOne(t, drawMutated(t), &limits)
		}
	})
}

// readAsOne fails if a head passes that net/http reads in another way.
func readAsOne(t *rapid.T, head string, limits *Limits) {
	var s scanner
	end, refused := s.end([]byte(head), limits)
	if end == 0 || refused != nil {
		return
	}
	head = head[:end]
	frame, refused := check([]byte(head), limits)
	if refused != nil {
		return
	}
	const behind = "behind"
	r := bufio.NewReader(strings.NewReader(head + behind))
	q, err := http.ReadRequest(r)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", head, err)
	}
	if rest, err := io.ReadAll(r); err != nil || string(rest) != behind {
		t.Fatalf("of %q net/http leaves %q, %v", head, rest, err)
	}
	if chunked := slices.Equal(q.TransferEncoding, []string{"chunked"}); chunked != frame.chunked || !chunked && q.ContentLength != frame.length {
		t.Fatalf("of %q the guard says %+v, net/http %d %v", head, frame, q.ContentLength, q.TransferEncoding)
	}
	oneReading(t, strings.TrimLeft(head, "\r\n"), q)
}

// oneReading holds a head that has passed against the plainest reader there is: one
// that cuts at each CRLF and at the first colon.
func oneReading(t *rapid.T, head string, q *http.Request) {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	count := 0
	for _, values := range q.Header {
		count += len(values)
	}
	framed := 0
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.ContainsAny(name, " \t_\x00") || strings.ContainsAny(value, "\r\n\x00") {
			t.Fatalf("the line %q passes", line)
		}
		switch strings.ToLower(name) {
		case "host", "transfer-encoding":
			count++ // net/http keeps them elsewhere
		}
		switch strings.ToLower(name) {
		case "content-length", "transfer-encoding":
			framed++
		}
	}
	if framed > 1 || count != len(lines)-1 || strings.ContainsAny(lines[0], "\r\n\t\x00") {
		t.Fatalf("%q passes: net/http finds %d fields in %d lines, %d of them say how long it is", head, count, len(lines)-1, framed)
	}
}
