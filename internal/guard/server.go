package guard

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"ensemble/wire"
)

// refusedTarget is the target of the request that stands for one that was refused.
// A client that sends it is itself refused: it has an escaped control character.
const refusedTarget = "/%00"

// Config is what a server works with.
type Config struct {
	// Limits is how much one client may ask. The zero value stands for
	// DefaultLimits.
	Limits Limits
	// Refused is called with the kind of each request that is refused, for
	// instance to count them. Nil: nobody counts.
	Refused func(wire.Slug)
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Server is a server that hands to its handler only what the guard lets pass.
type Server struct {
	*http.Server

	limits Limits
}

// NewServer returns a server for a handler. The caller gives it a listener, and
// shuts it down.
func NewServer(handler http.Handler, c Config) *Server {
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits()
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // no h2c: what reads a request must agree on where it ends
	return &Server{limits: c.Limits, Server: &http.Server{
		Handler:           &handlerOf{next: handler, config: c},
		Protocols:         protocols,
		ReadHeaderTimeout: c.Limits.HeadTime,
		ReadTimeout:       c.Limits.ReadTime,
		WriteTimeout:      c.Limits.WriteTime,
		IdleTimeout:       c.Limits.IdleTime,
		MaxHeaderBytes:    c.Limits.Head, // the guard's is the same, and comes first
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		// What net/http says here is about broken clients, one line each: noise
		// to an operator unless somebody is looking for it.
		ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		// OPTIONS * is answered like any other request.
		DisableGeneralOptionsHandler: true,
	}}
}

// Serve answers what comes to a listener, until the server is shut down.
func (s *Server) Serve(l net.Listener) error { return s.Server.Serve(Listen(l, s.limits)) }

// connKey is where a request's context has its connection.
type connKey struct{}

// handlerOf is what a server calls: the handler, or the answer to what was refused.
type handlerOf struct {
	next   http.Handler
	config Config
}

// ServeHTTP implements http.Handler.
func (h *handlerOf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.RequestURI == refusedTarget {
		h.refuse(w, r)
		return
	}
	if len(r.TransferEncoding) > 0 {
		// Where a chunked body ends is for net/http to say, so nothing may
		// follow it.
		w.Header()["Connection"] = []string{"close"}
	}
	h.next.ServeHTTP(w, r)
}

// refuse answers a request that did not get through.
func (h *handlerOf) refuse(w http.ResponseWriter, r *http.Request) {
	why := bad("")
	if c, ok := r.Context().Value(connKey{}).(*conn); ok && c.refusal != nil {
		why = c.refusal
	}
	path := shown(why.target)
	id := rand.Text()
	p := wire.NewProblem(why.slug, why.detail, wire.Occasion{Instance: path, Path: path, RequestID: id, Time: time.Now()})
	body := wire.AppendProblem(nil, &p)
	header := w.Header()
	header["Content-Type"] = []string{wire.ProblemType}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	header["X-Request-Id"] = []string{id}
	header["Connection"] = []string{"close"}
	switch p.Status {
	case http.StatusMethodNotAllowed:
		header["Allow"] = []string{"DELETE, GET, HEAD, OPTIONS, POST, PUT"}
	case http.StatusServiceUnavailable:
		header["Retry-After"] = []string{"1"}
	}
	h.config.Log.DebugContext(r.Context(), "a request was refused",
		"problem", string(why.slug), "detail", p.Detail, "client", r.RemoteAddr, "requestId", id)
	if h.config.Refused != nil {
		h.config.Refused(why.slug)
	}
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // if the client has gone, nobody is left to tell
	}
}

// shown returns the path of a target for an answer, if it is short and plain.
func shown(target string) string {
	const most = 256
	for i := range len(target) {
		switch {
		case i == most || target[i] <= ' ' || target[i] > '~':
			return ""
		case target[i] == '?':
			return target[:i]
		}
	}
	return target
}
