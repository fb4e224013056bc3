package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"ensemble/wire"
)

// maxParams is how many parameters a pattern may have.
const maxParams = 2

// route is one line of a service's table: what is asked how, and who answers.
type route struct {
	method  string
	pattern string // segments in braces are parameters
	name    string // of the operation
	serve   func(*request) error
}

// find returns the index of the route for a method and an escaped path, or -1.
func (s *Service) find(method, path string) int {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var params [maxParams]string
	for i := range s.routes {
		if s.routes[i].method == method && match(s.routes[i].pattern, path, &params) {
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
	r.w.Header()["Allow"] = []string{allowed}
	if r.Method == http.MethodOptions {
		return r.replyEmpty(http.StatusNoContent)
	}
	return failure{slug: wire.MethodNotAllowed}
}

// allowed lists the methods that work on a path, "" if none does.
func (s *Service) allowed(path string) string {
	var methods []string
	var ignored [maxParams]string
	for i := range s.routes {
		if !match(s.routes[i].pattern, path, &ignored) {
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

// match compares an escaped path with a pattern, segment by segment, and fills in
// the parameters. One trailing slash is ignored.
func match(pattern, path string, params *[maxParams]string) bool {
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	for n := 0; ; {
		var want, have string
		want, pattern = segment(pattern)
		have, path = segment(path)
		switch {
		case want == "" || have == "":
			return want == have && pattern == path
		case strings.IndexByte(have, '%') >= 0:
			have = unescapeSegment(have)
		}
		if want[0] == '{' {
			params[n] = have
			n++
		} else if want != have {
			return false
		}
	}
}

// segment cuts the first segment off a path. It is "" at the end, and where there
// is none.
func segment(path string) (first, rest string) {
	if path == "" || path[0] != '/' {
		return "", path
	}
	if i := strings.IndexByte(path[1:], '/'); i >= 0 {
		return path[1 : i+1], path[i+1:]
	}
	return path[1:], ""
}

func unescapeSegment(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}
