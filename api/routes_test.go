package api_test

import (
	"net/http"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

func TestRouting(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	people(t, s, 2)
	for _, c := range []struct {
		sentence, method, target string
		status                   int
		allow                    string
	}{
		{"a trailing slash matches", "GET", "/user/v1/users/", 200, ""},
		{"two trailing slashes do not", "GET", "/user/v1/users//", 404, ""},
		{"an empty segment does not match", "GET", "/user/v1//users", 404, ""},
		{"dots are not followed", "GET", "/user/v1/users/../users", 404, ""},
		{"paths are case-exact", "GET", "/user/v1/Users", 404, ""},
		{"an escaped id is the id", "GET", "/user/v1/users/%31", 200, ""},
		{"an escaped slash is not a separator", "GET", "/user/v1%2Fusers", 404, ""},
		{"HEAD works as GET", "HEAD", "/user/v1/users/1", 200, ""},
		{"HEAD of nobody is 404", "HEAD", "/user/v1/users/3", 404, ""},
		{"HEAD works on lists", "HEAD", "/user/v1/users", 200, ""},
		{"HEAD does not work on commands", "HEAD", "/friend/v1/users/1/commands/addFriend", 405, "OPTIONS, POST"},
		{"OPTIONS lists the methods", "OPTIONS", "/user/v1/users", 204, "GET, HEAD, OPTIONS, POST"},
		{"OPTIONS of nothing is 404", "OPTIONS", "/user/v1/nothing", 404, ""},
		{"a wrong method lists the right ones", "PATCH", "/user/v1/users/1", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"TRACE is a wrong method", "TRACE", "/user/v1/users/1", 405, "DELETE, GET, HEAD, OPTIONS, PUT"},
		{"the bare prefix is nothing", "GET", "/user", 404, ""},
		{"the prefix with a slash is nothing", "GET", "/user/", 404, ""},
		{"the root is nothing", "GET", "/", 404, ""},
		{"a longer word is not the prefix", "GET", "/users/v1/users", 404, ""},
		{"commands are not read", "GET", "/friend/v1/users/1/commands/removeFriend?friendId=2", 405, "OPTIONS, POST"},
		{"questions are not posted", "POST", "/recommendation/v1/users/1/commands/recommendFriends", 405, "GET, HEAD, OPTIONS"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := s.Do(c.method, c.target, "")
			expect(t, w, c.status)
			if got := w.Header().Get("Allow"); got != c.allow {
				t.Errorf("Allow is %q, not %q", got, c.allow)
			}
			if c.method == http.MethodHead && w.Body.Len() > 0 {
				t.Errorf("HEAD has a body: %s", w.Body)
			}
			if c.status >= 400 && c.method != http.MethodHead && w.Header().Get("Content-Type") != wire.ProblemType {
				t.Errorf("the error is no problem: %s", w.Body)
			}
		})
	}
}

func TestIDs(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	routes := []struct{ method, before, after string }{
		{"GET", "/user/v1/users/", ""},
		{"GET", "/friend/v1/friends/", ""},
		{"GET", "/friend/v1/users/", "/friends"},
		{"POST", "/friend/v1/users/", "/commands/addFriend?friendId=1"},
		{"POST", "/friend/v1/users/1/commands/removeFriend?friendId=", ""},
		{"GET", "/recommendation/v1/users/", "/commands/recommendFriends"},
		{"GET", "/recommendation/v1/users/1/commands/findMutualFriends?friendId=", ""},
	}
	for _, route := range routes {
		for _, id := range []string{
			"0", "-1", "%2B1", "01", "1.0", "1e3", "0x1", "9223372036854775808", "99999999999999999999",
			"one", "%201", "1%20", "%D9%A1", "null", "%00", "1,2",
		} {
			w := s.Do(route.method, route.before+id+route.after, "")
			problem(t, w, http.StatusBadRequest, wire.InvalidID)
		}
		w := s.Do(route.method, route.before+"9223372036854775807"+route.after, "")
		if w.Code == http.StatusBadRequest {
			t.Errorf("%s%s refuses the largest id: %s", route.before, route.after, w.Body)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, h := range []http.Handler{s.Gateway, s.User} {
		path := "/nothing"
		given := apitest.Do(h, "GET", path, "", "X-Request-Id", "my-id")
		if p := problem(t, given, 404, wire.NotFound); p.RequestID != "my-id" || given.Header().Get("X-Request-Id") != "my-id" {
			t.Errorf("a valid request id was not kept: %q", p.RequestID)
		}
		for _, bad := range []string{"with space", "ü", strings.Repeat("x", 129), "a\tb"} {
			made := apitest.Do(h, "GET", path, "", "X-Request-Id", bad)
			p := problem(t, made, 404, wire.NotFound)
			if p.RequestID == bad || len(p.RequestID) < 16 || made.Header().Get("X-Request-Id") != p.RequestID {
				t.Errorf("request id %q became %q", bad, p.RequestID)
			}
		}
	}
}

func TestForwardedPrefix(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	body := `{"firstName":"A","lastName":"B"}`
	for _, c := range []struct{ sentence, prefix, location string }{
		{"a service without a gateway has no prefix", "", "/v1/users/1"},
		{"a gateway's prefix comes before the path", "/people", "/people/v1/users/2"},
		{"a slash at its end is not doubled", "/people/", "/people/v1/users/3"},
		{"another host is not a prefix", "//evil.example", "/v1/users/4"},
		{"an address is not a prefix", "https://evil.example", "/v1/users/5"},
		{"a line break is not a prefix", "/a\r\nSet-Cookie: x", "/v1/users/6"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			w := apitest.Do(s.User, "POST", "/v1/users", body, "X-Forwarded-Prefix", c.prefix)
			expect(t, w, http.StatusCreated)
			if got := w.Header().Get("Location"); got != c.location {
				t.Errorf("Location is %q, not %q", got, c.location)
			}
		})
	}
	t.Run("clients can't set it through the gateway", func(t *testing.T) {
		w := s.Do("POST", "/user/v1/users", body, "X-Forwarded-Prefix", "/evil")
		if got := w.Header().Get("Location"); got != "/user/v1/users/7" {
			t.Errorf("Location is %q", got)
		}
	})
}
