package api_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/internal/guard"
	"ensemble/recommendation"
	"ensemble/wire"
)

// provocations says for each kind of problem how a client meets it. A kind that nobody
// can meet is dead: it would be documented, translated and handled for nothing.
func provocations() map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder {
	all := map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder{}
	for slug, c := range asked() {
		all[slug] = c.ask
	}
	for slug, text := range sent() {
		all[slug] = func(t *testing.T) *httptest.ResponseRecorder {
			return onThePort(t, guard.DefaultLimits(), text, true)
		}
	}
	maps.Copy(all, met())
	maps.Copy(all, notAnswered())
	return all
}

// question is a request to a system with two users, the first of whom has added the
// second, and the third of whom is erased.
type question struct {
	method, target, body string
	headers              []string
}

// ask asks it.
func (q question) ask(t *testing.T) *httptest.ResponseRecorder {
	t.Helper()
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 3)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusCreated)
	expect(t, s.Do("DELETE", "/user/v1/users/3", ""), http.StatusNoContent)
	expect(t, s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "used"), http.StatusCreated)
	return s.Do(q.method, q.target, q.body, q.headers...)
}

// asked are the problems of a request.
func asked() map[wire.Slug]question {
	const users, user, feed = "/user/v1/users", "/user/v1/users/1", "/user/v1/events"
	add, remove := "/friend/v1/users/1/commands/addFriend?friendId=", "/friend/v1/users/1/commands/removeFriend?friendId="
	h := func(pairs ...string) []string { return pairs }
	return map[wire.Slug]question{
		wire.InvalidID:          {"GET", users + "/0", "", nil},
		wire.InvalidParameter:   {"GET", users + "?limit=0", "", nil},
		wire.InvalidCursor:      {"GET", users + "?cursor=x", "", nil},
		wire.InvalidPosition:    {"GET", user, "", h("Min-Event-Position", "user")},
		wire.MalformedJSON:      {"POST", users, "{", nil},
		wire.IDMismatch:         {"PUT", user, `{"id":2,"firstName":"Ada","lastName":"L"}`, nil},
		wire.SelfFriendship:     {"POST", add + "1", "", nil},
		wire.InvalidKey:         {"POST", users, ada, h("Idempotency-Key", "a b")},
		wire.NotFound:           {"GET", "/user/v1/nothing", "", nil},
		wire.UserNotFound:       {"GET", users + "/99", "", nil},
		wire.FriendshipNotFound: {"POST", remove + "4", "", nil},
		wire.ErasureNotFound:    {"GET", user + "/erasure", "", nil},
		wire.MethodNotAllowed:   {"PATCH", user, "", nil},
		wire.NotAcceptable:      {"GET", users, "", h("Accept", "text/html")},
		wire.FriendshipExists:   {"POST", add + "2", "", nil},
		wire.PositionAhead:      {"GET", feed + "?after=99", "", nil},
		wire.UserErased:         {"GET", users + "/3", "", nil},
		wire.LogReplaced:        {"GET", user, "", h("Min-Event-Position", "user:1@00000000")},
		wire.PreconditionFailed: {"PUT", user, ada, h("If-Match", `"another"`)},
		wire.BodyTooLarge:       {"POST", users, strings.Repeat(" ", wire.MaxBody+1), nil},
		wire.UnsupportedMedia:   {"POST", users, ada, h("Content-Type", "text/plain")},
		wire.ValidationFailed:   {"POST", users, `{"firstName":"","lastName":""}`, nil},
		wire.KeyReused:          {"POST", users, `{"firstName":"Eve","lastName":"L"}`, h("Idempotency-Key", "used")},
		wire.ProjectionBehind:   {"GET", user, "", h("Min-Event-Position", "user:99")},
	}
}

// sent are the problems of what a program sends that speaks HTTP badly.
func sent() map[wire.Slug]string {
	return map[wire.Slug]string{
		wire.BadRequest:          "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		wire.IncompleteBody:      "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
		wire.URITooLong:          "GET /user/v1/users?" + strings.Repeat("x", 17<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		wire.ExpectationFailed:   "GET /user/v1/users HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n",
		wire.HeadersTooLarge:     "GET /user/v1/users HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n",
		wire.VersionNotSupported: "GET /user/v1/users HTTP/3.0\r\nHost: a\r\n\r\n",
	}
}

// onThePort sends bytes to a real port and reads the answer.
func onThePort(t *testing.T, limits guard.Limits, text string, end bool) *httptest.ResponseRecorder {
	t.Helper()
	server := apitest.Listen(t, apitest.Start(t, apitest.Options{}).Gateway, guard.Config{Limits: limits})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Logf("it was answered before all was sent: %v", err)
	}
	if end {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Log(err)
		}
	}
	return received(t, conn)
}

