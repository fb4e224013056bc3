package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ensemble/api"
	"ensemble/wire"
)

// Contract is the document at /openapi.json, as something to hold answers against.
type Contract struct {
	paths map[string]map[string]contractOperation // by path and lower-case method

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by their place in the document
}

// contractOperation is what the document says of one operation.
type contractOperation struct {
	Responses map[string]struct {
		Headers map[string]any
		Content map[string]any
	}
}

// contract is shared: making it costs more than most tests.
var contract = sync.OnceValues(func() (*Contract, error) {
	w := httptest.NewRecorder()
	api.NewDocs(api.Config{Version: "test", Log: Quiet()}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	return NewContract(w.Body.Bytes())
})

// contractURL is the name of the document inside the compiler of schemas.
const contractURL = "https://ensemble.invalid/openapi.json"

// NewContract reads a document.
func NewContract(document []byte) (*Contract, error) {
	var known struct {
		Paths map[string]map[string]contractOperation
	}
	if err := json.Unmarshal(document, &known); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	c := &Contract{paths: known.Paths, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource(contractURL, parsed); err != nil {
		return nil, fmt.Errorf("read the schemas of the OpenAPI document: %w", err)
	}
	return c, nil
}

// Answer is one answer to one request.
type Answer struct {
	Method, Path string // as the client asked
	Status       int
	Header       http.Header
	Body         []byte // nil: not known as a whole
}

// Check says how an answer differs from what the document promises. What is about
// no documented path is nobody's promise.
func (c *Contract) Check(a *Answer) error {
	path, operation, found := c.find(a.Method, a.Path)
	if !found || a.Status == wire.StatusClientClosed { // of which nobody hears
		return nil
	}
	response, found := operation.Responses[strconv.Itoa(a.Status)]
	if !found {
		return fmt.Errorf("%s %s answers %d, which is not documented: %.300s", a.Method, path, a.Status, a.Body)
	}
	for name := range a.Header {
		if !everywhere(name) && !documented(response.Headers, name) {
			return fmt.Errorf("%s %s answers %d with the header %s, which is not documented", a.Method, path, a.Status, name)
		}
	}
	if len(a.Body) == 0 || a.Method == http.MethodHead {
		return nil
	}
	media, _, err := mime.ParseMediaType(a.Header.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("%s %s answers %d with Content-Type %q: %w", a.Method, path, a.Status, a.Header.Get("Content-Type"), err)
	}
	if _, found := response.Content[media]; !found {
		if _, found := response.Content["*/*"]; found {
			return nil
		}
		return fmt.Errorf("%s %s answers %d as %s, which is not documented", a.Method, path, a.Status, media)
	}
	if media != "application/json" && !strings.HasSuffix(media, "+json") {
		return nil
	}
	return c.body(path, a, media)
}

// body holds a JSON body against its schema.
func (c *Contract) body(path string, a *Answer, media string) error {
	schema, err := c.schema("paths", path, strings.ToLower(method(a.Method)), "responses", strconv.Itoa(a.Status), "content", media, "schema")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.Body))
	if err != nil {
		return fmt.Errorf("%s %s answers no JSON: %w: %.300s", a.Method, path, err, a.Body)
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%s %s answers a body that is not as documented: %w\n%.600s", a.Method, path, err, a.Body)
	}
	return nil
}

// schema returns the schema at a place in the document.
func (c *Contract) schema(place ...string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D") // RFC 6901, in a URL
	var b strings.Builder
	b.WriteString(contractURL + "#")
	for _, part := range place {
		b.WriteString("/" + escape.Replace(part))
	}
	pointer := b.String()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.schemas[pointer]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(pointer)
	if err != nil {
		return nil, fmt.Errorf("compile the schema at %s: %w", pointer, err)
	}
	c.schemas[pointer] = s
	return s, nil
}

// find returns the documented operation for a request.
func (c *Contract) find(asked, target string) (path string, o contractOperation, found bool) {
	target, _, _ = strings.Cut(target, "?")
	if len(target) > 1 {
		target = strings.TrimSuffix(target, "/")
	}
	have := strings.Split(target, "/")
	if asked != strings.ToUpper(asked) { // methods are told apart by case
		return "", contractOperation{}, false
	}
	for path, operations := range c.paths {
		o, found := operations[strings.ToLower(method(asked))]
		if found && fits(strings.Split(path, "/"), have) {
			return path, o, true
		}
	}
	return "", contractOperation{}, false
}

// fits says whether the segments of a path are those of a pattern.
func fits(pattern, path []string) bool {
	if len(pattern) != len(path) {
		return false
	}
	for i := range pattern {
		if pattern[i] != path[i] && (!strings.HasPrefix(pattern[i], "{") || path[i] == "") {
			return false
		}
	}
	return true
}

// method returns the method under which a request is documented.
func method(asked string) string {
	if asked == http.MethodHead {
		return http.MethodGet
	}
	return asked
}

// everywhere says whether a header needs no mention: every answer of HTTP may
// carry it.
func everywhere(name string) bool {
	switch name {
	case "Content-Type", "Content-Length", "Content-Encoding", "Date", "Connection", "Vary", "Cache-Control", "Last-Modified",
		"Accept-Ranges", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy":
		return true
	}
	return false
}

// documented looks for a header, whose name may be written in any case.
func documented(headers map[string]any, name string) bool {
	for known := range headers {
		if strings.EqualFold(known, name) {
			return true
		}
	}
	return false
}

// watched is a handler whose answers are held against the document.
type watched struct {
	t        TB
	contract *Contract
	next     http.Handler
}

// watch returns a handler whose answers are held against the document.
func watch(t TB, next http.Handler) http.Handler {
	if _, fuzzing := t.(interface{ Fuzz(target any) }); fuzzing {
		return next // what is found while fuzzing can't be told to the *testing.F
	}
	c, err := contract()
	fatal(t, err)
	return &watched{t: t, contract: c, next: next}
}

// ServeHTTP implements [http.Handler].
func (h *watched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := Answer{Method: r.Method, Path: r.URL.EscapedPath()}
	seen := &recorder{ResponseWriter: w}
	h.next.ServeHTTP(seen, r)
	asked.Status, asked.Header = seen.status, w.Header().Clone()
	if asked.Status == 0 {
		asked.Status = http.StatusOK
	}
	if !seen.cut {
		asked.Body = seen.body
	}
	if err := h.contract.Check(&asked); err != nil {
		h.t.Errorf("the OpenAPI document: %v", err)
	}
}

// recorder remembers an answer, unless it is very long.
type recorder struct {
	http.ResponseWriter

	status int
	body   []byte
	cut    bool
}

// maxRecorded is how much of a body is held against its schema.
const maxRecorded = 256 << 10

// WriteHeader implements [http.ResponseWriter].
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (w *recorder) Write(b []byte) (int, error) {
	if w.cut = w.cut || len(w.body)+len(b) > maxRecorded; !w.cut {
		w.body = append(w.body, b...)
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets [http.ResponseController] reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
