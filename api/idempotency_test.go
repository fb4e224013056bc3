package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"ensemble/api"
	"ensemble/api/apitest"
	"ensemble/eventstore"
	"ensemble/eventstore/sqlite"
	"ensemble/internal/keyring"
	"ensemble/readmodel"
	"ensemble/user"
	"ensemble/wire"
)

const ada = `{"firstName":"Ada","lastName":"Lovelace"}`

// slowLog is a driver whose commits wait until they are let through.
type slowLog struct {
	eventstore.Driver
	gate chan struct{}
}

func (l *slowLog) Commit(ctx context.Context, batch []eventstore.Write) ([]eventstore.Result, error) {
	<-l.gate
	return l.Driver.Commit(ctx, batch)
}

func slow(gate chan struct{}) func(eventstore.Driver) eventstore.Driver {
	return func(d eventstore.Driver) eventstore.Driver { return &slowLog{d, gate} }
}

func TestAKeyWhoseFirstRequestIsStillRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := apitest.Start(t, apitest.Options{UserLog: slow(gate)})
		first := make(chan *httptest.ResponseRecorder)
		go func() { first <- s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k") }()
		synctest.Wait()

		again := s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k")
		problem(t, again, http.StatusConflict, wire.KeyInUse)
		if again.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", again.Header().Get("Retry-After"))
		}
		close(gate)
		expect(t, <-first, http.StatusCreated)
		replay := s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k")
		expect(t, replay, http.StatusCreated)
		if replay.Header().Get("Idempotency-Replayed") != "true" {
			t.Error("the retry is no replay")
		}
	})
}

func TestAClientThatHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		s := apitest.Start(t, apitest.Options{UserLog: slow(gate)})
		send := func(key string) (hangUp func(), answered chan *httptest.ResponseRecorder) {
			ctx, cancel := context.WithCancel(t.Context())
			answered = make(chan *httptest.ResponseRecorder, 1)
			go func() {
				r := httptest.NewRequestWithContext(ctx, "POST", "/user/v1/users", strings.NewReader(ada))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Idempotency-Key", key)
				w := httptest.NewRecorder()
				s.Gateway.ServeHTTP(w, r)
				answered <- w
			}()
			synctest.Wait()
			return cancel, answered
		}
		hangUpTaken, taken := send("taken")      // its commit is under way
		hangUpWaiting, waiting := send("queued") // its command waits for that commit
		hangUpTaken()
		hangUpWaiting()
		if w := <-waiting; w.Code != wire.StatusClientClosed {
			t.Errorf("the waiting one was answered %d", w.Code)
		}
		close(gate)
		expect(t, <-taken, http.StatusCreated)

		for key, replayed := range map[string]string{"taken": "true", "queued": ""} {
			w := s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", key)
			expect(t, w, http.StatusCreated)
			if got := w.Header().Get("Idempotency-Replayed"); got != replayed {
				t.Errorf("retry of %s: Idempotency-Replayed is %q", key, got)
			}
		}
		if n := events(t, s.UserLog); n != 2 {
			t.Errorf("%d users after two commands and their retries", n)
		}
	})
}

func TestABodyThatIsCutShort(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	r := httptest.NewRequest("POST", "/user/v1/users", cutShort{})
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.Gateway.ServeHTTP(w, r)
	problem(t, w, http.StatusBadRequest, wire.IncompleteBody)
}

// cutShort is a body whose client has gone.
type cutShort struct{}

func (cutShort) Read(p []byte) (int, error) { return copy(p, `{"first`), http.ErrBodyReadAfterClose }

func TestKeys(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, c := range []struct {
		sentence, key string
		status        int
	}{
		{"255 characters are a key", strings.Repeat("k", 255), 201},
		{"255 characters in quotes are a key", `"` + strings.Repeat("q", 255) + `"`, 201},
		{"256 are too many", strings.Repeat("k", 256), 400},
		{"quotes without anything are no key", `""`, 400},
		{"one quote is no key", `"`, 400},
		{"an open quote is no key", `"abc`, 400},
		{"a space is not visible", "a b", 400},
		{"a letter with an accent is not ASCII", "é", 400},
		{"a control character is not visible", "a\x01", 400},
		{"every visible character is fine", `!#$%&'()*+,-./:;<=>?@[\]^_{|}~`, 201},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", c.key)
			if c.status == 400 {
				problem(t, w, 400, wire.InvalidKey)
				return
			}
			expect(t, w, c.status)
		})
	}
	t.Run("two keys are no key", func(t *testing.T) {
		problem(t, s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "a", "Idempotency-Key", "b"), 400, wire.InvalidKey)
	})
	t.Run("keys are ignored where nothing is posted", func(t *testing.T) {
		expect(t, s.Do("GET", "/user/v1/users/1", "", "Idempotency-Key", "a b"), 200)
		expect(t, s.Do("PUT", "/user/v1/users/1", ada, "Idempotency-Key", ""), 200)
	})
}

