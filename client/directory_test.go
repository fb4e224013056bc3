package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ensemble/client"
	"ensemble/wire"
)

// directory asks a service that a test plays.
func directory(t testing.TB, h http.Handler, c client.DirectoryConfig) *client.Directory {
	t.Helper()
	server := httptest.NewServer(h)
	transport := client.Transport(8)
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
	return client.NewDirectory(client.Direct(server.URL, "user", &http.Client{Transport: transport}), c)
}

// spring plays the user service of the Spring system: it has no list of people, and its
// error for somebody who is not there is a 500.
type spring struct {
	list    int // what the list is answered; 0: 405
	people  []int64
	other   string // what is answered for id 13
	down    bool
	asked   atomic.Int64 // how often for one person
	listed  atomic.Int64 // how often for a list
	failing bool         // the 500 is not in the shape of Spring's errors
}

func (s *spring) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch id, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, "/v1/users/"), 10, 64); {
	case r.URL.Path == "/actuator/health" && s.down:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status":"DOWN"}`)
	case r.URL.Path == "/actuator/health":
		fmt.Fprint(w, `{"status":"UP"}`)
	case r.URL.Path == "/v1/users":
		s.listed.Add(1)
		w.WriteHeader(max(s.list, 0))
		fmt.Fprintf(w, `{"timestamp":"2022-11-26T15:45:31.123+00:00","path":"/v1/users","status":%d,"error":"x","requestId":"a-1"}`, s.list)
	case err != nil:
		w.WriteHeader(http.StatusNotFound)
	default:
		s.asked.Add(1)
		s.one(w, id)
	}
}

func (s *spring) one(w http.ResponseWriter, id int64) {
	switch {
	case slices.Contains(s.people, id):
		fmt.Fprintf(w, `{"id":%d,"createdAt":1669477531123,"lastModified":1669477531123,"firstName":"A","lastName":"B"}`, id)
	case id == 404, id == 410:
		w.WriteHeader(int(id))
	case id == 204:
		w.WriteHeader(http.StatusOK) // a reactive answer with nothing in it
	case id == 13:
		fmt.Fprint(w, s.other)
	case s.failing:
		http.Error(w, "<html>nginx</html>", http.StatusInternalServerError)
	default:
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `{"timestamp":"2022-11-26T15:45:31.123+00:00","path":"/v1/users/%d","status":500,`+
			`"error":"Internal Server Error","message":"","requestId":"8a3c-1"}`, id)
	}
}

// TestSpringsUserServiceIsAskedOneByOne, and each of its answers means what it means.
func TestSpringsUserServiceIsAskedOneByOne(t *testing.T) {
	for _, list := range []int{400, 404, 405} {
		for sentence, c := range map[string]struct {
			spring  *spring
			ids     []int64
			missing []int64
			away    bool
		}{
			"who is there is there":                       {&spring{people: []int64{1, 2}}, []int64{2, 1}, nil, false},
			"not found is missing":                        {&spring{people: []int64{1}}, []int64{404, 1}, []int64{404}, false},
			"gone is missing":                             {&spring{people: []int64{1}}, []int64{410, 1}, []int64{410}, false},
			"an empty answer is nobody":                   {&spring{people: []int64{1}}, []int64{1, 204}, []int64{204}, false},
			"its 500 is missing while it is UP":           {&spring{people: []int64{1}}, []int64{9, 1, 8}, []int64{8, 9}, false},
			"its 500 means nothing while it is DOWN":      {&spring{people: []int64{1}, down: true}, []int64{9, 1}, nil, true},
			"a 500 of somebody else's means nothing":      {&spring{failing: true}, []int64{9, 1}, nil, true},
			"another person in the answer means nothing":  {&spring{other: `{"id":14}`}, []int64{13}, nil, true},
			"a page of somebody else's means nothing":     {&spring{other: `<html>Sign in</html>`}, []int64{13}, nil, true},
			"somebody unknown and somebody gone together": {&spring{}, []int64{410, 9}, []int64{9, 410}, false},
		} {
			t.Run(fmt.Sprint(sentence, ", list ", list), func(t *testing.T) {
				c.spring.list = list
				missing, err := directory(t, c.spring, client.DirectoryConfig{}).Missing(t.Context(), c.ids...)
				if c.away != errors.Is(err, client.ErrUnavailable) || !c.away && err != nil || !slices.Equal(missing, c.missing) {
					t.Errorf("missing are %v, %v", missing, err)
				}
			})
			c.spring.asked.Store(0)
		}
	}
}

