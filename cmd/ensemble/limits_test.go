package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// ask sends bytes to a running system and returns the status that comes back.
func (r *running) ask(text string) (status int, body string, conn net.Conn) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.edge)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.t.Fatalf("no answer to %q: %v", text, err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(answer), conn
}

// TestAnOperatorMovesTheLimits: the flags of 'up' arrive at the port, and what is
// refused there is counted where an operator looks.
func TestAnOperatorMovesTheLimits(t *testing.T) {
	r := start(t, filepath.Join(t.TempDir(), "data"), "--max-connections", "2", "--request-timeout", "1s", "--idle-timeout", "20s")
	const alive = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
	var inside []net.Conn
	for range 2 {
		status, body, conn := r.ask(alive)
		if status != http.StatusOK {
			t.Fatalf("answered %d %s", status, body)
		}
		inside = append(inside, conn)
	}
	if status, body, _ := r.ask(alive); status != http.StatusServiceUnavailable || !strings.Contains(body, "/problems/too-many-connections") {
		t.Errorf("the third is answered %d %s", status, body)
	}
	for _, c := range inside {
		c.Close()
	}
	slow := "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
	r.eventually(slow, http.StatusRequestTimeout)
	r.eventually("GET /user//v1 HTTP/1.1\r\nHost: a\r\n\r\n", http.StatusBadRequest)
	metrics := r.eventually("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", http.StatusOK)
	for _, kind := range []string{"too-many-connections", "bad-request"} {
		if line := fmt.Sprintf("ensemble_refused_requests_total{problem=%q}", kind); !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

// eventually asks until there is a place for one more, and returns the answer, which
// has to have a status.
func (r *running) eventually(text string, want int) string {
	r.t.Helper()
	for {
		status, body, conn := r.ask(text)
		conn.Close()
		if status == http.StatusServiceUnavailable {
			continue
		}
		if status != want {
			r.t.Errorf("answered %d %s, not %d", status, body, want)
		}
		return body
	}
}
