package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// ownContract returns what a handler says of itself at /openapi.json.
func ownContract(t *testing.T, h http.Handler) *apitest.Contract {
	t.Helper()
	w := apitest.Do(h, http.MethodGet, "/openapi.json", "")
	expect(t, w, http.StatusOK)
	contract, err := apitest.NewContract(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

// TestAServiceKeepsWhatItsOwnPortDescribes: the gateway's document is held against every
// answer of every test; here those of the services' own ports are, which have no prefix.
func TestAServiceKeepsWhatItsOwnPortDescribes(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 3)
	expect(t, s.Do(http.MethodPost, "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusCreated)
	expect(t, s.Do(http.MethodPost, "/friend/v1/users/2/commands/addFriend?friendId=3", ""), http.StatusCreated)
	s.Settle(t)
	const names = `{"firstName":"Ada","lastName":"Lovelace"}`
	for _, c := range []struct {
		service string
		handler http.Handler
		asked   [][3]string // method, target, body
	}{
		{"user", s.User, [][3]string{
			{"POST", "/v1/users", names},
			{"POST", "/v1/users", `{"firstName":" ","lastName":7}`},
			{"POST", "/v1/users", `{`},
			{"GET", "/v1/users?limit=2", ""},
			{"GET", "/v1/users?ids=1,3,9", ""},
			{"GET", "/v1/users?cursor=forged", ""},
			{"HEAD", "/v1/users/1", ""},
			{"GET", "/v1/users/0", ""},
			{"GET", "/v1/users/99", ""},
			{"PUT", "/v1/users/1", names},
			{"PUT", "/v1/users/1", `{"id":2,"firstName":"A","lastName":""}`},
			{"DELETE", "/v1/users/4", ""},
			{"DELETE", "/v1/users/4", ""},
			{"GET", "/v1/users/4/erasure", ""},
			{"GET", "/v1/users/1/erasure", ""},
			{"GET", "/v1/events?limit=2", ""},
			{"GET", "/v1/events?after=9999", ""},
			{"GET", "/v1/events?types=Nothing", ""},
			{"GET", "/v1/events?limit=0", ""},
			{"POST", "/v1/users", ""},
			{"POST", "/v1/users", `{"id":5,"firstName":"A","lastName":""}`},
			{"POST", "/v1/users", `{"firstName":"A","lastName":"","firstName":"B"}`},
			{"PUT", "/v1/users/99", names},
			{"PUT", "/v1/users/4", names},
			{"PUT", "/v1/users/1", `[]`},
			{"GET", "/v1/users/4", ""},
			{"GET", "/v1/users?limit=1001", ""},
			{"GET", "/v1/users?ids=1&cursor=x", ""},
			{"GET", "/v1/users?ids=0", ""},
			{"DELETE", "/v1/users/99", ""},
			{"GET", "/v1/users/99/erasure", ""},
		}},
		{"friend", s.Friend, [][3]string{
			{"POST", "/v1/users/1/commands/addFriend?friendId=3", ""},
			{"POST", "/v1/users/3/commands/addFriend?friendId=1", ""},
			{"POST", "/v1/users/1/commands/addFriend?friendId=3", ""},
			{"POST", "/v1/users/1/commands/addFriend?friendId=1", ""},
			{"POST", "/v1/users/1/commands/addFriend?friendId=77", ""},
			{"POST", "/v1/users/1/commands/addFriend", ""},
			{"POST", "/v1/users/3/commands/removeFriend?friendId=1", ""},
			{"POST", "/v1/users/3/commands/removeFriend?friendId=1", ""},
			{"GET", "/v1/users/2/friends?direction=outgoing&limit=1", ""},
			{"GET", "/v1/users/2/friends?direction=up", ""},
			{"GET", "/v1/friends/1", ""},
			{"GET", "/v1/friends/50", ""},
			{"GET", "/v1/friends/0", ""},
			{"GET", "/v1/users/x/friends", ""},
			{"GET", "/v1/users/2/friends?cursor=AAAA", ""},
			{"POST", "/v1/users/1/commands/removeFriend?friendId=1", ""},
			{"POST", "/v1/users/1/commands/addFriend?friendId=2&friendId=3", ""},
			{"POST", "/v1/users/0/commands/addFriend?friendId=2", ""},
			{"HEAD", "/v1/users/2/friends", ""},
			{"GET", "/v1/events", ""},
		}},
		{"recommendation", s.Recommendation, [][3]string{
			{"GET", "/v1/users/1/commands/recommendFriends", ""},
			{"GET", "/v1/users/1/commands/recommendFriends?explain=true&minWeight=1&limit=1", ""},
			{"GET", "/v1/users/1/commands/recommendFriends?minWeight=0", ""},
			{"GET", "/v1/users/1/commands/findMutualFriends?friendId=3", ""},
			{"GET", "/v1/users/1/commands/findMutualFriends?friendId=x", ""},
		}},
	} {
		contract := ownContract(t, c.handler)
		common := [][3]string{
			{"GET", "/actuator/health", ""},
			{"GET", "/actuator/health/liveness", ""},
			{"GET", "/actuator/info", ""},
			{"GET", "/livez", ""},
			{"GET", "/readyz?verbose", ""},
			{"GET", "/problems", ""},
			{"GET", "/problems/busy", ""},
		}
		for _, one := range slices.Concat(c.asked, common) {
			w := apitest.Do(c.handler, one[0], one[1], one[2])
			answer := apitest.Answer{Method: one[0], Path: one[1], Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
			if err := contract.Check(&answer); err != nil {
				t.Errorf("%s: %v", c.service, err)
			}
			if w.Code == http.StatusInternalServerError {
				t.Errorf("%s: %s %s failed: %s", c.service, one[0], one[1], w.Body)
			}
		}
	}
}

// TestTheAdministrationKeepsWhatItDescribes, with problems and without.
func TestTheAdministrationKeepsWhatItDescribes(t *testing.T) {
	o := newOffice(t)
	w := o.do(http.MethodGet, "/openapi.json")
	expect(t, w, http.StatusOK)
	contract, err := apitest.NewContract(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	check := func(status int, method, path string, headers ...string) {
		t.Helper()
		w := o.do(method, path, headers...)
		expect(t, w, status)
		answer := apitest.Answer{Method: method, Path: path, Status: w.Code, Header: w.Header(), Body: w.Body.Bytes()}
		if err := contract.Check(&answer); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{"lag", "dead-letters", "instances", "breakers", "config"} {
		check(http.StatusOK, http.MethodGet, "/admin/v1/"+path)
		check(http.StatusForbidden, http.MethodGet, "/admin/v1/"+path, "Host", "evil.example")
	}
	check(http.StatusNotFound, http.MethodPost, "/admin/v1/dead-letters/7/retry")
	check(http.StatusNotFound, http.MethodPost, "/admin/v1/projections/nobody/rebuild")
	check(http.StatusNotFound, http.MethodGet, "/admin/v1/projections/users/rebuild") // none yet
	check(http.StatusAccepted, http.MethodPost, "/admin/v1/projections/users/rebuild")
	<-o.begin
	check(http.StatusOK, http.MethodGet, "/admin/v1/projections/users/rebuild")
	check(http.StatusConflict, http.MethodPost, "/admin/v1/projections/friends/rebuild")
	o.found = []wire.RebuiltTable{{Table: "users", Rows: 3, Differ: 1, Hash: strings.Repeat("0", 64)}}
	o.end <- nil
}

// TestDocumentedBoundsAreTheRealOnes asks every list for the least and the most that
// its description allows, and for one more and one less.
func TestDocumentedBoundsAreTheRealOnes(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	s.Settle(t)
	type document struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Required bool
				Schema   struct {
					Minimum, Maximum *float64
					Enum             []string
				}
			}
		}
	}
	replace := strings.NewReplacer("{id}", "1", "{rowId}", "1")
	bounds := 0
	for path, operations := range decode[document](t, s.Do(http.MethodGet, "/openapi.json", "")).Paths {
		required := "?"
		for _, p := range operations["get"].Parameters {
			if p.In == "query" && p.Required {
				required += p.Name + "=2&"
			}
		}
		for _, p := range operations["get"].Parameters {
			if p.In != "query" || p.Required {
				continue
			}
			ask := func(value string, good bool) {
				t.Helper()
				bounds++
				w := s.Do(http.MethodGet, replace.Replace(path)+required+p.Name+"="+value, "")
				if refused := w.Code == http.StatusBadRequest; refused == good {
					t.Errorf("%s with %s=%s is answered %d: %s", path, p.Name, value, w.Code, w.Body)
				}
			}
			if least := p.Schema.Minimum; least != nil && *least > 0 {
				ask(strconv.Itoa(int(*least)), true)
				ask(strconv.Itoa(int(*least)-1), false)
			}
			if most := p.Schema.Maximum; most != nil {
				ask(strconv.Itoa(int(*most)), true)
				ask(strconv.Itoa(int(*most)+1), false)
			}
			for _, value := range p.Schema.Enum {
				ask(value, true)
				ask(fmt.Sprint(value, "x"), false)
			}
		}
	}
	if bounds < 30 {
		t.Errorf("only %d bounds are documented", bounds)
	}
}
