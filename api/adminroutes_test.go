package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"ensemble/api/apitest"
	"ensemble/wire"
)

// TestEveryRouteOfTheAdministrationKnowsItsMethods, and none of them is reached by a
// web page, whatever its method: not even what only looks.
func TestEveryRouteOfTheAdministrationKnowsItsMethods(t *testing.T) {
	o := newOffice(t)
	for path, methods := range map[string]string{
		"/admin/v1/lag":                       "GET, HEAD, OPTIONS",
		"/admin/v1/dead-letters":              "GET, HEAD, OPTIONS",
		"/admin/v1/dead-letters/1/retry":      "OPTIONS, POST",
		"/admin/v1/dead-letters/1/discard":    "OPTIONS, POST",
		"/admin/v1/instances":                 "GET, HEAD, OPTIONS",
		"/admin/v1/breakers":                  "GET, HEAD, OPTIONS",
		"/admin/v1/config":                    "GET, HEAD, OPTIONS",
		"/admin/v1/projections/users/rebuild": "GET, HEAD, OPTIONS, POST",
	} {
		t.Run(path, func(t *testing.T) {
			allowed := strings.Split(methods, ", ")
			for _, target := range []string{path, path + "/"} {
				w := o.do(http.MethodOptions, target)
				expect(t, w, http.StatusNoContent)
				if got := w.Header().Get("Allow"); got != methods {
					t.Errorf("OPTIONS %s allows %q, not %q", target, got, methods)
				}
			}
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"} {
				foreign := o.do(method, path, "Origin", "https://evil.example")
				expect(t, foreign, http.StatusForbidden)
				if slices.Contains(allowed, method) {
					continue
				}
				w := o.do(method, path)
				expect(t, w, http.StatusMethodNotAllowed)
				if got := w.Header().Get("Allow"); got != methods {
					t.Errorf("%s allows %q, not %q", method, got, methods)
				}
			}
		})
	}
	select {
	case <-o.begin:
		t.Fatal("a refused request has begun a rebuild")
	default:
	}
}

// TestTheGatewaysOwnRoutesKnowTheirMethods, and pass nothing else of them on.
func TestTheGatewaysOwnRoutesKnowTheirMethods(t *testing.T) {
	s := apitest.Start(t, apitest.Options{})
	for _, path := range []string{
		"/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness", "/actuator/info", "/livez", "/readyz", "/healthz",
	} {
		t.Run(path, func(t *testing.T) {
			get := s.Do("GET", path, "")
			expect(t, get, http.StatusOK)
			for _, target := range []string{path, path + "/"} {
				head := s.Do("HEAD", target, "")
				if head.Code != get.Code || head.Body.Len() > 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
					t.Errorf("HEAD %s is answered %d %v", target, head.Code, head.Header())
				}
				sameHeaders(t, target, get, head)
				options := s.Do("OPTIONS", target, "")
				expect(t, options, http.StatusNoContent)
				if got := options.Header().Get("Allow"); got != "GET, HEAD, OPTIONS" {
					t.Errorf("OPTIONS %s allows %q", target, got)
				}
			}
			for _, method := range []string{"POST", "PUT", "DELETE", "PATCH"} {
				w := s.Do(method, path, ada)
				problem(t, w, http.StatusMethodNotAllowed, wire.MethodNotAllowed)
				if got := w.Header().Get("Allow"); got != "GET, HEAD, OPTIONS" {
					t.Errorf("%s allows %q", method, got)
				}
			}
			for _, near := range []string{path + "x", path + "/x", path + "//", strings.ToUpper(path)} {
				if w := s.Do("GET", near, ""); w.Code != http.StatusNotFound {
					t.Errorf("GET %s is answered %d", near, w.Code)
				}
			}
		})
	}
}
