package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ensemble/client"
)

// answer is a server that gives one answer to everything.
func answering(status int, headers map[string]string, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

const (
	adaBody = `{"id":1,"firstName":"Ada","lastName":"L","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":null}`
	busy    = `{"type":"/problems/busy","title":"Busy","status":503,"detail":"Try again.","requestId":"r1"}`
)

func TestRetryAfterInItsForms(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"1":                             time.Second,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"1.5":                           0,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0, // a moment that has passed
		"99999999999999999999999":       0,
	} {
		c := clientOf(t, answering(503, map[string]string{"Retry-After": value, "Content-Type": "application/problem+json"}, busy))
		_, _, err := c.User(t.Context(), 1)
		problem, ok := errors.AsType[*client.ProblemError](err)
		if !ok || problem.RetryAfter != want || problem.Slug() != "busy" {
			t.Errorf("Retry-After %q is read as %v, want %v", value, problem, want)
		}
	}
}

// TestWhateverIsAnsweredBecomesAnErrorThatSaysSo: the status always, and the first words
// of what came.
func TestWhateverIsAnsweredBecomesAnErrorThatSaysSo(t *testing.T) {
	for sentence, c := range map[string]struct {
		status     int
		body, says string
	}{
		"a page of a proxy":                 {502, "<html><h1>Bad Gateway</h1></html>", "Bad Gateway"},
		"a page that never seems to end":    {500, strings.Repeat("x", 4<<20), "xxx"},
		"nothing":                           {504, "", "504"},
		"half a problem":                    {503, busy[:40], "/problems/busy"},
		"a problem of another status":       {500, busy, "500"},
		"JSON that is no problem":           {400, `[1,2]`, "[1,2]"},
		"a redirect that leads nowhere":     {300, "several choices", "several"},
		"a problem with members of its own": {409, `{"type":"x","detail":"no","nested":{"a":[1]}}`, "no"},
	} {
		t.Run(sentence, func(t *testing.T) {
			cl := clientOf(t, answering(c.status, nil, c.body))
			_, _, err := cl.AddFriend(t.Context(), 1, 2, "k")
			problem, ok := errors.AsType[*client.ProblemError](err)
			if !ok || problem.Problem.Status != c.status || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %.300v", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestASuccessThatCanNotBeReadIsAnError(t *testing.T) {
	for sentence, body := range map[string]string{
		"nothing":           "",
		"half a user":       adaBody[:60],
		"a page":            "<html></html>",
		"a list":            "[" + adaBody + "]",
		"two users":         adaBody + adaBody,
		"a time of no kind": strings.Replace(adaBody, "2022-11-26", "yesterday", 1),
		"an id as text":     strings.Replace(adaBody, `"id":1`, `"id":"1"`, 1),
	} {
		t.Run(sentence, func(t *testing.T) {
			u, _, err := clientOf(t, answering(200, nil, body)).User(t.Context(), 1)
			if err == nil {
				t.Fatalf("read as %+v", u)
			}
			if _, isProblem := errors.AsType[*client.ProblemError](err); isProblem {
				t.Errorf("a success is called a problem: %v", err)
			}
			if !strings.Contains(err.Error(), "GET /user/v1/users/1") {
				t.Errorf("it does not say what was asked: %v", err)
			}
		})
	}
}

// TestABodyThatBreaksOffIsNeverTakenForWhole whether its length was said or not.
func TestABodyThatBreaksOffIsNeverTakenForWhole(t *testing.T) {
	for sentence, head := range map[string]string{
		"of a length":   "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n",
		"in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6e\r\n",
		"in the head":   "HTTP/1.1 200 OK\r\nContent-Le",
		"before a byte": "",
	} {
		t.Run(sentence, func(t *testing.T) {
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					_, _ = conn.Read(make([]byte, 4096))
					_, _ = conn.Write([]byte(head))
					if strings.Contains(head, "\r\n\r\n") {
						_, _ = conn.Write([]byte("[" + adaBody + "]"))
					}
					_ = conn.Close()
				}
			})
			transport := client.Transport(1)
			users, err := client.New("http://"+listener.Addr().String(), &http.Client{Transport: transport}).Users(t.Context(), 10)
			if err == nil {
				t.Errorf("read %+v", users)
			}
			transport.CloseIdleConnections()
			_ = listener.Close()
			serving.Wait()
		})
	}
}

// TestACallEndsWithItsContext wherever it is: waiting for the head, or for the body.
func TestACallEndsWithItsContext(t *testing.T) {
	for _, started := range []bool{false, true} {
		reached, release := make(chan struct{}), make(chan struct{})
		c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if started {
				fmt.Fprint(w, "[")
				_ = http.NewResponseController(w).Flush()
			}
			close(reached)
			<-release
		}))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			_, err := c.Friends(ctx, 1)
			ended <- err
		}()
		<-reached
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("body begun %v: got %v", started, err)
		}
		close(release)
	}
}

// TestConnectionsAreUsedAgain after successes, problems and empty answers alike: a busy
// client opens as many as it has callers, not one a call.
func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost && strings.Contains(r.URL.Path, "remove"):
			w.WriteHeader(http.StatusNoContent)
		case strings.HasSuffix(r.URL.Path, "/7"):
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, busy, strings.Repeat(" ", 100_000))
		case strings.HasSuffix(r.URL.Path, "health"):
			fmt.Fprint(w, `{"status":"UP"}`, strings.Repeat(" ", 100_000))
		default:
			fmt.Fprint(w, adaBody, strings.Repeat("\n", 100_000))
		}
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	const callers = 4
	transport := client.Transport(callers)
	defer transport.CloseIdleConnections()
	c := client.New(server.URL, &http.Client{Transport: transport})
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			for range 25 {
				if _, _, err := c.User(t.Context(), 1); err != nil {
					t.Error(err)
				}
				if _, _, err := c.User(t.Context(), 7); err == nil {
					t.Error("a 404 is a success")
				}
				if _, err := c.RemoveFriend(t.Context(), 1, 2, ""); err != nil {
					t.Error(err)
				}
				if h, err := c.Health(t.Context(), ""); err != nil || h.Status != "UP" {
					t.Errorf("%+v, %v", h, err)
				}
			}
		})
	}
	group.Wait()
	if n := opened.Load(); n > callers {
		t.Errorf("%d callers opened %d connections", callers, n)
	}
}

// TestKeysAndBodiesAreSentAsTheyAre and nothing is sent that was not given.
func TestKeysAndBodiesAreSentAsTheyAre(t *testing.T) {
	seen := make(chan *http.Request, 1)
	body := make(chan string, 1)
	c := clientOf(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(b)
		seen <- r
		body <- string(b)
		fmt.Fprint(w, adaBody)
	}))
	if _, _, err := c.CreateUser(t.Context(), "<Ada> & \"co\"", "\u2028", "key 1"); err != nil {
		t.Fatal(err)
	}
	r, sent := <-seen, <-body
	if r.Header.Get("Idempotency-Key") != "key 1" || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/user/v1/users" {
		t.Errorf("sent %v %s", r.Header, r.URL)
	}
	if want := `{"firstName":"\u003cAda\u003e \u0026 \"co\"","lastName":"\u2028"}`; sent != want {
		t.Errorf("sent %s", sent)
	}
	if _, _, err := c.User(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r, sent = <-seen, <-body
	if r.Header.Get("Content-Type") != "" || r.Header.Get("Idempotency-Key") != "" || sent != "" {
		t.Errorf("a question sends %v and %q", r.Header, sent)
	}
}