// TestAServiceWithoutAListIsNotAskedForOneAgain, for a while.
func TestAServiceWithoutAListIsNotAskedForOneAgain(t *testing.T) {
	s := &spring{list: 405, people: []int64{1, 2, 3, 4}}
	d := directory(t, s, client.DirectoryConfig{})
	for id := int64(1); id <= 4; id++ {
		if missing, err := d.Missing(t.Context(), id); len(missing) > 0 || err != nil {
			t.Fatal(missing, err)
		}
	}
	if s.listed.Load() != 1 || s.asked.Load() != 4 {
		t.Errorf("it was asked %d times for a list, and %d times for one", s.listed.Load(), s.asked.Load())
	}
}

// census is a user service of ours, of which a test can be sure what it was asked.
type census struct {
	mu      sync.Mutex
	people  map[int64]bool
	broken  bool
	asked   []string
	holding chan chan struct{} // not nil: each question waits
}

func (c *census) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r.URL.Query().Get("ids"))
	if c.broken {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	users := []wire.User{}
	for text := range strings.SplitSeq(r.URL.Query().Get("ids"), ",") {
		if id, _ := strconv.ParseInt(text, 10, 64); c.people[id] {
			users = append(users, wire.User{ID: id})
		}
	}
	body, _ := json.Marshal(users)
	if c.holding != nil {
		release := make(chan struct{})
		c.mu.Unlock()
		c.holding <- release
		<-release
		c.mu.Lock()
	}
	_, _ = w.Write(body)
}

// set changes who is there.
func (c *census) set(id int64, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people[id] = there
}

// questions returns what was asked since the last time.
func (c *census) questions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := c.asked
	c.asked = nil
	return asked
}

// TestWhoIsThereIsRememberedAndWhoIsNotIsAskedForAgain: people come, and go only when they
// are erased.
func TestWhoIsThereIsRememberedAndWhoIsNotIsAskedForAgain(t *testing.T) {
	c := &census{people: map[int64]bool{1: true, 2: true}}
	d := directory(t, c, client.DirectoryConfig{})
	for _, step := range []struct {
		sentence string
		ids      []int64
		missing  []int64
		asked    []string
	}{
		{"both are asked for at once", []int64{2, 1}, nil, []string{"1,2"}},
		{"and are known then", []int64{1, 2}, nil, nil},
		{"only the unknown one is asked for", []int64{3, 1}, []int64{3}, []string{"3"}},
		{"and again, for they may come", []int64{3, 3}, []int64{3}, []string{"3"}},
		{"nobody is asked about nobody", nil, nil, nil},
	} {
		missing, err := d.Missing(t.Context(), step.ids...)
		if err != nil || !slices.Equal(missing, step.missing) {
			t.Errorf("%s: %v, %v", step.sentence, missing, err)
		}
		if asked := c.questions(); !slices.Equal(asked, step.asked) {
			t.Errorf("%s: asked %q", step.sentence, asked)
		}
	}
	c.set(3, true)
	if missing, err := d.Missing(t.Context(), 3); err != nil || missing != nil {
		t.Errorf("3 has come: %v, %v", missing, err)
	}
	c.set(1, false)
	d.Forget(1)
	if missing, err := d.Missing(t.Context(), 1, 2); err != nil || !slices.Equal(missing, []int64{1}) {
		t.Errorf("1 was erased: %v, %v", missing, err)
	}
}

