package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"ensemble/wire"
)

// ProxyConfig says where the instances of a service are, and how long they may take.
type ProxyConfig struct {
	// Instances are the base addresses of the service, http://host:port each, without
	// a path. At least one.
	Instances []string
	// Connect is how long a connection may take to open. 0 means 2 s.
	Connect time.Duration
	// Answer is how long an instance may take until its answer begins; the longest
	// that a reader may wait for a position is 30 s. 0 means 60 s.
	Answer time.Duration
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Proxy hands the requests of one service to its instances over HTTP. It guarantees
// that an answer comes through as it was sent, headers and bytes, while it is being
// sent, and that one which breaks off is aborted here too. What the instances do not
// answer, it answers itself: 503 no-instance when nobody took the connection (nothing
// was changed), 502 bad-gateway when the answer broke off before it began, 504
// gateway-timeout when there was none in time (what was asked may have happened).
//
// Each request goes to the one of two instances, drawn at random, that has fewer under
// way (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001).
type Proxy struct {
	instances []*instance
	transport *http.Transport
	proxy     *httputil.ReverseProxy
	log       *slog.Logger
}

// instance is one process of a service.
type instance struct {
	base     *url.URL
	underway atomic.Int64 // requests whose answer has not ended
}

// idlePerHost is how many connections to one instance stay open between requests. The
// default of net/http is 2: a busy gateway would open one for nearly every request.
const idlePerHost = 1024

// NewProxy returns a proxy. Close lets its connections go.
//
// Errors: an instance that is no address of the form http://host:port, and no instance.
func NewProxy(c ProxyConfig) (*Proxy, error) {
	if c.Connect == 0 {
		c.Connect = 2 * time.Second
	}
	if c.Answer == 0 {
		c.Answer = 60 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	p := &Proxy{log: c.Log}
	for _, text := range c.Instances {
		base, err := parseInstance(text)
		if err != nil {
			return nil, err
		}
		p.instances = append(p.instances, &instance{base: base})
	}
	if len(p.instances) == 0 {
		return nil, errors.New("a service without an instance can't be reached: give at least one address")
	}
	p.transport = &http.Transport{
		DialContext:           (&net.Dialer{Timeout: c.Connect}).DialContext,
		MaxIdleConnsPerHost:   idlePerHost,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: c.Answer,
		DisableCompression:    true, // the bytes that the service sent
		ForceAttemptHTTP2:     false,
	}
	p.proxy = &httputil.ReverseProxy{
		// An answer without a length is passed on as it comes: so are streams and long lists.
		Rewrite:      rewrite,
		Transport:    p.transport,
		ErrorHandler: p.failed,
		ErrorLog:     slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn),
	}
	return p, nil
}

// parseInstance reads the address of an instance.
func parseInstance(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" ||
		base.Path != "" && base.Path != "/" || base.RawQuery != "" || base.User != nil {
		return nil, fmt.Errorf("%q is not the address of a service: write it like http://127.0.0.1:8120, without a path", text)
	}
	return base, nil
}

// Close lets idle connections go. Requests under way are answered.
func (p *Proxy) Close() { p.transport.CloseIdleConnections() }

// passage is what a request carries through the proxy.
type passage struct {
	to   *instance
	body *watchedBody
}

// passageKey finds the passage in a request's context.
type passageKey struct{}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := p.pick()
	to.underway.Add(1)
	defer to.underway.Add(-1) // the answer has ended
	trip := &passage{to: to}
	out := r.WithContext(context.WithValue(r.Context(), passageKey{}, trip))
	if r.Body != nil && r.Body != http.NoBody {
		trip.body = &watchedBody{ReadCloser: r.Body, left: wire.MaxBody + 1}
		out.Body = trip.body
		if out.ContentLength > wire.MaxBody {
			out.ContentLength = -1 // only so much of it is sent
		}
	}
	p.proxy.ServeHTTP(w, out)
}

// pick returns where the next request goes.
func (p *Proxy) pick() *instance {
	n := len(p.instances)
	if n == 1 {
		return p.instances[0]
	}
	first := rand.IntN(n)                      //nolint:gosec // nobody gains by guessing it
	second := (first + 1 + rand.IntN(n-1)) % n //nolint:gosec // nobody gains by guessing it
	a, b := p.instances[first], p.instances[second]
	if b.underway.Load() < a.underway.Load() {
		return b
	}
	return a
}

