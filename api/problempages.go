package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"ensemble/wire"
)

// pageFiles are the pages about problems, for people with a browser.
//
//go:embed pages/*.html
var pageFiles embed.FS

// problemPages has a page for each kind of problem, rendered once.
type problemPages struct {
	list   helpPage
	bySlug map[string]helpPage
}

// helpPage is one page in its two forms.
type helpPage struct{ html, text []byte }

// problemPage is what a page says of a kind of problem.
type problemPage struct {
	wire.Kind

	Class      int // of the status: 4 or 5
	Operations []problemOperation
	Example    string
}

// problemOperation is a route that may answer a problem.
type problemOperation struct{ Tag, ID, Method, Path, Summary string }

// newProblemPages renders the pages, with the routes that may answer each
// problem.
func newProblemPages(of []section) (*problemPages, error) {
	templates, err := template.ParseFS(pageFiles, "pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("read the pages about problems: %w", err)
	}
	answered := problemOperations(of)
	var all []problemPage
	pages := &problemPages{bySlug: map[string]helpPage{}}
	for _, kind := range wire.Kinds() {
		var example bytes.Buffer
		if err := json.Indent(&example, exampleProblem(kind.Slug), "", "  "); err != nil {
			return nil, fmt.Errorf("show %s: %w", kind.Slug, err)
		}
		p := problemPage{Kind: kind, Class: kind.Status / 100, Operations: answered[kind.Slug], Example: example.String()}
		all = append(all, p)
		if pages.bySlug[string(kind.Slug)], err = p.render(templates); err != nil {
			return nil, err
		}
	}
	pages.list, err = renderList(templates, all)
	return pages, err
}

// problemOperations lists the routes that may answer each problem, but not those
// that any route may answer.
func problemOperations(of []section) map[wire.Slug][]problemOperation {
	described := operations()
	answered := map[wire.Slug][]problemOperation{}
	for _, s := range of {
		for _, r := range s.routes {
			o := described[r.name]
			for _, slug := range o.problems {
				if !slices.Contains(everywhere(), slug) {
					answered[slug] = append(answered[slug], problemOperation{
						Tag: o.tag, ID: operationID(s, r.name, o), Method: r.method, Path: s.prefix + r.pattern, Summary: o.summary,
					})
				}
			}
		}
	}
	return answered
}

// render renders the page of one kind.
func (p *problemPage) render(templates *template.Template) (helpPage, error) {
	var html bytes.Buffer
	if err := templates.ExecuteTemplate(&html, "problem.html", p); err != nil {
		return helpPage{}, fmt.Errorf("render the page of %s: %w", p.Slug, err)
	}
	text := fmt.Sprintf("%s (%s, status %d)\n\n%s\n", p.Title, p.Slug, p.Status, p.Help)
	return helpPage{html: html.Bytes(), text: []byte(text)}, nil
}

// renderList renders the list of all kinds.
func renderList(templates *template.Template, all []problemPage) (helpPage, error) {
	var html, text bytes.Buffer
	if err := templates.ExecuteTemplate(&html, "problems.html", all); err != nil {
		return helpPage{}, fmt.Errorf("render the list of problems: %w", err)
	}
	for _, p := range all {
		fmt.Fprintf(&text, "%d  %-24s %s\n", p.Status, p.Slug, p.Help)
	}
	return helpPage{html: html.Bytes(), text: text.Bytes()}, nil
}

// listProblems answers with all kinds of problems.
func (s *Service) listProblems(r *request) error {
	d, err := s.docs()
	if err != nil {
		return err
	}
	return r.show(d.problems.list)
}

// explainProblem answers with the page of one kind of problem.
func (s *Service) explainProblem(r *request) error {
	d, err := s.docs()
	if err != nil {
		return err
	}
	p, found := d.problems.bySlug[r.pathParam]
	if !found {
		return failure{slug: wire.NotFound, detail: "There is no such kind of problem. /problems lists all of them."}
	}
	return r.show(p)
}

// show sends a page: as HTML to browsers, as text to everybody else.
func (r *request) show(p helpPage) error {
	r.set("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		secure(r)
		return r.reply(http.StatusOK, "text/html; charset=utf-8", p.html)
	}
	return r.reply(http.StatusOK, textType, p.text)
}
