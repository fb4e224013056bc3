package client

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNothingIsSentToAnotherHost: whoever answers for the gateway can't make a client
// hand its command, its key or its question to somebody else.
func TestNothingIsSentToAnotherHost(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var reached atomic.Int32
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			reached.Add(1)
			_, _ = io.WriteString(w, `{"id":666}`)
		}))
		gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.Path)
			w.WriteHeader(status)
		}))
		c := New(gateway.URL, gateway.Client())
		_, _, created := c.CreateUser(t.Context(), "Ada", "L", "key")
		_, _, read := c.User(t.Context(), 1)
		_, removed := c.RemoveFriend(t.Context(), 1, 2, "key")
		for what, err := range map[string]error{"create": created, "read": read, "remove": removed} {
			if err == nil || !strings.Contains(err.Error(), "another host") {
				t.Errorf("%d, %s: %v", status, what, err)
			}
		}
		if n := reached.Load(); n != 0 {
			t.Errorf("%d: %d requests came to the other host", status, n)
		}
		gateway.Close()
		other.Close()
	}
}

// TestAPathMayMoveOnItsHost: with everything that was sent, and not for ever.
func TestAPathMayMoveOnItsHost(t *testing.T) {
	var hops atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
			hops.Add(1)
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case !strings.HasPrefix(r.URL.Path, "/moved"):
			http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusTemporaryRedirect)
		case !strings.Contains(string(body), "Ada") || r.Header.Get("Idempotency-Key") != "key":
			t.Errorf("%q came with key %q", body, r.Header.Get("Idempotency-Key"))
		default:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":7}`)
		}
	}))
	defer gateway.Close()
	c := New(gateway.URL, gateway.Client())
	if u, a, err := c.CreateUser(t.Context(), "Ada", "L", "key"); err != nil || u.ID != 7 || !a.Created {
		t.Errorf("%+v, %+v, %v", u, a, err)
	}
	if _, _, err := c.User(t.Context(), 1); err == nil || hops.Load() > 10 {
		t.Errorf("%v after %d hops", err, hops.Load())
	}
}

// TestACommandThatBecomesAQuestionIsNoSuccess: 301 to 303 make a GET of a POST.
func TestACommandThatBecomesAQuestionIsNoSuccess(t *testing.T) {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"id":1}`)
			return
		}
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	}))
	defer gateway.Close()
	if u, _, err := New(gateway.URL, gateway.Client()).CreateUser(t.Context(), "Ada", "L", ""); err == nil || !strings.Contains(err.Error(), "a POST was redirected as a GET") {
		t.Errorf("%+v, %v", u, err)
	}
}

// TestWhoHasOtherRulesKeepsThem: and the client that was handed in is left as it was.
func TestWhoHasOtherRulesKeepsThem(t *testing.T) {
	gateway := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusFound))
	defer gateway.Close()
	hc := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if _, _, err := New(gateway.URL, hc).User(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("%v", err)
	}
	plain := &http.Client{}
	if New(gateway.URL, plain); plain.CheckRedirect != nil {
		t.Error("the rules of somebody else's client were changed")
	}
}
