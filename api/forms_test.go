package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// Every list comes in every form, page by page too, with the same items.
func TestFormsHaveTheSameItems(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	for _, list := range allLists() {
		for _, query := range []string{"limit=1000", "limit=2", "explain=true"} {
			array := s.Do("GET", list.target+query, "")
			var items []json.RawMessage
			if err := json.Unmarshal(array.Body.Bytes(), &items); err != nil || len(items) < 2 {
				t.Fatalf("%s: %v in %s", list.target, err, array.Body)
			}
			var lines, events strings.Builder
			for _, item := range items {
				lines.WriteString(string(item) + "\n")
				events.WriteString("data: " + string(item) + "\n\n")
			}
			for mediaType, want := range map[string]string{
				"application/json": array.Body.String(), "application/x-ndjson": lines.String(), "text/event-stream": events.String(),
			} {
				w := s.Do("GET", list.target+query, "", "Accept", mediaType)
				expect(t, w, http.StatusOK)
				if w.Body.String() != want || w.Header().Get("Content-Type") != mediaType {
					t.Errorf("%s%s as %s is %v %s", list.target, query, mediaType, w.Header(), w.Body)
				}
				if w.Header().Get("Link") != array.Header().Get("Link") || w.Header().Get("Vary") != "Accept" {
					t.Errorf("%s%s as %s has the header %v", list.target, query, mediaType, w.Header())
				}
				head := s.Do("HEAD", list.target+query, "", "Accept", mediaType, "X-Request-Id", w.Header().Get("X-Request-Id"))
				if head.Body.Len() > 0 || !sameHeader(head, w) {
					t.Errorf("HEAD of %s%s as %s is %v, not %v", list.target, query, mediaType, head.Header(), w.Header())
				}
			}
		}
	}
}

func sameHeader(a, b *httptest.ResponseRecorder) bool {
	if len(a.Header()) != len(b.Header()) {
		return false
	}
	for name := range a.Header() {
		if a.Header().Get(name) != b.Header().Get(name) {
			return false
		}
	}
	return true
}

func TestWhatNoListHasIsNotAcceptable(t *testing.T) {
	s := circle(t, apitest.Options{}, 9)
	for _, list := range allLists() {
		for _, accept := range []string{"text/html", "nonsense", "application/json;q=0", "*/*;q=0", "application/json;q=two", "\"", "🙂"} {
			w := s.Do("GET", list.target, "", "Accept", accept)
			problem(t, w, http.StatusNotAcceptable, wire.NotAcceptable)
			if w.Header().Get("Vary") != "Accept" {
				t.Errorf("Accept %s is refused with the header %v", accept, w.Header())
			}
			if head := s.Do("HEAD", list.target, "", "Accept", accept); head.Code != http.StatusNotAcceptable || head.Body.Len() > 0 {
				t.Errorf("HEAD is answered %d %s", head.Code, head.Body)
			}
		}
	}
	// What is wrong with an id is said first; a problem is JSON, whatever was asked for.
	problem(t, s.Do("GET", "/friend/v1/users/0/friends", "", "Accept", "text/html"), http.StatusBadRequest, wire.InvalidID)
	problem(t, s.Do("GET", "/user/v1/users?limit=0", "", "Accept", "text/event-stream"), http.StatusBadRequest, wire.InvalidParameter)
}
