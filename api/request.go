package api

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"ensemble/wire"
)

// request is one request and its answer, with the buffers they need. It is
// reused, so nothing may keep it.
type request struct {
	*http.Request
	w         http.ResponseWriter
	route     *route
	pathParam string // value of the pattern's parameter
	path      string // as this service saw it, escaped
	prefix    string // what the gateway cut off
	id        string // X-Request-Id
	list      part   // what is wanted of a list, if the answer is one
	status    int    // of the answer; 0 while nothing is sent
	in        []byte // the body
	out       []byte // what is being answered
	values    []string
}

// keepBuffer is the size up to which buffers are reused.
const keepBuffer = 64 << 10

// begin takes a request over. Everything derived from it is looked at once, here.
func (r *request) begin(route *route, w http.ResponseWriter, h *http.Request) {
	r.Request, r.w, r.route, r.status = h, w, route, 0
	r.path = h.URL.EscapedPath()
	r.pathParam, _ = match(route.pattern, r.path)
	r.prefix = forwardedPrefix(h.Header)
	r.id = requestID(h.Header)
	r.in, r.out = r.in[:0], r.out[:0]
}

// set sets a header of the answer. The name has to be the canonical one, which spares
// every answer the detour of http.Header.Set.
func (r *request) set(name, value string) {
	// A header is a slice of values. All of them are parts of one array, or each
	// would be allocated. It stays with the answer, and is not reused with r.
	const usual = 6
	if len(r.values) == cap(r.values) {
		r.values = make([]string, 0, usual)
	}
	n := len(r.values)
	r.values = append(r.values, value)
	r.w.Header()[name] = r.values[n : n+1 : n+1]
}

// end lets go of the request, so that the pool keeps no connection alive, and of
// buffers that a single large answer has made large.
func (r *request) end() {
	in, out, filters := r.in, r.out, r.list.filters[:0]
	*r = request{list: part{filters: filters}}
	if cap(in) <= keepBuffer {
		r.in = in
	}
	if cap(out) <= keepBuffer {
		r.out = out
	}
}

// reply sends a whole body.
func (r *request) reply(status int, mediaType string, body []byte) error {
	r.set("Content-Type", mediaType)
	r.set("Content-Length", strconv.Itoa(len(body)))
	r.status = status
	r.w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	_, _ = r.w.Write(body) // if the client has gone, nobody is left to tell
	return nil
}

// replyEmpty sends an answer that has no body.
func (r *request) replyEmpty(status int) error {
	r.status = status
	r.w.WriteHeader(status)
	return nil
}

// pathID returns the id in the path.
func (r *request) pathID() (int64, error) {
	id, ok := wire.ParseID(r.pathParam)
	if !ok {
		return 0, failure{slug: wire.InvalidID}
	}
	return id, nil
}

// param returns the first value of a query parameter, and how often it is there.
func (r *request) param(name string) (value string, count int) {
	for rest := r.URL.RawQuery; rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		key, raw, _ := strings.Cut(pair, "=")
		// Read in place: url.Query would build a map for one or two values, and
		// drop pairs that it finds malformed.
		if unescape(key) != name || pair == "" {
			continue
		}
		if count++; count == 1 {
			value = unescape(raw)
		}
	}
	return value, count
}

// unescape decodes a part of a query; what can't be decoded stays as it is and
// so matches nothing.
func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}

// queryID returns a required query parameter as an id.
func (r *request) queryID(name string) (int64, error) {
	value, count := r.param(name)
	switch {
	case count == 0:
		return 0, failure{slug: wire.InvalidParameter, detail: "The query parameter " + name + " is missing. Add it once."}
	case count > 1:
		return 0, failure{slug: wire.InvalidParameter, detail: "The query parameter " + name + " is there more than once. Send it once."}
	}
	id, ok := wire.ParseID(value)
	if !ok {
		return 0, failure{slug: wire.InvalidID}
	}
	return id, nil
}

// pair returns the two people of a route like /users/{id}/…?friendId=N.
func (r *request) pair() (id, friendID int64, err error) {
	if id, err = r.pathID(); err != nil {
		return 0, 0, err
	}
	friendID, err = r.queryID("friendId")
	return id, friendID, err
}

// requestID returns the id that the request carries, or a new one. One that is
// not 1 to 128 visible ASCII characters is not taken over into logs.
func requestID(h http.Header) string {
	if v := h["X-Request-Id"]; len(v) == 1 && len(v[0]) <= 128 && isVisible(v[0]) {
		return v[0]
	}
	return rand.Text()
}

// isVisible says whether s is visible ASCII, and not empty.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// forwardedPrefix returns the prefix that a gateway has cut off, "" if there is
// none or if it is not a plain path.
func forwardedPrefix(h http.Header) string {
	v := h["X-Forwarded-Prefix"]
	if len(v) != 1 || len(v[0]) < 2 || len(v[0]) > 128 || v[0][0] != '/' || strings.Contains(v[0], "//") {
		return ""
	}
	for i := range len(v[0]) {
		if !isPathByte(v[0][i]) {
			return ""
		}
	}
	return strings.TrimSuffix(v[0], "/")
}

// isPathByte says whether a byte may stand in a prefix. Nothing that could end a
// header, begin another host or need escaping may.
func isPathByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/-_.~", c) >= 0
}
