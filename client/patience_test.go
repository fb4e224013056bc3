package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/client"
	"ensemble/wire"
)

// line is a transport that answers each connection in its turn, and then no more.
type line struct {
	answers []func(context.Context) *http.Response
	at      []time.Time // of the connections
}

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.at = append(l.at, time.Now())
	if len(l.at) > len(l.answers) {
		return nil, errors.New("nobody is there")
	}
	return l.answers[len(l.at)-1](r.Context()), nil
}

// says answers with a stream that ends.
func says(text string) func(context.Context) *http.Response {
	return func(context.Context) *http.Response {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
	}
}

// refuses answers with a status, and when to come again.
func refuses(status int, retryAfter string) func(context.Context) *http.Response {
	return func(context.Context) *http.Response {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Retry-After": {retryAfter}},
			Body: io.NopCloser(strings.NewReader(`{"type":"/problems/busy"}`)),
		}
	}
}

// falls answers with a stream that says something and then falls silent.
func falls(text string) func(context.Context) *http.Response {
	return func(ctx context.Context) *http.Response {
		body, writer := io.Pipe()
		go func() {
			_, _ = io.WriteString(writer, text)
			<-ctx.Done()
			_ = writer.CloseWithError(ctx.Err())
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}
	}
}

const firstEvent, secondEvent = "id: 1\ndata: {\"position\":1}\n\n", "id: 2\ndata: {\"position\":2}\n\n"

func TestWhenAFeedIsConnectedAgain(t *testing.T) {
	for _, c := range []struct {
		sentence       string
		first          func(context.Context) *http.Response
		least, most    time.Duration
		events, cuts   int
		wantsRetryable bool
	}{
		{"after a moment when the stream has ended", says(firstEvent), 0, 50 * time.Millisecond, 2, 1, false},
		{"when the service says", refuses(http.StatusServiceUnavailable, "7"), 7 * time.Second, 7 * time.Second, 1, 1, true},
		{"also if it is asked too often", refuses(http.StatusTooManyRequests, "3"), 3 * time.Second, 3 * time.Second, 1, 1, true},
		{"after three heartbeats that do not come", falls(firstEvent), 45 * time.Second, 45*time.Second + 50*time.Millisecond, 2, 1, false},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := says(secondEvent)
				if c.wantsRetryable {
					second = says(firstEvent)
				}
				transport := &line{answers: []func(context.Context) *http.Response{c.first, second}}
				cuts := 0
				feed := client.Feed{OnCut: func(err error) {
					cuts++
					if problem, ok := errors.AsType[*client.ProblemError](err); ok != c.wantsRetryable || ok && problem.Slug() != wire.Busy {
						t.Errorf("the cut was %v", err)
					}
				}}
				events, err := collect(t.Context(), client.New("http://test", &http.Client{Transport: transport}), "user", feed, c.events)
				if err != nil || len(events) != c.events || cuts != c.cuts || len(transport.at) != 2 {
					t.Fatalf("%d events, %d cuts, %d connections, %v", len(events), cuts, len(transport.at), err)
				}
				if took := transport.at[1].Sub(transport.at[0]); took < c.least || took > c.most {
					t.Errorf("it connected again after %v", took)
				}
			})
		})
	}
}

func TestAFeedOfNobodyIsAskedForLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		transport := new(line)
		_, err := collect(ctx, client.New("http://test", &http.Client{Transport: transport}), "user", client.Feed{}, 1)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it ended with %v", err)
		}
		// Five seconds apart at most, two and a half at least, but for the beginning.
		if n := len(transport.at); n < 720 || n > 1450 {
			t.Errorf("it connected %d times in an hour", n)
		}
		for i := 1; i < len(transport.at); i++ {
			if apart := transport.at[i].Sub(transport.at[i-1]); apart > 5*time.Second {
				t.Errorf("connection %d came after %v", i, apart)
			}
		}
	})
}
