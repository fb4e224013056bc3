package api

import (
	"net/http"
	"net/http/pprof" // what it adds to the default mux is served nowhere
)

// profileRoutes is the table of what the Go runtime tells of itself. The command
// line is not among it: flags may hold secrets.
func profileRoutes() []route {
	const base = "/debug/pprof"
	return []route{
		{http.MethodGet, base, "profiles", profile(pprof.Index)},
		{http.MethodGet, base + "/profile", "profileCPU", profile(pprof.Profile)},
		{http.MethodGet, base + "/symbol", "profileSymbol", profile(pprof.Symbol)},
		{http.MethodPost, base + "/symbol", "profileSymbols", profile(pprof.Symbol)},
		{http.MethodGet, base + "/trace", "profileTrace", profile(pprof.Trace)},
		{http.MethodGet, base + "/{name}", "profileNamed", profile(pprof.Index)},
	}
}

// profile lets a handler of package pprof answer.
func profile(handler http.HandlerFunc) func(*request) error {
	return func(r *request) error {
		r.status = http.StatusOK // it may still say otherwise, to the client alone
		handler(r.w, r.Request)
		return nil
	}
}
