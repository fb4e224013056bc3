package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ensemble/wire"
)

// ErrFeed means that a feed does not go on where it was cut: an event is missing,
// comes again, or can't be read.
var ErrFeed = errors.New("the feed of events is broken")

// How a feed is connected again.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = 5 * time.Second
	silence      = 45 * time.Second // three heartbeats: then the connection is dead
)

// Feed says what to follow of a log. The zero value is everything.
type Feed struct {
	// After is the position after which to begin.
	After int64
	// Lineage is what the log is called at After: the 8 hex digits that begin
	// the ID of the event there. If the log is another one by now, following
	// ends with the problem log-replaced. "" leaves that open until the first
	// event.
	Lineage string
	// Types are the events to follow. None means all of them.
	Types []string
	// OnCut, if set, is told why a connection was lost, before the next one.
	OnCut func(error)
}

// Events follows a log ("user" or "friend"): first what there is, then each event
// as it is recorded. A connection that is lost is made again, and the feed goes on
// exactly where it was cut, without gaps or repeats. It ends with an error: that of
// the context, a [*ProblemError] that says that it can't go on (position-ahead and
// log-replaced: the log is another one, begin anew), or [ErrFeed].
//
// A client whose http.Client has a Timeout connects again each time it is over.
func (c *Client) Events(ctx context.Context, log string, feed Feed) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		f := &follower{client: c, log: log, feed: feed, yield: yield, last: feed.After}
		f.seen = wire.Position{Log: log, Position: feed.After, Lineage: feed.Lineage}
		f.follow(ctx)
	}
}

// Head returns where a log ("user" or "friend") ends, and which log it is.
func (c *Client) Head(ctx context.Context, log string) (head wire.LogHead, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: "/" + log + "/v1/events/head"}, &head)
	return head, err
}

// Next returns the first event after a position, which has to be there.
func (c *Client) Next(ctx context.Context, log string, after int64) (e wire.Event, err error) {
	path := "/" + log + "/v1/events?limit=1&after=" + strconv.FormatInt(after, 10)
	_, err = c.do(ctx, call{method: http.MethodGet, path: path, accept: "application/x-ndjson"}, &e)
	return e, err
}

// Followed returns up to which position of the log of users a service ("friend",
// "recommendation") has come: for friendships, in ending those of people who were erased.
func (c *Client) Followed(ctx context.Context, service string) (int64, error) {
	path := friendsPath(1) + "?limit=1"
	if service == "recommendation" {
		path = anyMutual
	}
	known, err := c.known(ctx, path)
	if err != nil {
		return 0, err
	}
	at, ok := known["user"]
	if !ok {
		return 0, fmt.Errorf("GET %s: it does not follow the log of users", path)
	}
	return at, nil
}

// Known returns up to which position of each log ("user", "friend") recommendations know
// what happened.
func (c *Client) Known(ctx context.Context) (map[string]int64, error) { return c.known(ctx, anyMutual) }

// anyMutual is the path of a short question to recommendations.
const anyMutual = "/recommendation/v1/users/1/commands/findMutualFriends?friendId=2&limit=1"

// known asks and returns what the answer contains, by log.
func (c *Client) known(ctx context.Context, path string) (map[string]int64, error) {
	a, err := c.do(ctx, call{method: http.MethodGet, path: path}, nil)
	if err != nil {
		return nil, err
	}
	positions, err := wire.ParsePositions([]string{a.Known})
	if err != nil {
		return nil, fmt.Errorf("GET %s: how far it has come: %w", path, err)
	}
	known := make(map[string]int64, len(positions))
	for _, p := range positions {
		known[p.Log] = p.Position
	}
	return known, nil
}

// follower is somebody who follows a log.
type follower struct {
	client *Client
	log    string
	feed   Feed
	yield  func(wire.Event, error) bool

	last int64         // the id with which the next connection goes on
	seen wire.Position // of the last event
	wait time.Duration // before the next connection
	left bool          // whoever iterates has enough
}

// follow connects again and again.
func (f *follower) follow(ctx context.Context) {
	for {
		err := f.connect(ctx)
		switch {
		case f.left:
			return
		case ctx.Err() != nil:
			f.yield(wire.Event{}, ctx.Err())
			return
		case isFinal(err):
			f.yield(wire.Event{}, fmt.Errorf("follow the log of %ss: %w", f.log, err))
			return
		}
		if f.feed.OnCut != nil {
			f.feed.OnCut(err)
		}
		f.pause(ctx, err)
	}
}

// isFinal says whether connecting again would end the same way.
func isFinal(err error) bool {
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		status := problem.Problem.Status
		return status < http.StatusInternalServerError && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout
	}
	return errors.Is(err, ErrFeed)
}

// pause waits before the next connection: twice as long each time, and not just as
// long as the others who were cut at the same moment.
func (f *follower) pause(ctx context.Context, err error) {
	f.wait = min(max(2*f.wait, shortestWait), longestWait)
	wait := f.wait/2 + rand.N(f.wait/2) //nolint:gosec // nobody gains by guessing it
	if problem, ok := errors.AsType[*ProblemError](err); ok {
		wait = max(wait, problem.RetryAfter)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// connect follows one connection, until it ends.
func (f *follower) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	req, err := f.request(ctx)
	if err != nil {
		return err
	}
	resp, err := f.client.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return problemOf(resp)
	}
	for b, err := range blocks(resp.Body) {
		if err != nil {
			return err
		}
		dead.Reset(silence)
		if err := f.take(b); err != nil || f.left {
			return err
		}
	}
	return nil
}

// request returns the request of the next connection.
func (f *follower) request(ctx context.Context) (*http.Request, error) {
	target := f.client.url("/"+f.log+"/v1/events") + "?after=" + strconv.FormatInt(f.feed.After, 10)
	if len(f.feed.Types) > 0 {
		target += "&types=" + url.QueryEscape(strings.Join(f.feed.Types, ","))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFeed, err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", strconv.FormatInt(f.last, 10))
	if f.seen.Lineage != "" {
		// The position is there if the log is the same; if not, this says so.
		req.Header.Set("Min-Event-Position", f.seen.String())
	}
	return req, nil
}

// take hands an event on, if the block has one, and remembers where to go on.
func (f *follower) take(b block) error {
	if b.id == "" {
		return nil // a heartbeat
	}
	id, ok := wire.ParseCursor(b.id)
	if !ok || id <= f.last {
		return fmt.Errorf("%w: the id %q came after %d", ErrFeed, b.id, f.last)
	}
	if b.data == "" { // what was not asked for is passed over
		f.last = id
		return nil
	}
	var e wire.Event
	if err := json.Unmarshal([]byte(b.data), &e); err != nil {
		return fmt.Errorf("%w: event %d: %w", ErrFeed, id, err)
	}
	if e.Position != id || len(f.feed.Types) == 0 && id != f.last+1 {
		return fmt.Errorf("%w: position %d with the id %d came after %d", ErrFeed, e.Position, id, f.last)
	}
	f.last, f.wait = id, 0
	f.seen.Position = id
	if len(e.ID) > 8 {
		f.seen.Lineage = e.ID[:8]
	}
	f.left = !f.yield(e, nil)
	return nil
}