// met are the problems of a system that can't, or of somebody else's doing.
func met() map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder {
	failing := func(why error) func(*testing.T) *httptest.ResponseRecorder {
		return func(t *testing.T) *httptest.ResponseRecorder {
			s, log := broken(t)
			log.commit = why
			return s.Do("POST", "/user/v1/users", ada)
		}
	}
	administration := func(path string, headers ...string) func(*testing.T) *httptest.ResponseRecorder {
		return func(t *testing.T) *httptest.ResponseRecorder {
			return newOffice(t).do(http.MethodPost, "/admin/v1/"+path, headers...)
		}
	}
	return map[wire.Slug]func(*testing.T) *httptest.ResponseRecorder{
		wire.StorageFull:        failing(eventstore.ErrFull),
		wire.OutcomeUnknown:     failing(errors.New("input/output error")),
		wire.ForeignRequest:     administration("projections/users/rebuild", "Origin", "https://evil.example"),
		wire.ProjectionNotFound: administration("projections/nothing/rebuild"),
		wire.DeadLetterNotFound: administration("dead-letters/1/retry"),
		wire.DeadLetterUnread: func(t *testing.T) *httptest.ResponseRecorder {
			return officeWithLetters(t, 1).do(http.MethodPost, "/admin/v1/dead-letters/topic-0-0/retry")
		},
		wire.RebuildUnderWay:     secondRebuild,
		wire.KeyInUse:            repeatedTooSoon,
		wire.Busy:                oneTooMany,
		wire.RequestTimeout:      tooSlow,
		wire.TooManyConnections:  noRoom,
		wire.ClientClosedRequest: gone,
		wire.ShuttingDown: func(t *testing.T) *httptest.ResponseRecorder {
			s := apitest.Start(t, apitest.Options{})
			if err := s.UserLog.Close(); err != nil {
				t.Fatal(err)
			}
			return s.Do("POST", "/user/v1/users", ada)
		},
		wire.Internal: func(*testing.T) *httptest.ResponseRecorder {
			h := recommending(func(func(recommendation.Candidate, error) bool) { panic("a fault") })
			return apitest.Do(h, "GET", recommendPath, "")
		},
	}
}

// secondRebuild orders a rebuild while another one runs.
func secondRebuild(t *testing.T) *httptest.ResponseRecorder {
	o := newOffice(t)
	expect(t, o.do(http.MethodPost, "/admin/v1/projections/users/rebuild"), http.StatusAccepted)
	<-o.begin
	w := o.do(http.MethodPost, "/admin/v1/projections/friends/rebuild")
	o.end <- nil
	return w
}

// repeatedTooSoon sends a command again before its first answer.
func repeatedTooSoon(t *testing.T) (again *httptest.ResponseRecorder) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := apitest.Start(t, apitest.Options{UserLog: slow(gate)})
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k") }()
		synctest.Wait()
		again = s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k")
		close(gate)
		expect(t, <-first, http.StatusCreated)
	})
	return again
}

// oneTooMany sends more commands than there is room for.
func oneTooMany(t *testing.T) (busy *httptest.ResponseRecorder) {
	gate := make(chan struct{})
	s := apitest.Start(t, apitest.Options{Queue: 1, UserLog: slow(gate)})
	const commands = 5
	answers := make(chan *httptest.ResponseRecorder)
	for range commands {
		go func() { answers <- s.Do("POST", "/user/v1/users", ada) }()
	}
	busy = <-answers // the others wait for the gate
	close(gate)
	for range commands - 1 {
		<-answers
	}
	return busy
}

// tooSlow begins a body and goes on thinking.
func tooSlow(t *testing.T) *httptest.ResponseRecorder {
	limits := guard.DefaultLimits()
	limits.ReadTime = 50 * time.Millisecond
	return onThePort(t, limits, "POST /user/v1/users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", false)
}

// noRoom comes to a port where somebody else has the only place.
func noRoom(t *testing.T) *httptest.ResponseRecorder {
	limits := guard.DefaultLimits()
	limits.Connections = 1
	server := apitest.Listen(t, apitest.Start(t, apitest.Options{}).Gateway, guard.Config{Limits: limits})
	dial := func() net.Conn {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	expect(t, received(t, dial()), http.StatusOK) // and stays
	return received(t, dial())
}

// gone asks and goes away.
func gone(t *testing.T) *httptest.ResponseRecorder {
	s := apitest.Start(t, apitest.Options{})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	s.User.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/users", http.NoBody))
	return w
}

// TestEveryKindOfProblemCanBeMet and comes with its own status, title, page and way out.
func TestEveryKindOfProblemCanBeMet(t *testing.T) {
	all := provocations()
	pages := apitest.Start(t, apitest.Options{})
	for _, kind := range wire.Kinds() {
		t.Run(string(kind.Slug), func(t *testing.T) {
			ask, ok := all[kind.Slug]
			if !ok {
				t.Fatal("nobody knows how to meet it: say how, or take it out of the table")
			}
			p := problem(t, ask(t), kind.Status, kind.Slug)
			if p.Title != kind.Title || p.Detail == "" || p.RequestID == "" && kind.Status != wire.StatusClientClosed {
				t.Errorf("the problem is %+v", p)
			}
			if last := p.Detail[len(p.Detail)-1]; last != '.' {
				t.Errorf("its detail is no sentence: %q", p.Detail)
			}
			page := pages.Do("GET", p.Type, "", "Accept", "text/html")
			expect(t, page, http.StatusOK)
			if !strings.Contains(page.Body.String(), kind.Title) {
				t.Errorf("the page behind its type is about something else: %.200s", page.Body)
			}
		})
		delete(all, kind.Slug)
	}
	for slug := range all {
		t.Errorf("%s is no kind of problem", slug)
	}
}

// TestWhatMayBeSentAgainSaysWhen: 503 comes with Retry-After, and 4xx without, but for
// the one that is about time.
func TestWhatMayBeSentAgainSaysWhen(t *testing.T) {
	for _, kind := range wire.Kinds() {
		waits := kind.Status == http.StatusServiceUnavailable || kind.Slug == wire.KeyInUse
		t.Run(string(kind.Slug), func(t *testing.T) {
			w := provocations()[kind.Slug](t)
			if got := w.Header().Get("Retry-After"); waits != (got != "") {
				t.Errorf("Retry-After is %q", got)
			}
		})
	}
}
