package eureka

import (
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
}

// NewServer returns an empty registry. It needs no end.
func NewServer(c ServerConfig) *Server {
	if c.Instances == 0 {
		c.Instances = 10_000
	}
	if c.Preserve == "" {
		c.Preserve = PreserveLarge
	}
	return &Server{
		registry:   newRegistry(c.Instances, c.Preserve),
		advertised: discovery.Advertised{Ranges: c.Allowed, Local: localAddresses()},
		origins:    http.NewCrossOriginProtection(),
	}
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

// refusal is an answer that is no success.
type refusal struct {
	status int
	detail string
	allow  string // for 405
}

// Error implements error.
func (r *refusal) Error() string { return r.detail }

// refused returns a refusal.
func refused(status int, format string, values ...any) error {
	return &refusal{status: status, detail: fmt.Sprintf(format, values...)}
}

// call is a request whose path was understood.
type call struct {
	*http.Request

	path []string // behind the prefix
}

// answer is what a route says: a status, and a document or nothing.
type answer struct {
	status int
	body   any
}

// route is what is done for a method.
type route map[string]func(*Server, *call) (answer, error)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if s.dashboard(w, r) {
		return
	}
	a, err := s.serve(r)
	if err == nil {
		err = s.write(w, r, a)
	}
	if err == nil {
		return
	}
	status := http.StatusInternalServerError
	var no *refusal
	if errors.As(err, &no) {
		status = no.status
		if no.allow != "" {
			header.Set("Allow", no.allow)
		}
	}
	header.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, err.Error()+"\n") // if the client has gone, nobody is left to tell
}

// serve finds the route of a request and does what it says.
func (s *Server) serve(r *http.Request) (answer, error) {
	if err := s.origins.Check(r); err != nil {
		return answer{}, refused(http.StatusForbidden, "pages of other sites may not change the registry")
	}
	c := &call{Request: r}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), "/eureka/")
	if !ok {
		return answer{}, refused(http.StatusNotFound, "there is /eureka/apps, and a page at /")
	}
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(rest, "v2/"), "/"), "/") {
		part, err := url.PathUnescape(part)
		if err != nil {
			return answer{}, refused(http.StatusBadRequest, "the path has a broken escape")
		}
		c.path = append(c.path, part)
	}
	methods := find(c.path)
	if methods == nil {
		return answer{}, refused(http.StatusNotFound, "no such path")
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	do := methods[method]
	if do == nil {
		allowed := make([]string, 0, len(methods))
		for _, m := range []string{http.MethodDelete, http.MethodGet, http.MethodPost, http.MethodPut} {
			if methods[m] != nil {
				allowed = append(allowed, m)
			}
		}
		return answer{}, &refusal{http.StatusMethodNotAllowed, "this path does not take " + method, strings.Join(allowed, ", ")}
	}
	return do(s, c)
}

// find returns the route of a path; nil if there is none.
func find(path []string) route {
	switch {
	case path[0] == "apps" && len(path) == 1:
		return route{http.MethodGet: (*Server).everybody}
	case path[0] == "apps" && len(path) == 2 && path[1] == "delta":
		return route{http.MethodGet: (*Server).changed}
	case path[0] == "apps" && len(path) == 2:
		return route{http.MethodGet: (*Server).application, http.MethodPost: (*Server).register}
	case path[0] == "apps" && len(path) == 3:
		return route{http.MethodGet: (*Server).instance, http.MethodPut: (*Server).renew, http.MethodDelete: (*Server).cancel}
	case path[0] == "apps" && len(path) == 4 && path[3] == "status":
		return route{http.MethodPut: (*Server).order, http.MethodDelete: (*Server).takeBack}
	case path[0] == "apps" && len(path) == 4 && path[3] == "metadata":
		return route{http.MethodPut: (*Server).describe}
	case path[0] == "instances" && len(path) == 2:
		return route{http.MethodGet: (*Server).byID}
	case path[0] == "vips" && len(path) == 2:
		return route{http.MethodGet: (*Server).byVIP}
	case path[0] == "svips" && len(path) == 2:
		return route{http.MethodGet: (*Server).bySVIP}
	}
	return nil
}

// write sends an answer in the form that the client reads.
func (s *Server) write(w http.ResponseWriter, r *http.Request, a answer) error {
	header := w.Header()
	if a.body == nil {
		w.WriteHeader(a.status)
		return nil
	}
	header.Set("Vary", "Accept, Accept-Encoding")
	asJSON := strings.Contains(r.Header.Get("Accept"), "json")
	body, err := encode(a.body, asJSON)
	if err != nil {
		return err
	}
	header.Set("Content-Type", "application/xml")
	if asJSON {
		header.Set("Content-Type", "application/json")
	}
	if !acceptsGzip(r.Header.Get("Accept-Encoding")) {
		header.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(a.status)
		_, _ = w.Write(body) // if the client has gone, nobody is left to tell
		return nil
	}
	header.Set("Content-Encoding", "gzip")
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return nil
	}
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed) // the level exists
	_, _ = z.Write(body)                           // as above
	_ = z.Close()
	return nil
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
		return nil, refused(http.StatusUnsupportedMediaType, "send application/json or application/xml, uncompressed")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil {
		return nil, refused(http.StatusBadRequest, "the body could not be read")
	}
	if len(body) > mostBody {
		return nil, refused(http.StatusRequestEntityTooLarge, "a registration has at most %d bytes", mostBody)
	}
	in, err := decodeInstance(body, asJSON)
	if err != nil {
		return nil, refused(http.StatusBadRequest, "not a registration: %s", err.Error())
	}
	return in, nil
}
