package guard_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
)

// BenchmarkRequest compares a request over a connection that stays open through the
// guard with one through net/http alone, in the same run.
func BenchmarkRequest(b *testing.B) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for _, c := range []struct {
		name  string
		serve func(net.Listener) (stop func() error)
	}{
		{"guard", func(l net.Listener) func() error {
			s := guard.NewServer(handler, guard.Config{Log: apitest.Quiet()})
			go s.Serve(l)
			return s.Close
		}},
		{"net-http", func(l net.Listener) func() error {
			s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 120 * time.Second}
			go s.Serve(l)
			return s.Close
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer c.serve(l)()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			b.ReportAllocs()
			for b.Loop() {
				io.WriteString(conn, "GET /recommendation/v1/users/17/commands/recommendFriends?limit=10 HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"+
					"User-Agent: Go-http-client/1.1\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\r\n")
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						b.Fatal(err)
					}
					if len(line) == 2 {
						break
					}
				}
			}
		})
	}
}
