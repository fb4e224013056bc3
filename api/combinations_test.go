package api_test

import (
	"net/http"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// TestHeadersTogether asks with several headers at once, each of which would be
// answered in its own way.
func TestHeadersTogether(t *testing.T) {
	const one, list = "/user/v1/users/1", "/user/v1/users"
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	id := identity(t, s.UserLog)
	tag, old := `"1-`+id+`"`, `"9-`+id+`"`
	for _, c := range []struct {
		sentence, method, target, body string
		headers                        []string
		status                         int
		slug                           wire.Slug
	}{
		{"what is not modified needs no body", "GET", one, "", []string{"If-None-Match", tag}, 304, ""},
		{"nor does its head", "HEAD", one, "", []string{"If-None-Match", tag}, 304, ""},
		{"the star is any version", "GET", one, "", []string{"If-None-Match", "*"}, 304, ""},
		{"a position that is reached, and not modified", "GET", one, "", []string{"Min-Event-Position", "user:1", "If-None-Match", tag}, 304, ""},
		{"a position that is not reached is no 304", "GET", one, "", []string{"Min-Event-Position", "user:9", "Prefer", "wait=0", "If-None-Match", tag}, 503, wire.ProjectionBehind},
		{"unless what there is will do", "GET", one, "", []string{"Min-Event-Position", "user:9", "Prefer", "wait=0, handling=lenient", "If-None-Match", tag}, 304, ""},
		{"a position of another log", "GET", one, "", []string{"Min-Event-Position", "user:1@00000000", "If-None-Match", tag}, 410, wire.LogReplaced},
		{"a position that is none", "GET", one, "", []string{"Min-Event-Position", "user", "If-None-Match", tag}, 400, wire.InvalidPosition},
		{"somebody unknown has no version", "GET", "/user/v1/users/9", "", []string{"If-None-Match", "*"}, 404, wire.UserNotFound},
		{"a key where nothing is posted, with an old tag", "PUT", one, ada, []string{"Idempotency-Key", "k", "If-Match", old}, 412, wire.PreconditionFailed},
		{"a key that is none where nothing is posted", "PUT", one, ada, []string{"Idempotency-Key", "a b", "If-Match", tag}, 200, ""},
		{"a tag where somebody is created", "POST", list, ada, []string{"Idempotency-Key", "k1", "If-Match", old}, 201, ""},
		{"a body that is none, with a key that is none", "POST", list, "{", []string{"Idempotency-Key", "a b"}, 400, wire.MalformedJSON},
		{"whoever takes no JSON gets an error all the same", "POST", list, "{", []string{"Accept", "text/html"}, 400, wire.MalformedJSON},
		{"and one about somebody unknown", "GET", "/user/v1/users/9", "", []string{"Accept", "image/png"}, 404, wire.UserNotFound},
		{"a list that nobody has, with a bad limit", "GET", list + "?limit=0", "", []string{"Accept", "application/x-ndjson"}, 400, wire.InvalidParameter},
		{"an old tag at a DELETE changes nothing", "DELETE", one, "", []string{"If-Match", old, "Idempotency-Key", "k"}, 412, wire.PreconditionFailed},
		{"nor does one of somebody unknown", "DELETE", "/user/v1/users/9", "", []string{"If-Match", old}, 404, wire.UserNotFound},
		{"a read waits for itself only", "GET", one, "", []string{"Min-Event-Position", "friend:99", "Prefer", "wait=0"}, 200, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			before := events(t, s.UserLog)
			w := s.Do(c.method, c.target, c.body, c.headers...)
			if c.slug != "" {
				problem(t, w, c.status, c.slug)
				if w.Header().Get("ETag") != "" || events(t, s.UserLog) != before {
					t.Errorf("a refusal has the tag %q, and the log %d events more", w.Header().Get("ETag"), events(t, s.UserLog)-before)
				}
				return
			}
			expect(t, w, c.status)
			if c.status == http.StatusNotModified && (w.Body.Len() != 0 || w.Header().Get("ETag") != tag) {
				t.Errorf("304 with the tag %q and %q", w.Header().Get("ETag"), w.Body)
			}
		})
	}
}

// Pages go on from a place, not from a person: whoever is erased between two pages,
// also the one on whom a page ended, is neither repeated nor takes others along.
func TestPagesGoOnWhileTheirPeopleAreErased(t *testing.T) {
	for _, c := range []struct {
		sentence string
		erased   string // after the first page, which shows 1 and 2
		want     []int64
	}{
		{"the last of the page", "2", []int64{3, 4, 5}},
		{"the first of the next", "3", []int64{4, 5}},
		{"the last of all", "5", []int64{3, 4}},
		{"somebody already seen", "1", []int64{3, 4, 5}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			s := apitest.Start(t, apitest.Options{})
			people(t, s, 5)
			w := s.Do("GET", "/user/v1/users?limit=2", "")
			expect(t, w, http.StatusOK)
			expect(t, s.Do("DELETE", "/user/v1/users/"+c.erased, ""), http.StatusNoContent)
			var got []int64
			for link := w.Header().Get("Link"); link != ""; link = w.Header().Get("Link") {
				w = s.Do("GET", link[1:len(link)-len(`>; rel="next"`)], "")
				expect(t, w, http.StatusOK)
				for _, u := range decode[[]wire.User](t, w) {
					got = append(got, u.ID)
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("the pages behind show %v, not %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Fatalf("the pages behind show %v, not %v", got, c.want)
				}
			}
		})
	}
}