func TestTheScopeOfAKey(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 3)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", "", "Idempotency-Key", "k"), 201)
	for _, c := range []struct {
		sentence, target, body string
		replayed               bool
		status                 int
	}{
		{"the same", "/friend/v1/users/1/commands/addFriend?friendId=2", "", true, 201},
		{"another query", "/friend/v1/users/1/commands/addFriend?friendId=3", "", false, 201},
		{"another path", "/friend/v1/users/3/commands/addFriend?friendId=2", "", false, 201},
		{"another body", "/friend/v1/users/1/commands/addFriend?friendId=2", "x", false, 422},
	} {
		w := s.Do("POST", c.target, c.body, "Idempotency-Key", "k")
		if w.Code != c.status || (w.Header().Get("Idempotency-Replayed") == "true") != c.replayed {
			t.Errorf("%s is answered %d, replayed %q", c.sentence, w.Code, w.Header().Get("Idempotency-Replayed"))
		}
	}
	direct := apitest.Do(s.Friend, "POST", "/v1/users/1/commands/addFriend?friendId=2", "", "Idempotency-Key", "k")
	if direct.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the same command at the service's own port is another one")
	}
}

func TestABadRequestIsNotKept(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	problem(t, s.Do("POST", "/user/v1/users", `{`, "Idempotency-Key", "k"), 400, wire.MalformedJSON)
	expect(t, s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k"), 201)
}

func TestAReplayAboutSomebodyErasedIsGone(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	expect(t, s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k"), 201)
	erase(t, s, 1)
	problem(t, s.Do("POST", "/user/v1/users", ada, "Idempotency-Key", "k"), http.StatusGone, wire.UserErased)
	problem(t, s.Do("GET", "/user/v1/users/1", ""), http.StatusGone, wire.UserErased)
	problem(t, s.Do("PUT", "/user/v1/users/1", `{}`), http.StatusGone, wire.UserErased)
	p := problem(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusNotFound, wire.UserNotFound)
	if len(p.Missing) != 2 {
		t.Errorf("missing is %v", p.Missing)
	}
}

// erase records that somebody was erased.
func erase(t *testing.T, s *apitest.System, id int64) {
	t.Helper()
	event, err := user.Encode(s.Keys, user.Erased{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.UserLog.Append(t.Context(), eventstore.Write{
		Stream: user.Stream(id), Expected: eventstore.Any, Events: []eventstore.NewEvent{event},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOutcomesOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	var answers []string
	for range 2 {
		func() {
			service, stop := startOnDisk(t, dir)
			defer stop()
			created := apitest.Do(service, "POST", "/v1/users", ada, "Idempotency-Key", "k")
			refused := apitest.Do(service, "POST", "/v1/users", `{"firstName":"","lastName":""}`, "Idempotency-Key", "r",
				"X-Request-Id", "x")
			expect(t, created, http.StatusCreated)
			problem(t, refused, http.StatusUnprocessableEntity, wire.ValidationFailed)
			answers = append(answers, created.Body.String()+created.Header().Get("Etag")+created.Header().Get("Event-Position")+
				created.Header().Get("Location")+refused.Header().Get("Idempotency-Replayed"))
		}()
	}
	if answers[1] != answers[0]+"true" {
		t.Errorf("before the restart %s\nafter it %s", answers[0], answers[1])
	}
}

// startOnDisk starts the service of people on a log in a file.
func startOnDisk(t *testing.T, dir string) (service http.Handler, stop func()) {
	t.Helper()
	keys, err := keyring.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := sqlite.Open(t.Context(), filepath.Join(dir, "user.db"), sqlite.Options{
		Views: []eventstore.View{readmodel.UsersView(keys)}, Log: apitest.Quiet(),
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: apitest.Quiet()})
	if err != nil {
		t.Fatal(err)
	}
	service, err = api.NewUser(t.Context(), api.UserConfig{
		Config: api.Config{Name: "user-service", Log: apitest.Quiet()}, Store: store,
		Commands: user.NewService(store, keys), Users: readmodel.NewUsers(store),
	})
	if err != nil {
		t.Fatal(err)
	}
	return service, func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if err := keys.Close(); err != nil {
			t.Error(err)
		}
	}
}
