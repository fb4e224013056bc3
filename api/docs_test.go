package api_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

func TestEveryProblemHasAHelpPage(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, kind := range wire.Kinds() {
		target := "/problems/" + string(kind.Slug)
		text := s.Do(http.MethodGet, target, "")
		expect(t, text, http.StatusOK)
		if !strings.Contains(text.Body.String(), kind.Help) || !strings.HasPrefix(text.Header().Get("Content-Type"), "text/plain") {
			t.Errorf("%s is answered with %s", target, text.Body)
		}
		page := s.Do(http.MethodGet, target, "", "Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
		expect(t, page, http.StatusOK)
		if !strings.HasPrefix(page.Header().Get("Content-Type"), "text/html") || !strings.Contains(page.Body.String(), "<h1>") ||
			!strings.Contains(page.Body.String(), string(kind.Slug)) {
			t.Errorf("%s is answered to a browser with %s", target, page.Body)
		}
	}
	list := s.Do(http.MethodGet, "/problems/", "").Body.String()
	for _, kind := range wire.Kinds() {
		if !strings.Contains(list, string(kind.Slug)) {
			t.Errorf("the list of problems lacks %s", kind.Slug)
		}
	}
	problem(t, s.Do(http.MethodGet, "/problems/made-up", ""), http.StatusNotFound, wire.NotFound)
}

// TestHelpPagesAreFoundByAnySpellingOfTheirAddress, and nothing else is.
func TestHelpPagesAreFoundByAnySpellingOfTheirAddress(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, kind := range wire.Kinds() {
		for _, target := range []string{"/problems/" + string(kind.Slug), "/problems/" + string(kind.Slug) + "/", "/problems/" + string(kind.Slug) + "?x=1"} {
			if w := s.Do(http.MethodGet, target, ""); w.Code != 200 || w.Header().Get("X-Request-Id") == "" {
				t.Errorf("%s is answered %d", target, w.Code)
			}
		}
		for _, target := range []string{
			"/problems//" + string(kind.Slug), "/problems/" + strings.ToUpper(string(kind.Slug)), "/problem/" + string(kind.Slug),
			"/problems/" + string(kind.Slug) + "//", "/user/problems/" + string(kind.Slug) + "/x/../../..",
		} {
			if w := s.Do(http.MethodGet, target, ""); w.Code == 200 && strings.Contains(w.Body.String(), kind.Help) {
				t.Errorf("%s is a help page too", target)
			}
		}
	}
}

// TestEveryProblemLeadsToItsPage follows the type of a problem as a client would,
// through the gateway and on a service's own port.
func TestEveryProblemLeadsToItsPage(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	p := problem(t, s.Do(http.MethodGet, "/user/v1/users/7", ""), http.StatusNotFound, wire.UserNotFound)
	for name, h := range map[string]http.Handler{"the gateway": s.Gateway, "the service": s.User} {
		if w := apitest.Do(h, http.MethodGet, p.Type, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Nobody has this id") {
			t.Errorf("%s answers %s with %d %s", name, p.Type, w.Code, w.Body)
		}
	}
}

// TestTheDocumentationNeedsNothingFromElsewhere: every file that the page asks for
// is in the binary, and its policy forbids any other.
func TestTheDocumentationNeedsNothingFromElsewhere(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	page := s.Do(http.MethodGet, "/docs", "", "Accept", "text/html")
	expect(t, page, http.StatusOK)
	if policy := page.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'self'") {
		t.Errorf("the policy is %q", policy)
	}
	files := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page.Body.String(), -1)
	if len(files) < 3 {
		t.Fatalf("the page asks for %d files: %s", len(files), page.Body)
	}
	for _, file := range files {
		if !strings.HasPrefix(file[1], "/docs/") {
			t.Errorf("the page asks for %s", file[1])
			continue
		}
		if w := s.Do(http.MethodGet, file[1], ""); w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s is answered %d", file[1], w.Code)
		}
	}
}

func TestAFileThatThePageDoesNotHave(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, target := range []string{"/docs/nothing.js", "/docs/..", "/docs/%2e%2e", "/docs/embed.go"} {
		problem(t, s.Do(http.MethodGet, target, ""), http.StatusNotFound, wire.NotFound)
	}
}

// TestAServiceDescribesItsOwnPort: without the gateway's prefixes and without the
// other services.
func TestAServiceDescribesItsOwnPort(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	type document struct{ Paths map[string]any }
	own := decode[document](t, apitest.Do(s.Friend, http.MethodGet, "/openapi.json", ""))
	if own.Paths["/v1/users/{id}/friends"] == nil || own.Paths["/v1/users"] != nil || own.Paths["/metrics"] != nil {
		t.Errorf("the service of friendships describes %v", own.Paths)
	}
	all := decode[document](t, s.Do(http.MethodGet, "/openapi.json", ""))
	for _, path := range []string{"/user/v1/users", "/friend/v1/users/{id}/friends", "/recommendation/v1/users/{id}/commands/recommendFriends", "/livez"} {
		if all.Paths[path] == nil {
			t.Errorf("the gateway does not describe %s", path)
		}
	}
	for _, hidden := range []string{"/user/docs", "/user/openapi.json", "/friend/problems/busy"} {
		problem(t, s.Do(http.MethodGet, hidden, ""), http.StatusNotFound, wire.NotFound)
	}
}

