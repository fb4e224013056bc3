package eureka

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// addRoutes is the table of the protocol.
func (s *Server) addRoutes() {
	all := s.registry.all
	s.route("GET /eureka/apps", func(*http.Request) (any, error) {
		return all(func(*Instance) bool { return true }), nil
	})
	s.route("GET /eureka/apps/delta", func(*http.Request) (any, error) {
		return s.registry.delta(), nil
	})
	s.route("GET /eureka/apps/{app}", func(r *http.Request) (any, error) {
		found := all(func(in *Instance) bool { return in.App == appOf(r) })
		if len(found.Apps) == 0 {
			return nil, &refusal{http.StatusNotFound, "no such application is registered"}
		}
		return &found.Apps[0], nil
	})
	s.route("GET /eureka/apps/{app}/{id}", func(r *http.Request) (any, error) {
		return one(all(func(in *Instance) bool { return in.ID == r.PathValue("id") && in.App == appOf(r) }))
	})
	s.route("GET /eureka/instances/{id}", func(r *http.Request) (any, error) {
		return one(all(func(in *Instance) bool { return in.ID == r.PathValue("id") }))
	})
	s.route("GET /eureka/vips/{name}", func(r *http.Request) (any, error) {
		return hashed(all(func(in *Instance) bool { return hasName(in.VIP, r.PathValue("name")) })), nil
	})
	s.route("GET /eureka/svips/{name}", func(r *http.Request) (any, error) {
		return hashed(all(func(in *Instance) bool { return hasName(in.SVIP, r.PathValue("name")) })), nil
	})
	s.route("POST /eureka/apps/{app}", s.register)
	s.route("PUT /eureka/apps/{app}/{id}", func(r *http.Request) (any, error) {
		dirty, err := dirtyOf(r)
		if err != nil {
			return nil, err
		}
		return nil, s.registry.renew(appOf(r), r.PathValue("id"), dirty)
	})
	s.route("DELETE /eureka/apps/{app}/{id}", func(r *http.Request) (any, error) {
		return nil, s.registry.cancel(appOf(r), r.PathValue("id"))
	})
	// An operator's word, and taking it back. Then value is the status until the instance
	// speaks for itself; without one it is UNKNOWN, so the next heartbeat is answered
	// 404, and the instance registers.
	s.route("PUT /eureka/apps/{app}/{id}/status", func(r *http.Request) (any, error) {
		status := Status(strings.ToUpper(r.URL.Query().Get("value")))
		return nil, s.override(r, status, status)
	})
	s.route("DELETE /eureka/apps/{app}/{id}/status", func(r *http.Request) (any, error) {
		return nil, s.override(r, Unknown, Status(strings.ToUpper(firstOf(r.URL.Query().Get("value"), string(Unknown)))))
	})
	s.route("PUT /eureka/apps/{app}/{id}/metadata", func(r *http.Request) (any, error) {
		entries := Metadata{}
		for k, v := range r.URL.Query() {
			entries[k] = v[0]
		}
		return nil, s.registry.describe(appOf(r), r.PathValue("id"), entries)
	})
	for _, path := range []string{"/{$}", "/dashboard/style.css", "/dashboard/live.js"} {
		s.routes.HandleFunc("GET "+path, s.dashboard)
	}
}

// appOf returns the application that a path names.
func appOf(r *http.Request) string { return strings.ToUpper(r.PathValue("app")) }

// one returns the first instance that was found.
func one(found *applications) (any, error) {
	if len(found.Apps) == 0 {
		return nil, &refusal{http.StatusNotFound, "no such instance is registered"}
	}
	return &found.Apps[0].Instances[0], nil
}

// hashed makes the hash that of the found ones, as their list is no part of a whole.
func hashed(found *applications) *applications {
	status := map[Status]int{}
	for _, a := range found.Apps {
		for _, in := range a.Instances {
			status[in.Status]++
		}
	}
	found.Hash = hashOf(status)
	return found
}

// register takes in an instance.
func (s *Server) register(r *http.Request) (any, error) {
	in, err := readInstance(r)
	if err != nil {
		return nil, err
	}
	in.complete()
	if err := in.check(appOf(r), peerOf(r.RemoteAddr), s.advertised); err != nil {
		return nil, err
	}
	return nil, s.registry.register(in)
}

// override gives an order, or takes it back.
func (s *Server) override(r *http.Request, order, status Status) error {
	dirty, err := dirtyOf(r)
	switch {
	case err != nil:
		return err
	case !status.known():
		return fmt.Errorf("value is %q; there are %s", shown(string(status)), statuses)
	}
	return s.registry.override(appOf(r), r.PathValue("id"), order, status, dirty)
}

// dirtyOf reads since when an instance is as it is; 0 if the request does not say.
func dirtyOf(r *http.Request) (millis, error) {
	text := r.URL.Query().Get("lastDirtyTimestamp")
	if text == "" || text == "null" { // as the older ones of Node say
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("lastDirtyTimestamp is %q, not milliseconds", shown(text))
	}
	return millis(n), nil
}

// peerOf reads where a request came from.
func peerOf(remote string) netip.Addr {
	p, _ := netip.ParseAddrPort(remote) // what can't be read is nobody's address
	return p.Addr().Unmap()
}
