package eureka

import (
	"bytes"
	"io"
	"net/http"
)

// Local returns what sends requests to this registry without a network, as from this
// machine: a process that has the registry and services announces those through it.
func (s *Server) Local() http.RoundTripper { return local{s} }

// local is a transport to a registry in the same process.
type local struct{ server *Server }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RemoteAddr = "127.0.0.1:0"
	w := &answered{status: http.StatusOK, header: http.Header{}}
	l.server.ServeHTTP(w, in)
	if r.Body != nil {
		_ = r.Body.Close() // a transport has to; it was in memory
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
	}, nil
}

// answered is an http.ResponseWriter that keeps the answer.
type answered struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answered) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) { a.status = status }

// Write implements http.ResponseWriter.
func (a *answered) Write(b []byte) (int, error) { return a.body.Write(b) }
