package api

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"sync"

	"github.com/swaggest/swgui/v5/static"
	"github.com/swaggest/swgui/v5emb"

	"ensemble/wire"
)

// docs is the documentation of some routes, ready to be sent.
type docs struct {
	document []byte
	page     http.Handler
	problems *problemPages
}

// newDocs makes the documentation of some routes.
func newDocs(title, version string, of []section) (*docs, error) {
	text, err := json.MarshalIndent(document(title, version, of), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describe %s: %w", title, err)
	}
	problems, err := newProblemPages(of)
	page := v5emb.NewHandler(title, "/openapi.json", "/docs/")
	return &docs{document: text, page: page, problems: problems}, err
}

// NewDocs returns what the gateway says about the whole API: the document at
// /openapi.json, a page that shows it at /docs, and a page for each kind of
// problem below /problems. None of it needs anything from elsewhere.
func NewDocs(c Config) *Service {
	s := newService(c)
	s.routes = s.docsRoutes()
	s.docs = sync.OnceValues(func() (*docs, error) {
		return newDocs("Ensemble", c.Version, gatewaySections(s.healthRoutes(), s.routes))
	})
	return s.serving()
}

// gatewaySections lists the routes of all services as the gateway shows them.
func gatewaySections(health, docs []route) []section {
	var public, own []route
	for _, r := range health {
		switch r.name {
		case "prometheus", "metricNames", "metric": // it has one name for its metrics
		case "health", "liveness", "readiness", "info":
			public = append(public, r)
			fallthrough
		default:
			own = append(own, r)
		}
	}
	return []section{
		{"/user", "user", slices.Concat(new(userAPI).routes(), public)},
		{"/friend", "friend", slices.Concat(new(friendAPI).routes(), public)},
		{"/recommendation", "recommendation", slices.Concat(new(recommendationAPI).routes(), public)},
		{"", "gateway", slices.Concat(own, docs)},
	}
}

// docsRoutes is the table of what a service says about its routes.
func (s *Service) docsRoutes() []route {
	return []route{
		{http.MethodGet, "/openapi.json", "openapi", s.openapi},
		{http.MethodGet, "/docs", "docs", s.showDocs},
		{http.MethodGet, "/docs/{asset}", "docsAsset", s.showDocs},
		{http.MethodGet, "/problems", "listProblems", s.listProblems},
		{http.MethodGet, "/problems/{slug}", "explainProblem", s.explainProblem},
	}
}

// openapi answers with the description of all routes.
func (s *Service) openapi(r *request) error {
	d, err := s.docs()
	if err != nil {
		return err
	}
	return r.reply(http.StatusOK, jsonType, d.document)
}

// showDocs answers with the page that shows the document, or one of its files,
// which are kept compressed.
func (s *Service) showDocs(r *request) error {
	d, err := s.docs()
	if err != nil {
		return err
	}
	if _, err := fs.Stat(static.FS, r.pathParam+".gz"); r.pathParam != "" && err != nil {
		if _, err := fs.Stat(static.FS, r.pathParam); err != nil {
			return failure{slug: wire.NotFound}
		}
	}
	r.status = http.StatusOK
	secure(r)
	d.page.ServeHTTP(r.w, r.Request)
	return nil
}

// secure keeps a page from loading anything from elsewhere, and from being shown
// inside another one. Its own scripts are inline, so those have to be allowed; nothing
// that a client has sent is ever part of a page.
func secure(r *request) {
	r.set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; "+
		"style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'")
	r.set("X-Content-Type-Options", "nosniff")
	r.set("Referrer-Policy", "no-referrer")
}

// describeDocs says what the routes of the documentation do.
func describeDocs() map[string]operation {
	page := func(summary string, params []string, media ...string) operation {
		return operation{tag: tagOperating, shared: true, summary: summary, params: params, answers: []answer{
			{status: http.StatusOK, text: "The page.", body: "", media: media},
		}}
	}
	explain := page("What does a problem mean, and what to do about it?", []string{"slug"}, "text/html", "text/plain")
	explain.problems = []wire.Slug{wire.NotFound}
	asset := page("A file of that page", []string{"asset"}, "*/*")
	asset.answers[0].headers = []string{"ETag"}
	asset.problems = []wire.Slug{wire.NotFound}
	return map[string]operation{
		"openapi": {tag: tagOperating, shared: true, summary: "This document", answers: []answer{
			{status: http.StatusOK, text: "OpenAPI 3.1.", body: map[string]any{}},
		}},
		"docs":           page("This documentation, for people", nil, "text/html"),
		"docsAsset":      asset,
		"listProblems":   page("All kinds of problems", nil, "text/html", "text/plain"),
		"explainProblem": explain,
	}
}
