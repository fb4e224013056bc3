// Package client calls the HTTP API through the gateway.
//
// It guarantees that
//
//   - every answer that is not a success comes back as an [*ProblemError] with the
//     problem in it, so that callers decide on the slug,
//   - a body is read to its end, so that connections are used again,
//   - nothing is retried behind the caller's back. To retry safely, send the same
//     call with the same idempotency key until it is answered,
//   - only [Client.Events] connects again by itself, because it can tell that no
//     event is missing and none comes twice.
//
// A Client is safe for concurrent use:
//
//	c := client.New("http://127.0.0.1:9000", &http.Client{Transport: client.Transport(64)})
//	ada, _, err := c.CreateUser(ctx, "Ada", "Lovelace", "")
//
// # Lists
//
// Users, Friends, Mutual and Recommend return what one answer holds. The Each…
// iterators go through a list of any length page by page: what is in it all the
// time comes exactly once, whatever changes meanwhile. StreamRecommendations reads
// one answer of any length while the service writes it:
//
//	for u, err := range c.EachUser(ctx, 0) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(u.FirstName)
//	}
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ensemble/wire"
)

// maxAnswer bounds what is read of an answer that is not a success.
const maxAnswer = 1 << 20

// Client calls one gateway, or one service.
type Client struct {
	base string
	cut  string // what paths begin with at the gateway and not at the service; "" for a gateway
	http *http.Client
}

// New returns a client of the gateway at a base address such as
// http://127.0.0.1:9000. A nil hc means http.DefaultClient. Unless hc has rules of
// its own, redirects are followed on the same host only, with everything that was sent.
func New(baseURL string, hc *http.Client) *Client {
	if hc == nil {
		hc = http.DefaultClient
	}
	own := *hc
	if own.CheckRedirect == nil {
		own.CheckRedirect = moved
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), http: &own}
}

// Direct returns a client of one service ("user", "friend", "recommendation") on its own
// port, without a gateway in between. Only calls of that service mean something.
func Direct(baseURL, service string, hc *http.Client) *Client {
	c := New(baseURL, hc)
	c.cut = "/" + service
	return c
}

// url returns the address of a path.
func (c *Client) url(path string) string {
	if rest, found := strings.CutPrefix(path, c.cut); found && strings.HasPrefix(rest, "/") {
		path = rest
	}
	return c.base + path
}

// moved says why a redirect is not followed: another host would be handed commands
// and keys, and a command that becomes a GET would seem to have been carried out.
func moved(req *http.Request, via []*http.Request) error {
	first := via[0]
	switch {
	case req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme:
		return fmt.Errorf("redirected to another host, %s; call that address if it is right", req.URL.Host)
	case req.Method != first.Method:
		return fmt.Errorf("a %s was redirected as a %s", first.Method, req.Method)
	case len(via) >= 10:
		return errors.New("redirected 10 times")
	}
	return nil
}

// Transport returns a transport that keeps so many connections to one gateway
// open. The default of net/http keeps two, and opens a new one for most requests
// of a busy client.
func Transport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections,
		MaxConnsPerHost:     connections,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
}

// Answer is what is known of a successful answer besides its body.
type Answer struct {
	Status        int
	Created       bool   // the command made something new
	Replayed      bool   // the same answer as to an earlier request with the key
	EventPosition string // "user:18@3f2a91c0"; "" for reads
	Known         string // Projection-Position: what the answer contains, "user:18, friend:77"; "" if it does not say
	Location      string
	ETag          string
	Next          string // where a list goes on; "" where it ends
}

// ProblemError is an answer that is not a success.
type ProblemError struct {
	Problem    wire.Problem  // all but Status may be empty when something else answered
	RetryAfter time.Duration // 0: the answer did not say
}

// Error implements error.
func (e *ProblemError) Error() string {
	return fmt.Sprintf("%d %s: %s (request %s)",
		e.Problem.Status, e.Slug(), e.Problem.Detail, e.Problem.RequestID)
}

// Slug returns the kind of the problem, "" if it has none.
func (e *ProblemError) Slug() wire.Slug {
	return wire.Slug(strings.TrimPrefix(e.Problem.Type, "/problems/"))
}

// call is one request.
type call struct {
	method, path string
	key          string // idempotency key
	ifMatch      string // entity tags
	accept       string // media type; "" for JSON
	body         []byte // JSON
}

// do sends a call and reads its answer into out, unless out is nil.
func (c *Client) do(ctx context.Context, call call, out any) (Answer, error) {
	resp, err := c.send(ctx, call)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := decode(resp.Body, out); err != nil {
		return Answer{}, fmt.Errorf("%s %s: read the answer: %w", call.method, call.path, err)
	}
	return answerOf(resp), nil
}

// send sends a call and returns a successful answer, whose body the caller closes.
func (c *Client) send(ctx context.Context, call call) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, call.method, c.url(call.path), bytes.NewReader(call.body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", call.method, call.path, err)
	}
	// Header names are canonical, so they are set without the detour of Set.
	if call.body != nil {
		req.Header["Content-Type"] = []string{"application/json"}
	}
	for _, h := range [...][2]string{{"Idempotency-Key", call.key}, {"If-Match", call.ifMatch}, {"Accept", call.accept}} {
		if h[1] != "" {
			req.Header[h[0]] = []string{h[1]}
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", call.method, call.path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close() //nolint:errcheck // only read
		return nil, fmt.Errorf("%s %s: %w", call.method, call.path, problemOf(resp))
	}
	return resp, nil
}

// get sends a question and returns its answer, whatever it is; the caller closes its body.
func (c *Client) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(path), nil)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return resp, nil
}

// decode reads a whole body. What is cut short is an error.
func decode(body io.Reader, out any) error {
	// Read to the end before anything is decoded: a decoder that stops at the
	// last bracket would leave the connection unusable for the next call.
	data, err := io.ReadAll(body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// answerOf keeps the headers that callers decide on.
func answerOf(resp *http.Response) Answer {
	return Answer{
		Status:        resp.StatusCode,
		Created:       resp.StatusCode == http.StatusCreated,
		Replayed:      resp.Header.Get("Idempotency-Replayed") == "true",
		EventPosition: resp.Header.Get("Event-Position"),
		Known:         resp.Header.Get("Projection-Position"),
		Location:      resp.Header.Get("Location"),
		ETag:          resp.Header.Get("ETag"),
		Next:          nextOf(resp.Header["Link"]),
	}
}

// problemOf reads an answer that is not a success. Proxies on the way answer with
// pages of their own; their first words go into the detail.
func problemOf(resp *http.Response) error {
	e := new(ProblemError)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || json.Unmarshal(body, &e.Problem) != nil {
		e.Problem = wire.Problem{Detail: string(body[:min(len(body), 200)])}
	}
	e.Problem.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}
