package api_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// documented returns the methods of every path of the services that the gateway's
// document lists, each parameter being 1.
func documented(t *testing.T, s *apitest.System) map[string][]string {
	t.Helper()
	w := s.Do("GET", "/openapi.json", "")
	expect(t, w, http.StatusOK)
	doc := decode[struct {
		Paths map[string]map[string]any
	}](t, w)
	paths := map[string][]string{}
	for path, operations := range doc.Paths {
		if !strings.HasPrefix(path, "/user/") && !strings.HasPrefix(path, "/friend/") && !strings.HasPrefix(path, "/recommendation/") {
			continue
		}
		var methods []string
		for method := range operations {
			if method != "parameters" {
				methods = append(methods, strings.ToUpper(method))
			}
		}
		for strings.Contains(path, "{") {
			before, rest, _ := strings.Cut(path, "{")
			_, after, _ := strings.Cut(rest, "}")
			path = before + "1" + after
		}
		paths[path] = methods
	}
	if len(paths) < 12 {
		t.Fatalf("only %d paths are documented: %v", len(paths), slices.Sorted(maps.Keys(paths)))
	}
	return paths
}

// TestEveryRouteKnowsItsMethods: the document, Allow, OPTIONS and what is refused say
// the same of each path of each service.
func TestEveryRouteKnowsItsMethods(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	for path, methods := range documented(t, s) {
		t.Run(path, func(t *testing.T) {
			allowed := append([]string{http.MethodOptions}, methods...)
			if slices.Contains(methods, http.MethodGet) {
				allowed = append(allowed, http.MethodHead)
			}
			slices.Sort(allowed)
			want := strings.Join(slices.Compact(allowed), ", ")
			for _, target := range []string{path, path + "/", path + "?friendId=2"} {
				w := s.Do(http.MethodOptions, target, "")
				expect(t, w, http.StatusNoContent)
				if got := w.Header().Get("Allow"); got != want || w.Body.Len() > 0 {
					t.Errorf("OPTIONS %s allows %q, not %q", target, got, want)
				}
			}
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "BREW", "TRACE", "get"} {
				if slices.Contains(allowed, method) {
					continue
				}
				before := events(t, s.UserLog) + events(t, s.FriendLog)
				w := s.Do(method, path, ada)
				expect(t, w, http.StatusMethodNotAllowed)
				if method != http.MethodHead {
					problem(t, w, http.StatusMethodNotAllowed, wire.MethodNotAllowed)
				}
				if got := w.Header().Get("Allow"); got != want {
					t.Errorf("%s %s allows %q, not %q", method, path, got, want)
				}
				if after := events(t, s.UserLog) + events(t, s.FriendLog); after != before {
					t.Errorf("%s %s was refused and changed something", method, path)
				}
			}
		})
	}
}

// TestEveryGetIsAlsoAHead: the same status and headers, the length of the body
// included, and no body; and a slash at the end makes no difference.
func TestEveryGetIsAlsoAHead(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	expect(t, s.Do("POST", "/friend/v1/users/1/commands/addFriend?friendId=2", ""), http.StatusCreated)
	s.Settle(t)
	for path, methods := range documented(t, s) {
		if !slices.Contains(methods, http.MethodGet) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			query := ""
			if strings.HasSuffix(path, "findMutualFriends") {
				query = "?friendId=2"
			}
			get := s.Do("GET", path+query, "")
			for _, target := range []string{path + query, path + "/" + query} {
				head := s.Do("HEAD", target, "")
				if head.Code != get.Code || head.Body.Len() > 0 {
					t.Errorf("HEAD %s is answered %d with %d bytes, GET %d", target, head.Code, head.Body.Len(), get.Code)
				}
				sameHeaders(t, target, get, head)
			}
			slashed := s.Do("GET", path+"/"+query, "")
			if slashed.Code != get.Code {
				t.Errorf("with a slash at its end it is answered %d, not %d", slashed.Code, get.Code)
			}
			sameHeaders(t, path+"/", get, slashed)
		})
	}
}

// sameHeaders compares the headers of two answers, but for those that differ from
// request to request.
func sameHeaders(t *testing.T, target string, a, b *httptest.ResponseRecorder) {
	t.Helper()
	for _, name := range []string{
		"Content-Type", "ETag", "Cache-Control", "Vary", "Link", "Event-Position", "Projection-Position", "Location", "Allow",
	} {
		x, y := strings.Join(a.Header()[name], ", "), strings.Join(b.Header()[name], ", ")
		if x = strings.ReplaceAll(x, "/>", ">"); x != strings.ReplaceAll(y, "/>", ">") {
			t.Errorf("%s: %s is %q and %q", target, name, x, y)
		}
	}
}
