package eureka

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// everybody is GET /apps.
func (s *Server) everybody(*call) (answer, error) {
	return answer{http.StatusOK, s.registry.all(func(*Instance) bool { return true })}, nil
}

// changed is GET /apps/delta.
func (s *Server) changed(*call) (answer, error) {
	return answer{http.StatusOK, s.registry.delta()}, nil
}

// application is GET /apps/{APP}.
func (s *Server) application(c *call) (answer, error) {
	app := strings.ToUpper(c.path[1])
	found := s.registry.all(func(in *Instance) bool { return in.App == app })
	if len(found.Apps) == 0 {
		return answer{}, refused(http.StatusNotFound, "no such application is registered")
	}
	return answer{http.StatusOK, &found.Apps[0]}, nil
}

// instance is GET /apps/{APP}/{id}.
func (s *Server) instance(c *call) (answer, error) {
	return s.one(func(in *Instance) bool { return in.ID == c.path[2] && in.App == strings.ToUpper(c.path[1]) })
}

// byID is GET /instances/{id}.
func (s *Server) byID(c *call) (answer, error) {
	return s.one(func(in *Instance) bool { return in.ID == c.path[1] })
}

// one answers with the first instance that a filter takes.
func (s *Server) one(filter func(*Instance) bool) (answer, error) {
	found := s.registry.all(filter)
	if len(found.Apps) == 0 {
		return answer{}, refused(http.StatusNotFound, "no such instance is registered")
	}
	return answer{http.StatusOK, &found.Apps[0].Instances[0]}, nil
}

// byVIP is GET /vips/{name}.
func (s *Server) byVIP(c *call) (answer, error) {
	return s.some(func(in *Instance) bool { return hasName(in.VIP, c.path[1]) })
}

// bySVIP is GET /svips/{name}.
func (s *Server) bySVIP(c *call) (answer, error) {
	return s.some(func(in *Instance) bool { return hasName(in.SVIP, c.path[1]) })
}

// some answers with those whom a filter takes; the hash is theirs, not that of all.
func (s *Server) some(filter func(*Instance) bool) (answer, error) {
	found := s.registry.all(filter)
	status := map[Status]int{}
	for _, a := range found.Apps {
		for _, in := range a.Instances {
			status[in.Status]++
		}
	}
	found.Hash = hashOf(status)
	return answer{http.StatusOK, found}, nil
}

// register is POST /apps/{APP}.
func (s *Server) register(c *call) (answer, error) {
	in, err := readInstance(c.Request)
	if err != nil {
		return answer{}, err
	}
	in.complete()
	if err := in.check(strings.ToUpper(c.path[1]), peerOf(c.RemoteAddr), s.advertised); err != nil {
		return answer{}, refused(http.StatusBadRequest, "%s", err.Error())
	}
	return said(http.StatusNoContent, s.registry.register(in))
}

// renew is PUT /apps/{APP}/{id}.
func (s *Server) renew(c *call) (answer, error) {
	dirty, err := c.dirty()
	if err != nil {
		return answer{}, err
	}
	return said(http.StatusOK, s.registry.renew(strings.ToUpper(c.path[1]), c.path[2], dirty))
}

// cancel is DELETE /apps/{APP}/{id}.
func (s *Server) cancel(c *call) (answer, error) {
	return said(http.StatusOK, s.registry.cancel(strings.ToUpper(c.path[1]), c.path[2]))
}

// order is PUT /apps/{APP}/{id}/status?value=: an operator's word.
func (s *Server) order(c *call) (answer, error) {
	status := Status(strings.ToUpper(c.URL.Query().Get("value")))
	return s.override(c, status, status)
}

// takeBack is DELETE /apps/{APP}/{id}/status?value=: value is the status until the
// instance speaks for itself again. Without one it is UNKNOWN, so the next heartbeat is
// answered 404, and the instance registers.
func (s *Server) takeBack(c *call) (answer, error) {
	return s.override(c, Unknown, Status(strings.ToUpper(firstOf(c.URL.Query().Get("value"), string(Unknown)))))
}

// override gives or takes back an order.
func (s *Server) override(c *call, order, status Status) (answer, error) {
	if !status.known() {
		return answer{}, refused(http.StatusBadRequest, "value is %q; there are UP, DOWN, STARTING, OUT_OF_SERVICE, UNKNOWN", shown(string(status)))
	}
	dirty, err := c.dirty()
	if err != nil {
		return answer{}, err
	}
	return said(http.StatusOK, s.registry.override(strings.ToUpper(c.path[1]), c.path[2], order, status, dirty))
}

// describe is PUT /apps/{APP}/{id}/metadata?key=value&….
func (s *Server) describe(c *call) (answer, error) {
	entries := Metadata{}
	for k, v := range c.URL.Query() {
		entries[k] = v[0]
	}
	return said(http.StatusOK, s.registry.describe(strings.ToUpper(c.path[1]), c.path[2], entries))
}

// dirty reads since when the instance is as it is; 0 if the request does not say.
func (c *call) dirty() (millis, error) {
	text := c.URL.Query().Get("lastDirtyTimestamp")
	if text == "" || text == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, refused(http.StatusBadRequest, "lastDirtyTimestamp is %q, not milliseconds", shown(text))
	}
	return millis(n), nil
}

// said turns what the registry said into an answer.
func said(status int, err error) (answer, error) {
	switch {
	case err == nil:
		return answer{status: status}, nil
	case errors.Is(err, errUnknown):
		return answer{}, refused(http.StatusNotFound, "%s", err.Error())
	case errors.Is(err, errFull):
		return answer{}, refused(http.StatusTooManyRequests, "%s", err.Error())
	}
	return answer{}, refused(http.StatusBadRequest, "%s", err.Error())
}

// peerOf reads where a request came from.
func peerOf(remote string) netip.Addr {
	p, _ := netip.ParseAddrPort(remote) // what can't be read is nobody's address
	return p.Addr().Unmap()
}