// TestWhileTheServiceIsAwayThoseWhoAreKnownAreKnown, and after five questions nobody is
// asked for a while; then one question is tried.
func TestWhileTheServiceIsAwayThoseWhoAreKnownAreKnown(t *testing.T) {
	c := &census{people: map[int64]bool{1: true, 2: true}}
	d := directory(t, c, client.DirectoryConfig{Rest: 50 * time.Millisecond})
	if _, err := d.Missing(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.broken = true
	c.mu.Unlock()
	for n := range 50 {
		if missing, err := d.Missing(t.Context(), 1); err != nil || missing != nil {
			t.Fatalf("who is known is not: %v, %v", missing, err)
		}
		if _, err := d.Missing(t.Context(), 2, 1); !errors.Is(err, client.ErrUnavailable) {
			t.Fatalf("question %d: %v", n, err)
		}
		if d.State() == "open" {
			break
		}
	}
	c.questions()
	if _, err := d.Missing(t.Context(), 2); !errors.Is(err, client.ErrUnavailable) || len(c.questions()) > 0 && d.State() == "open" {
		t.Errorf("while it rests: %v", err)
	}
	c.mu.Lock()
	c.broken = false
	c.mu.Unlock()
	for t.Context().Err() == nil {
		if missing, err := d.Missing(t.Context(), 2); err == nil {
			if missing != nil || d.State() != "closed" {
				t.Errorf("it is back: %v, %s", missing, d.State())
			}
			return
		}
	}
}

// TestWhoGoesAwayWhileWaitingSaysNothingAboutTheService: five clients without patience do
// not keep everybody else from asking.
func TestWhoGoesAwayWhileWaitingSaysNothingAboutTheService(t *testing.T) {
	c := &census{people: map[int64]bool{1: true}, holding: make(chan chan struct{})}
	d := directory(t, c, client.DirectoryConfig{Deadline: time.Minute})
	for range 20 {
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := d.Missing(ctx, 1)
			ended <- err
		}()
		select {
		case release := <-c.holding:
			leave()
			if err := <-ended; !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnavailable) {
				t.Errorf("who left was told %v", err)
			}
			close(release)
		case err := <-ended:
			leave()
			t.Fatalf("nobody was asked: %v", err)
		}
	}
	if d.State() != "closed" {
		t.Errorf("the breaker is %s", d.State())
	}
}

// TestAServiceThatHangsIsNotWaitedForLongerThanTheDeadline.
func TestAServiceThatHangsIsNotWaitedForLongerThanTheDeadline(t *testing.T) {
	c := &census{people: map[int64]bool{}, holding: make(chan chan struct{}, 1)}
	d := directory(t, c, client.DirectoryConfig{Deadline: 20 * time.Millisecond})
	if _, err := d.Missing(t.Context(), 1); !errors.Is(err, client.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it says %v", err)
	}
	close(<-c.holding)
}

// TestAnAnswerFromBeforeAnErasureIsNotRemembered: it was right when it was given.
func TestAnAnswerFromBeforeAnErasureIsNotRemembered(t *testing.T) {
	c := &census{people: map[int64]bool{1: true}, holding: make(chan chan struct{})}
	d := directory(t, c, client.DirectoryConfig{Deadline: time.Minute})
	ended := make(chan error)
	go func() {
		missing, err := d.Missing(t.Context(), 1)
		if len(missing) > 0 {
			err = errors.New("it was there when it was asked for")
		}
		ended <- err
	}()
	release := <-c.holding // the answer is written and on its way
	c.set(1, false)
	d.Forget(1)
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	go func() { close(<-c.holding) }()
	if missing, err := d.Missing(t.Context(), 1); err != nil || !slices.Equal(missing, []int64{1}) {
		t.Errorf("the erased one is remembered: %v, %v", missing, err)
	}
}

// TestADirectoryIsRightWhateverHappens: people come and are erased, the memory is too small
// for them, and each answer is that of the service.
func TestADirectoryIsRightWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &census{people: map[int64]bool{}}
		server := httptest.NewServer(c)
		transport := client.Transport(2)
		defer server.Close()
		defer transport.CloseIdleConnections()
		d := client.NewDirectory(client.Direct(server.URL, "user", &http.Client{Transport: transport}),
			client.DirectoryConfig{Remember: rapid.IntRange(1, 4).Draw(rt, "remember")})
		id := rapid.Int64Range(1, 8)
		for range 30 {
			switch one := id.Draw(rt, "id"); rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				c.set(one, true)
			case 1:
				c.set(one, false)
				d.Forget(one)
			default:
				ids := append(rapid.SliceOfN(id, 0, 3).Draw(rt, "ids"), one)
				got, err := d.Missing(t.Context(), ids...)
				var want []int64
				for _, id := range ids {
					if !c.people[id] {
						want = append(want, id)
					}
				}
				slices.Sort(want)
				if want = slices.Compact(want); err != nil || !slices.Equal(got, want) {
					rt.Fatalf("of %v are missing %v, want %v, %v", ids, got, want, err)
				}
			}
		}
	})
}
