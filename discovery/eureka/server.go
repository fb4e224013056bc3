package eureka

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"ensemble/discovery"
)

// ServerConfig is what a registry works with.
type ServerConfig struct {
	// Allowed are the addresses that instances may name beside the one that they
	// connect from. Over the loopback interface the addresses of this machine are fine
	// too; loopback addresses only there, link-local ones never.
	Allowed []netip.Prefix
	// Preserve says when the registry takes silence for its own. Empty: PreserveLarge.
	Preserve Preserve
	// Instances is how many there may be: 10,000 if it is zero. Beyond, registering is
	// answered 429.
	Instances int
}

// Server is a registry that speaks the REST protocol of Eureka under /eureka and
// /eureka/v2, and shows itself to people at /.
type Server struct {
	registry   *registry
	advertised discovery.Advertised
	origins    *http.CrossOriginProtection
	routes     *http.ServeMux
}

// NewServer returns an empty registry. It needs no end.
func NewServer(c ServerConfig) *Server {
	if c.Instances == 0 {
		c.Instances = 10_000
	}
	if c.Preserve == "" {
		c.Preserve = PreserveLarge
	}
	s := &Server{
		registry:   newRegistry(c.Instances, c.Preserve),
		advertised: discovery.Advertised{Ranges: c.Allowed, Local: localAddresses()},
		origins:    http.NewCrossOriginProtection(),
		routes:     http.NewServeMux(),
	}
	s.addRoutes()
	return s
}

// localAddresses returns the addresses of this machine as they are now. Without them
// only the loopback ones are known to be its own.
func localAddresses() (list []netip.Addr) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p.Addr())
		}
	}
	return list
}

// refusal is why a request was not done. Any other error of a route is a 400.
type refusal struct {
	status int
	detail string
}

// Error implements error.
func (r *refusal) Error() string { return r.detail }

// ServeHTTP implements http.Handler. A slash at the end and the second prefix make no
// difference.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	to := *r.URL
	to.Path, to.RawPath = plainPath(to.Path), plainPath(to.RawPath)
	r = r.WithContext(r.Context())
	r.URL = &to
	s.routes.ServeHTTP(w, r)
}

// plainPath returns the path that means the same.
func plainPath(path string) string {
	if rest, ok := strings.CutPrefix(path, "/eureka/v2/"); ok {
		path = "/eureka/" + rest
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// route adds what is done for a method and a path. An answer without a document is 200
// without a body, or 204 to a registration.
func (s *Server) route(pattern string, do func(*http.Request) (any, error)) {
	s.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := s.origins.Check(r)
		if err != nil {
			err = &refusal{http.StatusForbidden, "pages of other sites may not change the registry"}
		} else if _, malformed := url.ParseQuery(r.URL.RawQuery); malformed != nil {
			err = errors.New("the query can't be read") // half of it would be another request
		}
		var body any
		if err == nil {
			body, err = do(r)
		}
		switch {
		case err != nil:
			status := http.StatusBadRequest
			if no, ok := errors.AsType[*refusal](err); ok {
				status = no.status
			}
			http.Error(w, err.Error(), status)
		case body != nil:
			s.write(w, r, body)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// write sends a document in the form that the client reads.
func (s *Server) write(w http.ResponseWriter, r *http.Request, document any) {
	asJSON := strings.Contains(r.Header.Get("Accept"), "json")
	body, err := encode(document, asJSON)
	if err != nil { // none of ours
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Vary", "Accept, Accept-Encoding")
	header.Set("Content-Type", "application/xml")
	if asJSON {
		header.Set("Content-Type", "application/json")
	}
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Encoding", "gzip")
		body = gzipped(body)
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // if the client has gone, nobody is left to tell
}

// gzipped compresses a body.
func gzipped(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level exists
	_, _ = z.Write(body)                            // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// acceptsGzip says whether a client asked for gzip.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			q, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !ok || err == nil && weight > 0
		}
	}
	return false
}

// readInstance reads the registration in a request.
func readInstance(r *http.Request) (*Instance, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON, asXML := strings.HasSuffix(kind, "json"), strings.HasSuffix(kind, "xml")
	if err != nil || !asJSON && !asXML || r.Header.Get("Content-Encoding") != "" {
		return nil, &refusal{http.StatusUnsupportedMediaType, "send application/json or application/xml, uncompressed"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil {
		return nil, errors.New("the body could not be read")
	}
	if len(body) > mostBody {
		return nil, &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("a registration has at most %d bytes", mostBody)}
	}
	in, err := decodeInstance(body, asJSON)
	if err != nil {
		return nil, fmt.Errorf("not a registration: %w", err)
	}
	return in, nil
}
