package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path, param string
		ok                   bool
	}{
		{"/v1/users", "/v1/users", "", true},
		{"/v1/users", "/v1/users/", "", true},
		{"/v1/users", "/v1/users//", "", false},
		{"/v1/users", "/v1/users/1", "", false},
		{"/v1/users/{id}", "/v1/users/1", "1", true},
		{"/v1/users/{id}", "/v1/users/%31%2F", "1/", true},
		{"/v1/users/{id}", "/v1/users/%zz", "%zz", true},
		{"/v1/users/{id}", "/v1/users/", "", false},
		{"/v1/users/{id}", "/v1/users//", "", false},
		{"/v1/users/{id}/friends", "/v1/users/1/friends/", "1", true},
		{"/v1/users/{id}/friends", "/v1/users//friends", "", false},
		{"/v1/users/{id}/friends", "/v1/users/1", "", false},
		{"/v1/users", "/v1/%75sers", "", true},
		{"/v1/users", "/v1%2Fusers", "", false},
		{"/v1/users", "v1/users", "", false},
		{"/livez", "/", "", false},
		{"/livez", "", "", false},
		{"/livez", "*", "", false},
	} {
		param, ok := match(c.pattern, c.path)
		if ok != c.ok || ok && param != c.param {
			t.Errorf("%s and %s: %q, %v", c.pattern, c.path, param, ok)
		}
	}
}

// FuzzMatch holds the matcher against cutting both into segments.
func FuzzMatch(f *testing.F) {
	f.Add("/v1/users/1/friends")
	f.Add("/v1/users//friends/")
	f.Add("/v1/users/%2e%2e/friends")
	f.Fuzz(func(t *testing.T, path string) {
		param, ok := match("/v1/users/{id}/friends", path)
		segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
		for i, s := range segments {
			segments[i] = unescapeSegment(s)
		}
		want := len(segments) == 5 && segments[0] == "" && segments[1] == "v1" && segments[2] == "users" &&
			segments[3] != "" && segments[4] == "friends"
		if ok != want || ok && param != segments[3] {
			t.Errorf("%q: %q, %v", path, param, ok)
		}
	})
}

func TestParametersAreReadAsEverybodyReadsThem(t *testing.T) {
	pair := rapid.Custom(func(t *rapid.T) string {
		name := rapid.SampledFrom([]string{"limit", "l%69mit", "other", "LIMIT", "", "limit2"}).Draw(t, "name")
		value := rapid.SampledFrom([]string{"", "=", "=1", "=a%20b", "=a+b", "=x=y", "=%C3%A9"}).Draw(t, "value")
		return name + value
	})
	rapid.Check(t, func(t *rapid.T) {
		query := strings.Join(rapid.SliceOfN(pair, 0, 5).Draw(t, "query"), "&")
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Skip(err)
		}
		r := &request{Request: &http.Request{URL: &url.URL{RawQuery: query}}}
		value, count := r.param("limit")
		if count != len(values["limit"]) || value != values.Get("limit") {
			t.Fatalf("%q: %q, %d", query, value, count)
		}
	})
}

func TestAMalformedEscapeIsNoNumber(t *testing.T) {
	r := &request{Request: &http.Request{URL: &url.URL{RawQuery: "limit=%3"}}}
	if _, err := r.limit(0); err == nil {
		t.Error("it was taken")
	}
}

func TestARequestKeepsNothingOfTheLastOne(t *testing.T) {
	r := new(request)
	first := httptest.NewRequest(http.MethodPut, "/v1/users/1?x=1", nil)
	first.Header.Set("X-Request-Id", "one")
	first.Header.Set("X-Forwarded-Prefix", "/user")
	r.begin(&route{pattern: "/v1/users/{id}"}, httptest.NewRecorder(), first)
	r.in, r.out, r.status = append(r.in, "body"...), append(r.out, "answer"...), 200
	r.end()
	if r.Request != nil || r.w != nil || r.route != nil {
		t.Error("a pooled request holds on to its connection")
	}
	r.begin(&route{pattern: "/livez"}, httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/livez", nil))
	if r.id == "one" || r.prefix != "" || r.pathParam != "" || r.status != 0 || len(r.in)+len(r.out) != 0 {
		t.Errorf("the second request has %+v", r)
	}
	r.out = make([]byte, 0, keepBuffer+1)
	if r.end(); cap(r.out) != 0 {
		t.Error("a large buffer is kept")
	}
}
