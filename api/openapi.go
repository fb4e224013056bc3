package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ensemble/wire"
)

// section is some routes as they are reached by clients: below a prefix.
type section struct {
	prefix string // "/user"; "" on a service's own port
	name   string // goes before the names of operations that several sections have
	routes []route
}

// document describes sections of routes as OpenAPI 3.1
// (https://spec.openapis.org/oas/v3.1.0). Schemas come from the types that are
// sent, problems from their table; the rest is in the descriptions.
//
// It is made once, when somebody asks for it first: a start should not wait for what
// most processes are never asked.
func document(title, version string, sections []section) *huma.OpenAPI {
	b := builder{operations: operations(), parameters: parameters(), schemas: schemas()}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: title, Version: version,
			Description: "An event-sourced social network: people, friendships, and whom somebody should befriend. " +
				"Errors are problems (RFC 9457); each type has a page that says what to do. HEAD works as GET, " +
				"OPTIONS lists the methods of a path, a trailing slash is ignored. Requests that two readers of HTTP could understand " +
				"differently, and those beyond a limit, are refused before any route is looked at (/problems lists them).",
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers:    []*huma.Server{{URL: "/"}},
		Tags:       documentTags(),
		Components: &huma.Components{Schemas: b.schemas, Headers: headers()},
	}
	for _, s := range sections {
		for i := range s.routes {
			doc.AddOperation(b.operation(s, &s.routes[i]))
		}
	}
	return doc
}

// schemas returns an empty registry of schemas that knows our times.
func schemas() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	r.RegisterTypeAlias(reflect.TypeFor[wire.Time](), reflect.TypeFor[time.Time]())
	return r
}

// schemaName names a schema after its type.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	return strings.TrimSuffix(name, "Body")
}

// builder turns descriptions into the parts of a document.
type builder struct {
	operations map[string]operation
	parameters map[string]*huma.Param
	schemas    huma.Registry
}

// operation describes one route.
func (b *builder) operation(s section, route *route) *huma.Operation {
	o := b.operations[route.name]
	op := &huma.Operation{
		Method: route.method, Path: s.prefix + route.pattern, OperationID: operationID(s, route.name, o),
		Tags: []string{o.tag}, Summary: o.summary, Description: o.text,
		Responses: map[string]*huma.Response{},
	}
	for _, name := range o.params {
		p := *b.parameters[name]
		if p.Name == "" {
			p.Name = name
		}
		op.Parameters = append(op.Parameters, &p)
	}
	if o.body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			jsonType: {Schema: b.schema(o.body)},
		}}
	}
	for _, a := range o.answers {
		op.Responses[strconv.Itoa(a.status)] = b.answer(&a)
	}
	for _, slug := range slices.Concat(o.problems, everywhere()) {
		b.problem(op.Responses, slug)
		if slices.Contains(o.params, "Idempotency-Key") && kept(slug) {
			maps.Copy(op.Responses[strconv.Itoa(slug.Kind().Status)].Headers, references([]string{"Idempotency-Replayed"}))
		}
	}
	return op
}

// operationID names an operation. What every service has is told apart by the
// section.
func operationID(s section, route string, o operation) string {
	if !o.shared || s.name == "" {
		return route
	}
	return s.name + strings.ToUpper(route[:1]) + route[1:]
}

// answer describes one way of succeeding.
func (b *builder) answer(a *answer) *huma.Response {
	r := &huma.Response{Description: a.text, Headers: references(append([]string{"X-Request-Id"}, a.headers...))}
	if a.body == nil {
		return r
	}
	r.Content = map[string]*huma.MediaType{}
	media := a.media
	if media == nil {
		media = []string{jsonType}
	}
	for _, m := range media {
		r.Content[m] = &huma.MediaType{Schema: b.schema(a.body)}
		if m == ndjsonType || m == eventsType { // many texts, of which JSON Schema knows nothing
			r.Content[m].Schema = text()
		}
	}
	return r
}

// problem adds a problem to the answers of an operation, beside others with the
// same status.
func (b *builder) problem(responses map[string]*huma.Response, slug wire.Slug) {
	kind := slug.Kind()
	status := strconv.Itoa(kind.Status)
	r := responses[status]
	if r == nil {
		r = &huma.Response{Headers: references([]string{"X-Request-Id"})}
		responses[status] = r
	}
	media := r.Content[wire.ProblemType]
	if media == nil {
		if r.Content == nil {
			r.Content = map[string]*huma.MediaType{}
		}
		media = &huma.MediaType{Schema: b.schema(wire.Problem{}), Examples: map[string]*huma.Example{}}
		r.Content[wire.ProblemType] = media
	}
	if media.Examples[string(slug)] != nil {
		return
	}
	media.Examples[string(slug)] = &huma.Example{Summary: kind.Title, Value: exampleProblem(slug)}
	if r.Description != "" {
		r.Description += " "
	}
	r.Description += fmt.Sprintf("[%s](/problems/%s): %s", kind.Title, slug, kind.Help)
	if retried(slug) {
		maps.Copy(r.Headers, references([]string{"Retry-After"}))
	}
}

// kept says whether a refusal is remembered under a key, or said of one that was.
func kept(slug wire.Slug) bool {
	switch slug.Kind().Status {
	case http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// retried says whether an answer with this problem may say when to come again.
func retried(slug wire.Slug) bool {
	return slug.Kind().Status == http.StatusServiceUnavailable || slug == wire.KeyInUse
}

// exampleProblem returns a problem of a kind as a client would see it.
func exampleProblem(slug wire.Slug) json.RawMessage {
	p := wire.NewProblem(slug, "", wire.Occasion{
		Instance: "/user/v1/users/7", Path: "/v1/users/7", RequestID: "TWGGNLLFVHFJLFWIYKDQZSZMAY",
		Time: time.Date(2022, time.November, 26, 15, 45, 31, 123_000_000, time.UTC),
	})
	return wire.AppendProblem(nil, &p)
}

// schema returns the schema of a value's type.
func (b *builder) schema(value any) *huma.Schema {
	schema := b.schemas.Schema(reflect.TypeOf(value), true, "")
	schema.Nullable = false // a list without items is [], never null
	return schema
}

// references refers to headers of the table.
func references(names []string) map[string]*huma.Param {
	refs := map[string]*huma.Param{}
	for _, name := range names {
		refs[name] = &huma.Header{Ref: "#/components/headers/" + name}
	}
	return refs
}
