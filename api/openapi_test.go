package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ensemble/wire"
)

// tables are the routes of every service, by the name of the service.
func tables() map[string][]route {
	s := newService(Config{})
	return map[string][]route{
		"user":           new(userAPI).routes(),
		"friend":         new(friendAPI).routes(),
		"recommendation": new(recommendationAPI).routes(),
		"health":         s.healthRoutes(),
		"docs":           s.docsRoutes(),
		"admin":          append(new(Admin).routes(), profileRoutes()...),
	}
}

func TestEveryRouteIsDescribed(t *testing.T) {
	described := operations()
	for table, routes := range tables() {
		for _, r := range routes {
			o, found := described[r.name]
			if !found {
				t.Errorf("%s: the route %s (%s %s) has no description; add it to the describe function of its noun", table, r.name, r.method, r.pattern)
				continue
			}
			if o.summary == "" || o.tag == "" || len(o.answers) == 0 {
				t.Errorf("%s: the description of %s lacks a summary, a tag or an answer", table, r.name)
			}
			placeholder := strings.Contains(r.pattern, "{")
			inPath := slices.ContainsFunc(o.params, func(name string) bool {
				p := parameters()[name]
				return p != nil && p.In == "path" && strings.Contains(r.pattern, "{"+cmp.Or(p.Name, name)+"}")
			})
			if placeholder != inPath {
				t.Errorf("%s: the description of %s does not have the parameter of %s", table, r.name, r.pattern)
			}
		}
	}
}

func TestDescriptionsUseWhatIsInTheTables(t *testing.T) {
	knownParams, knownHeaders := parameters(), headers()
	for name, o := range operations() {
		for _, p := range o.params {
			if knownParams[p] == nil {
				t.Errorf("%s has the parameter %q, which is in no table", name, p)
			}
		}
		for _, a := range o.answers {
			for _, h := range a.headers {
				if knownHeaders[h] == nil {
					t.Errorf("%s answers with the header %q, which is in no table", name, h)
				}
			}
		}
		for _, slug := range o.problems {
			if slug.Kind().Slug != slug {
				t.Errorf("%s may answer %q, which is no kind of problem", name, slug)
			}
		}
	}
}

// openAPI returns the document that the gateway shows.
func openAPI(t *testing.T) []byte {
	t.Helper()
	w := httptest.NewRecorder()
	NewDocs(Config{Version: "test"}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("the document is answered %d %s", w.Code, w.Header())
	}
	return w.Body.Bytes()
}

// TestTheDocumentIsOpenAPI holds it against the schema of the OpenAPI Initiative.
func TestTheDocumentIsOpenAPI(t *testing.T) {
	file, err := os.Open("testdata/openapi/3.1.json")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	official, err := jsonschema.UnmarshalJSON(file)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("oas31.json", official); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("oas31.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(document); err != nil {
		t.Error(err)
	}
	delete(document.(map[string]any), "info")
	if schema.Validate(document) == nil {
		t.Error("the schema accepts a document without info, so it checks nothing")
	}
}

// TestTheDocumentNamesNothingTwice: clients are generated from it, and a name is a
// function there.
func TestTheDocumentNamesNothingTwice(t *testing.T) {
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Responses   map[string]struct{ Description string }
		}
	}
	if err := json.Unmarshal(openAPI(t), &document); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for path, operations := range document.Paths {
		for method, o := range operations {
			if other := seen[o.OperationID]; other != "" || o.OperationID == "" {
				t.Errorf("%s %s and %s are both called %q", method, path, other, o.OperationID)
			}
			seen[o.OperationID] = method + " " + path
			for status, r := range o.Responses {
				if r.Description == "" {
					t.Errorf("%s %s does not say what %s means", method, path, status)
				}
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d operations are described", len(seen))
	}
}

// TestEveryKindOfProblemIsAnswered: a kind that no route may answer is either dead
// or undocumented. Those below come from outside of any route.
func TestEveryKindOfProblemIsAnswered(t *testing.T) {
	elsewhere := []wire.Slug{wire.MethodNotAllowed, wire.ClientClosedRequest}
	answered := map[wire.Slug]bool{}
	for _, o := range operations() {
		for _, slug := range slices.Concat(o.problems, everywhere()) {
			answered[slug] = true
		}
	}
	for _, kind := range wire.Kinds() {
		if !answered[kind.Slug] && !slices.Contains(elsewhere, kind.Slug) {
			t.Errorf("no operation says that it may answer %s", kind.Slug)
		}
	}
}