// TestTheGatewayAnswersWhatItDescribes asks for every documented path that has no
// parameter.
func TestTheGatewayAnswersWhatItDescribes(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	type document struct{ Paths map[string]map[string]any }
	for path, operations := range decode[document](t, s.Do(http.MethodGet, "/openapi.json", "")).Paths {
		if operations["get"] == nil || strings.Contains(path, "{") {
			continue
		}
		if w := s.Do(http.MethodGet, path, ""); w.Code != http.StatusOK {
			t.Errorf("%s is answered %d %s", path, w.Code, w.Body)
		}
	}
}

// TestTheContractCatches shows that the check behind every test of this package
// can fail.
func TestTheContractCatches(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	contract, err := apitest.NewContract(s.Do(http.MethodGet, "/openapi.json", "").Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	people(t, s, 1)
	w := s.Do(http.MethodGet, "/user/v1/users/1", "")
	good := func() apitest.Answer {
		return apitest.Answer{
			Method: http.MethodGet, Path: "/user/v1/users/1", Status: w.Code, Header: w.Header().Clone(), Body: w.Body.Bytes(),
		}
	}
	a := good()
	if err := contract.Check(&a); err != nil {
		t.Fatalf("a good answer: %v", err)
	}
	for name, spoil := range map[string]func(*apitest.Answer){
		"a status":     func(a *apitest.Answer) { a.Status = http.StatusAccepted },
		"a header":     func(a *apitest.Answer) { a.Header.Set("X-Made-Up", "1") },
		"a media type": func(a *apitest.Answer) { a.Header.Set("Content-Type", "text/csv") },
		"a missing name": func(a *apitest.Answer) {
			a.Body = []byte(`{"id":1,"lastName":"","createdAt":"2022-11-26T15:45:31.123+00:00","lastModified":"2022-11-26T15:45:31.123+00:00"}`)
		},
		"a text as an id": func(a *apitest.Answer) { a.Body = []byte(strings.Replace(w.Body.String(), `"id":1`, `"id":"1"`, 1)) },
		"another member":  func(a *apitest.Answer) { a.Body = []byte(strings.Replace(w.Body.String(), `{`, `{"age":7,`, 1)) },
		"a bad time": func(a *apitest.Answer) {
			a.Body = []byte(regexp.MustCompile(`"createdAt":"[^"]*"`).ReplaceAllString(w.Body.String(), `"createdAt":"yesterday"`))
		},
		"half a body": func(a *apitest.Answer) { a.Body = a.Body[:len(a.Body)/2] },
	} {
		a := good()
		spoil(&a)
		if contract.Check(&a) == nil {
			t.Errorf("%s that is not documented goes unnoticed", name)
		}
	}
}

// TestAHelpPageLeadsToTheRoutes that answer its problem, and only to those.
func TestAHelpPageLeadsToTheRoutes(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	page := func(slug wire.Slug) string {
		w := s.Do(http.MethodGet, "/problems/"+string(slug), "", "Accept", "text/html")
		expect(t, w, http.StatusOK)
		return w.Body.String()
	}
	for _, c := range []struct {
		slug wire.Slug
		link string // to the route in the documentation
		is   bool
	}{
		{wire.SelfFriendship, `href="/docs#/Friends/addFriend"`, true},
		{wire.SelfFriendship, `href="/docs#/Users/createUser"`, false},
		{wire.ErasureNotFound, `href="/docs#/Users/getErasure"`, true},
		{wire.PreconditionFailed, `href="/docs#/Users/renameUser"`, true},
		{wire.PositionAhead, `href="/docs#/Events/friendListEvents"`, true},
		{wire.PositionAhead, `href="/docs#/Events/userListEvents"`, true},
		{wire.Internal, "Where it is answered", false}, // by all of them
	} {
		if got := strings.Contains(page(c.slug), c.link); got != c.is {
			t.Errorf("the page of %s has %s: %v", c.slug, c.link, got)
		}
	}
	if strings.Contains(page(wire.ValidationFailed), "<script") {
		t.Error("a help page runs a script")
	}
}

// TestTheDocumentIsTheSameEachTime: it may be kept, compared and signed.
func TestTheDocumentIsTheSameEachTime(t *testing.T) {
	first := apitest.Start(t, apitest.Options{}).Do(http.MethodGet, "/openapi.json", "").Body.String()
	for range 5 {
		if again := apitest.Start(t, apitest.Options{}).Do(http.MethodGet, "/openapi.json", "").Body.String(); again != first {
			t.Fatal("the document differs from start to start")
		}
	}
}
