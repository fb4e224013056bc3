package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// FuzzHTTP sends anything to the gateway: it never panics, never answers 5xx, and
// every refusal is a problem.
func FuzzHTTP(f *testing.F) {
	for _, target := range []string{
		"/user/v1/users", "/user/v1/users/1", "/user/v1/users/0/", "/friend/v1/users/1/friends?limit=1&direction=both",
		"/friend/v1/users/1/commands/addFriend?friendId=2", "/friend/v1/users/2/commands/removeFriend?friendId=1",
		"/friend/v1/friends/1", "/recommendation/v1/users/1/commands/recommendFriends?limit=%31",
		"/recommendation/v1/users/1/commands/findMutualFriends?friendId=2&friendId=3", "/actuator/health", "/user/actuator/info",
		"/user/v1/users?limit=1&cursor=K0dSZb0xiRECAA", "/user/v1/users?ids=3,1,2&limit=1", "/user/v1/users?ids=%31,2&cursor=",
		"/recommendation/v1/users/1/commands/recommendFriends?explain=true&minWeight=1&cursor=HLVFoukYCXwEAg",
		"/user", "/%75ser/v1", "//", "/user/v1/users/%zz", "/readyz?verbose", "/problems/busy",
	} {
		f.Add("GET", target, "", "", "", "If-None-Match: \"1-00000000\", W/\"2\"\nAccept: application/x-ndjson;q=0.5, */*")
		f.Add("HEAD", target, "", "", "", "Prefer: wait=0\nMin-Event-Position: user:1, friend:0@00000000")
		f.Add("POST", target, `{"firstName":"A","lastName":"B"}`, "application/json", "key", "X-Request-Id: me\nX-Forwarded-Prefix: /x")
		f.Add("PUT", target, `{"id":1,"firstName":"A","lastName":"B"}`, "application/json;charset=utf-8", `"key"`, "If-Match: *\nContent-Encoding: gzip")
	}
	s := apitest.Start(f, apitest.Options{})
	people(f, s, 3)
	f.Fuzz(func(t *testing.T, method, target, body, contentType, key, headers string) {
		if !sendable(method, target) {
			t.Skip()
		}
		pairs := []string{"Content-Type", contentType, "Idempotency-Key", key}
		for line := range strings.Lines(headers) {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok {
				pairs = append(pairs, name, value)
			}
		}
		w := s.Do(method, target, body, pairs...)
		switch {
		case w.Code >= 500:
			t.Errorf("%s %s is answered %d: %s", method, target, w.Code, w.Body)
		case w.Code >= 400 && method != http.MethodHead:
			if p := decode[wire.Problem](t, w); p.Status != w.Code || p.Detail == "" || p.RequestID == "" {
				t.Errorf("%s %s is answered with an incomplete problem: %s", method, target, w.Body)
			}
		}
	})
}

// sendable says whether net/http would hand such a request to a handler.
func sendable(method, target string) bool {
	if _, err := url.ParseRequestURI(target); err != nil || !strings.HasPrefix(target, "/") {
		return false
	}
	r, err := http.NewRequest(method, target, nil)
	return err == nil && r.Method != "" && !strings.ContainsAny(target, " \t\r\n") && strings.IndexFunc(target, isControl) < 0
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
