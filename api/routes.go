package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ensemble/wire"
)

// route is one line of a service's table: what is asked how, and who answers.
type route struct {
	method  string
	pattern string // one segment in braces may be a parameter
	name    string // of the operation
	serve   func(*request) error
}

// find returns the index of the route for a method and an escaped path, or -1.
func (s *Service) find(method, path string) int {
	// A table of a dozen lines is searched faster than a tree is walked, and it
	// reads like the documentation.
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range s.routes {
		if s.routes[i].method != method {
			continue
		}
		if _, ok := match(s.routes[i].pattern, path); ok {
			return i
		}
	}
	return -1
}

// unmatched answers a request that has no route: by saying which methods have
// one, or that none has.
func (s *Service) unmatched(r *request) error {
	allowed := s.allowed(r.path)
	if allowed == "" {
		return failure{slug: wire.NotFound}
	}
	r.set("Allow", allowed)
	if r.Method == http.MethodOptions {
		return r.replyEmpty(http.StatusNoContent)
	}
	return failure{slug: wire.MethodNotAllowed}
}

// allowed lists the methods that work on a path, "" if none does.
func (s *Service) allowed(path string) string {
	var methods []string
	for i := range s.routes {
		if _, ok := match(s.routes[i].pattern, path); !ok {
			continue
		}
		methods = append(methods, s.routes[i].method, http.MethodOptions)
		if s.routes[i].method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// match compares an escaped path with a pattern, segment by segment, and returns
// the parameter. One trailing slash is ignored.
func match(pattern, path string) (param string, ok bool) {
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	for pattern != "" && path != "" {
		var want, have string
		want, pattern = segment(pattern)
		have, path = segment(path)
		if strings.IndexByte(have, '%') >= 0 {
			have = unescapeSegment(have)
		}
		switch {
		case have == "":
			return "", false
		case want[0] == '{':
			param = have
		case want != have:
			return "", false
		}
	}
	return param, pattern == path
}

// segment cuts the first segment off a path. It is "" where there is none.
func segment(path string) (first, rest string) {
	if path == "" || path[0] != '/' {
		return "", path
	}
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[1 : i+1], path[i+1:]
	}
	return path[1:], ""
}

// unescapeSegment decodes one segment. It comes after the path was cut at its
// slashes, so an escaped slash stays part of a segment and matches no route.
func unescapeSegment(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}
