package eureka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"ensemble/discovery"
)

// ClientConfig is what a client of a registry works with.
type ClientConfig struct {
	// URLs are the registries, which know the same: http://127.0.0.1:8761/eureka. The
	// first that answers is asked on. A name and password in it are sent along.
	URLs []string
	// Refresh is how often the list is asked for at most: 5 s if it is zero.
	Refresh time.Duration
	// Timeout is how long a registry has to answer: 2 s if it is zero.
	Timeout time.Duration
	// Allowed are the addresses that the list may name. Empty: all but those that are
	// never an instance's.
	Allowed []netip.Prefix
	// Transport sends the requests. Nil: one of its own, without proxies.
	Transport http.RoundTripper
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Client speaks to registries, ours or any that speaks the protocol: it announces
// instances and finds those of others.
type Client struct {
	config ClientConfig
	bases  []string
	http   *http.Client
	good   atomic.Int32 // the base that answered last
	list   *discovery.Latest[*listing]
}

// mostList is how long a list may be, in bytes.
const mostList = 64 << 20

// NewClient returns a client. Errors name the URL that is none, without its password.
func NewClient(c ClientConfig) (*Client, error) {
	if c.Refresh == 0 {
		c.Refresh = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: 90 * time.Second}
	}
	client := &Client{config: c, http: &http.Client{
		Transport: c.Transport, Timeout: c.Timeout,
		// A registry that sends its clients elsewhere is none of ours.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, text := range c.URLs {
		u, err := url.Parse(strings.TrimSuffix(strings.TrimSpace(text), "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsAny(text, "?#") {
			return nil, fmt.Errorf("%q is not the address of a registry: write it like http://127.0.0.1:8761/eureka", text[strings.LastIndexByte(text, '@')+1:])
		}
		client.bases = append(client.bases, u.String())
	}
	if len(client.bases) == 0 {
		return nil, errors.New("no registry is named")
	}
	client.list = discovery.NewLatest(c.Refresh, c.Timeout*time.Duration(len(client.bases)), client.fetch)
	return client, nil
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// statusError is an answer that is neither success nor of use.
type statusError struct {
	status int
	detail string
}

// Error implements error.
func (e *statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the registry answered %d %s", e.status, e.detail))
}

// send sends a request to the first registry that answers it, and returns the answer's
// body. A 5xx is no answer. Errors: *statusError, or nobody could be reached.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	first := int(c.good.Load())
	for i := range c.bases {
		at := (first + i) % len(c.bases)
		answer, err = c.sendTo(ctx, c.bases[at], method, path, body)
		var no *statusError
		if err == nil || errors.As(err, &no) && no.status < http.StatusInternalServerError {
			c.good.Store(int32(at))
			return answer, err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// sendTo sends a request to one registry.
func (c *Client) sendTo(ctx context.Context, base, method, path string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err // net/http leaves the password out of it
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostList+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read what the registry answered: %w", err)
	case resp.StatusCode/100 != 2:
		return nil, &statusError{resp.StatusCode, fmt.Sprintf("%.200q", answer)}
	case len(answer) > mostList:
		return nil, fmt.Errorf("the registry's list is longer than %d bytes", mostList)
	}
	return answer, nil
}