// rewrite turns a request to the gateway into one to the instance. The prefix was cut
// off before; all else stays as the client wrote it.
func rewrite(r *httputil.ProxyRequest) {
	trip := r.In.Context().Value(passageKey{}).(*passage) //nolint:forcetypeassert // ServeHTTP has put it there
	r.Out.URL.Scheme, r.Out.URL.Host = trip.to.base.Scheme, trip.to.base.Host
	r.Out.Host = ""
	r.Out.URL.RawQuery = r.In.URL.RawQuery // not the cleaned one: what is wrong with it is for the service to say
	r.SetXForwarded()
	// A client may name headers in Connection that it wants to end here. The gateway's
	// own marks are not among them.
	for _, mark := range [...]string{"X-Forwarded-Prefix", "X-Request-Id"} {
		r.Out.Header[mark] = r.In.Header[mark]
	}
	delete(r.Out.Header, "Expect") // who waits for leave to send gets it from this server, when the body is read
}

// watchedBody is a request's body that remembers why it could not be read. It ends one
// byte behind the largest that a service takes: the service then says what it says of any
// that is too large, and nobody waits for the rest.
type watchedBody struct {
	io.ReadCloser
	left   int
	failed atomic.Pointer[error]
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.failed.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failed answers a request that no instance has answered.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	trip := r.Context().Value(passageKey{}).(*passage) //nolint:forcetypeassert // ServeHTTP has put it there
	slug := blame(r, trip, err)
	if slug.Kind().Status >= http.StatusBadGateway {
		p.log.WarnContext(r.Context(), "an instance did not answer", "instance", trip.to.base.Host, "error", err,
			"requestId", r.Header.Get("X-Request-Id"))
	}
	if slug == wire.NoInstance { // of the others it is not known that nothing happened
		w.Header()["Retry-After"] = []string{strconv.Itoa(retryAfter)}
	}
	problemAt(w, r, slug, "", r.Header.Get("X-Forwarded-Prefix"))
}

// retryAfter is in how many seconds an instance may be there again.
const retryAfter = 1

// blame says what became of a request that was not answered.
func blame(r *http.Request, trip *passage, err error) wire.Slug {
	if trip.body != nil {
		if read := trip.body.failed.Load(); read != nil { // the client's part, whatever came of it
			if errors.Is(*read, os.ErrDeadlineExceeded) {
				return wire.RequestTimeout
			}
			return wire.IncompleteBody
		}
	}
	var dial *net.OpError
	var timeout net.Error
	switch {
	case r.Context().Err() != nil:
		return wire.ClientClosedRequest
	case errors.As(err, &dial) && dial.Op == "dial":
		return wire.NoInstance
	case errors.As(err, &timeout) && timeout.Timeout():
		return wire.GatewayTimeout
	}
	return wire.BadGateway
}

// Ready returns nil while at least one instance can do its work, and otherwise why each
// of them can't.
func (p *Proxy) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	found := make(chan error, len(p.instances))
	for _, i := range p.instances {
		go func() { found <- p.ask(ctx, i) }() // ends with its context; nobody waits for the slower ones
	}
	var errs []error
	for range p.instances {
		err := <-found
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// readyWithin is how long an instance may take to say how it is.
const readyWithin = 2 * time.Second

// ask returns nil if an instance says that it can do its work.
func (p *Proxy) ask(ctx context.Context, i *instance) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.base.JoinPath("/actuator/health").String(), nil)
	if err != nil {
		return err
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", i.base.Host, err)
	}
	defer resp.Body.Close()                                      //nolint:errcheck // only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection is used again
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s says that it is not ready (%s)", i.base.Host, resp.Status)
	}
	return nil
}

// Instance is where an instance is and how it is, for operators.
type Instance struct {
	Address  string
	Up       bool
	Underway int64 // requests
}

// Instances asks all instances how they are.
func (p *Proxy) Instances(ctx context.Context) []Instance {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	list := make([]Instance, len(p.instances))
	done := make(chan struct{})
	for n, i := range p.instances {
		go func() { // waited for below
			list[n] = Instance{Address: i.base.Host, Up: p.ask(ctx, i) == nil, Underway: i.underway.Load()}
			done <- struct{}{}
		}()
	}
	for range p.instances {
		<-done
	}
	return list
}
