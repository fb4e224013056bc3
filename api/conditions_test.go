package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

func TestIfMatch(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 1)
	expect(t, s.Do("PUT", "/user/v1/users/1", `{"firstName":"Grace","lastName":"Hopper"}`), http.StatusOK) // version 2
	id := identity(t, s.UserLog)
	tag := func(version int) string { return fmt.Sprintf(`"%d-%s"`, version, id) }
	const same = `{"firstName":"Grace","lastName":"Hopper"}`
	for _, c := range []struct {
		sentence string
		headers  []string
		status   int
	}{
		{"no header asks for nothing", nil, 200},
		{"the tag there is", []string{tag(2)}, 200},
		{"one of a list", []string{tag(7) + ` , "x",` + tag(2)}, 200},
		{"one of two lines", []string{tag(7), tag(2)}, 200},
		{"the star is any version", []string{" * "}, 200},
		{"an old tag, though the name would stay the same", []string{tag(1)}, 412},
		{"a tag to come", []string{tag(3)}, 412},
		{"a tag of another log", []string{`"2-00000000"`}, 412},
		{"a weak tag", []string{"W/" + tag(2)}, 412},
		{"a tag without quotes", []string{"2-" + id}, 412},
		{"a star in quotes", []string{`"*"`}, 412},
		{"a star in a list is no star", []string{`"x", *`}, 412},
		{"a tag with a comma in it", []string{`"2,` + id + `"`}, 412},
		{"nothing between commas", []string{",,"}, 412},
		{"an empty header", []string{""}, 412},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := put(s, 1, same, c.headers...)
			expect(t, w, c.status)
			if c.status == http.StatusPreconditionFailed {
				problem(t, w, c.status, wire.PreconditionFailed)
			} else if w.Header().Get("ETag") != tag(2) {
				t.Errorf("ETag is %s", w.Header().Get("ETag"))
			}
		})
	}
	if n := events(t, s.UserLog); n != 2 {
		t.Errorf("the log has %d events", n)
	}
}

// put renames somebody, with each line of If-Match as it is given.
func put(s *apitest.System, id int, body string, ifMatch ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPut, fmt.Sprintf("/user/v1/users/%d", id), strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if ifMatch != nil {
		r.Header["If-Match"] = ifMatch
	}
	w := httptest.NewRecorder()
	s.Gateway.ServeHTTP(w, r)
	return w
}

func TestIfMatchIsLookedAtLast(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 1)
	const wrong = `"9-00000000"`
	problem(t, put(s, 2, ada, wrong), http.StatusNotFound, wire.UserNotFound)
	problem(t, put(s, 2, ada, "*"), http.StatusNotFound, wire.UserNotFound)
	problem(t, put(s, 1, `{"firstName":"","lastName":""}`, wrong), http.StatusUnprocessableEntity, wire.ValidationFailed)
	problem(t, put(s, 1, `{"id":2,"firstName":"A","lastName":"B"}`, wrong), http.StatusBadRequest, wire.IDMismatch)
	problem(t, put(s, 1, `{`, wrong), http.StatusBadRequest, wire.MalformedJSON)
	problem(t, put(s, 1, ada, wrong), http.StatusPreconditionFailed, wire.PreconditionFailed)
	if n := events(t, s.UserLog); n != 1 {
		t.Errorf("the log has %d events", n)
	}
}

func TestRaceOnOneTag(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 1)
	tag := s.Do("GET", "/user/v1/users/1", "").Header().Get("ETag")
	answers := race(func(i int) *httptest.ResponseRecorder {
		return put(s, 1, fmt.Sprintf(`{"firstName":"Ada %d","lastName":"Lovelace"}`, i), tag)
	})
	if len(answers[200]) != 1 || len(answers[412]) != racers-1 {
		t.Fatalf("%d won, %d were told that they did not", len(answers[200]), len(answers[412]))
	}
	if n := events(t, s.UserLog); n != 2 {
		t.Errorf("the log has %d events", n)
	}
	won := decode[wire.User](t, answers[200][0])
	if now := decode[wire.User](t, s.Do("GET", "/user/v1/users/1", "")); now != won {
		t.Errorf("it is %+v, though %+v won", now, won)
	}
}

// A client that reads, changes and writes with the tag it has read loses nobody's
// change, however many do the same.
func TestChangesMadeWithTagsAreNeverLost(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	expect(t, s.Do("POST", "/user/v1/users", `{"firstName":"n","lastName":""}`), http.StatusCreated)
	race(func(int) *httptest.ResponseRecorder {
		for {
			w := s.Do("GET", "/user/v1/users/1", "")
			u := decode[wire.User](t, w)
			w = put(s, 1, `{"firstName":"n","lastName":"`+u.LastName+`x"}`, w.Header().Get("ETag"))
			if w.Code != http.StatusPreconditionFailed {
				return w
			}
		}
	})
	if u := decode[wire.User](t, s.Do("GET", "/user/v1/users/1", "")); len(u.LastName) != racers {
		t.Errorf("%d of %d changes are left", len(u.LastName), racers)
	}
}
