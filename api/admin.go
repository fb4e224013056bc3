package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"ensemble/eventstore"
	"ensemble/projection"
	"ensemble/wire"
)

// AdminConfig is what the administration works with.
type AdminConfig struct {
	Config

	// Projections returns everything that is made from a log.
	Projections func() []Projected
	// Instances lists the running parts.
	Instances func(context.Context) []wire.Instance
	// Breakers lists what stands between the gateway and the services.
	Breakers func() []wire.Breaker
	// Settings returns the configuration, of which secrets are masked.
	Settings func() any
	// Rebuilds makes projections anew, by their names.
	Rebuilds map[string]Rebuild
	// DeadLetters are the foreign records that could not be read. Nil: there is no broker.
	DeadLetters *DeadLetters
}

// Projected is something that is made from a log.
type Projected struct {
	Name, Log string
	Store     *eventstore.Store
	Runner    *projection.Runner // nil: it is written in the commit
	// Afar is asked when there is no Store, because the log belongs to another service.
	Afar func(context.Context) (Distance, error)
	// Lag, if set, is asked instead of all these.
	Lag func(context.Context) (wire.Lag, error)
}

// Distance is how far a follower is from the end of a log.
type Distance struct {
	Position, Head eventstore.Position
	Missing        time.Time // when the first event that is missing was recorded; zero: none is, or nobody knows
}

// Admin is the administration: what an operator asks and orders. It is for a
// listener of its own that no client reaches. It guarantees that
//
//   - a web page can neither read nor order anything, also on the operator's
//     machine, and also when its name resolves to it,
//   - secrets of the configuration are not shown,
//   - one rebuild runs at a time, and has ended when Close returns.
type Admin struct {
	*Service
	c        AdminConfig
	rebuilds *rebuilds
	foreign  http.Handler
}

// NewAdmin returns the administration.
func NewAdmin(c AdminConfig) *Admin {
	a := &Admin{Service: newService(c.Config), c: c}
	a.rebuilds = newRebuilds(a.config.Log)
	a.with(append(a.routes(), profileRoutes()...))
	a.foreign = a.measured(&route{pattern: "/foreign", serve: func(*request) error {
		return failure{slug: wire.ForeignRequest}
	}})
	return a
}

// Close ends a rebuild that is running, and waits for it.
func (a *Admin) Close() { a.rebuilds.close() }

// routes is the table of the administration.
func (a *Admin) routes() []route {
	return []route{
		{http.MethodGet, "/admin/v1/lag", "lag", a.lag},
		{http.MethodGet, "/admin/v1/dead-letters", "listDeadLetters", a.deadLetters},
		{http.MethodPost, "/admin/v1/dead-letters/{id}/retry", "retryDeadLetter", a.retryDeadLetter},
		{http.MethodPost, "/admin/v1/dead-letters/{id}/discard", "discardDeadLetter", a.discardDeadLetter},
		{http.MethodGet, "/admin/v1/instances", "instances", a.instances},
		{http.MethodGet, "/admin/v1/breakers", "breakers", a.breakers},
		{http.MethodPost, "/admin/v1/projections/{name}/rebuild", "rebuild", a.rebuild},
		{http.MethodGet, "/admin/v1/projections/{name}/rebuild", "rebuildStatus", a.rebuildStatus},
		{http.MethodGet, "/admin/v1/config", "config", a.settings},
	}
}

// ServeHTTP implements http.Handler. Health and metrics say nothing that the other
// listeners do not, so probes and scrapers reach them by any name.
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	private := strings.HasPrefix(r.URL.Path, "/admin") || strings.HasPrefix(r.URL.Path, "/debug")
	if private && foreign(r) {
		a.foreign.ServeHTTP(w, r)
		return
	}
	a.Service.ServeHTTP(w, r)
}

// foreign says whether a request comes from a web page. A page of somebody else's
// has its own Origin or the browser says that it is another site; one that has its
// name point at this machine (DNS rebinding) sends that name as Host, and an
// address or localhost can't be made to point anywhere.
func foreign(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err != nil && !strings.EqualFold(host, "localhost") {
		return true
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return true
		}
	}
	for _, origin := range r.Header["Origin"] {
		if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}

// replyJSON answers with a value.
func (r *request) replyJSON(status int, v any) (err error) {
	if r.out, err = wire.AppendJSON(r.out, v); err != nil {
		return err
	}
	r.set("Cache-Control", "no-store")
	return r.reply(status, jsonType, r.out)
}

// lag answers how far everything is behind its log.
func (a *Admin) lag(r *request) error {
	projections := a.c.Projections()
	lags := make([]wire.Lag, len(projections))
	for i, p := range projections {
		var err error
		if lags[i], err = p.lag(r.Context(), time.Now()); err != nil {
			return err
		}
	}
	return r.replyJSON(http.StatusOK, lags)
}

// lag returns how far a projection is behind its log.
func (p *Projected) lag(ctx context.Context, now time.Time) (wire.Lag, error) {
	if p.Lag != nil {
		return p.Lag(ctx)
	}
	if p.Store == nil {
		return p.lagFromAfar(ctx, now)
	}
	l := wire.Lag{Projection: p.Name, Log: p.Log, Kind: "view"}
	at, head := p.Store.Position(), eventstore.Position(0)
	if p.Runner != nil {
		l.Kind, at = "follower", p.Runner.Position()
		head = p.Store.Position() // after the other: it may move in between
		if err := p.Runner.Err(); err != nil {
			l.Error = err.Error()
		}
	}
	head = max(at, head)
	l.Position, l.Head, l.Behind = int64(at), int64(head), int64(head-at)
	if l.Behind == 0 {
		return l, nil
	}
	missing, err := p.Store.ReadAll(ctx, at, 1)
	if err == nil && len(missing) == 1 {
		l.SecondsBehind = max(0, now.Sub(missing[0].Time).Round(time.Millisecond).Seconds())
	}
	return l, err
}

// lagFromAfar returns how far a follower is behind the log of another service. That the
// service is away is what an operator has to see, not a reason to show nothing.
func (p *Projected) lagFromAfar(ctx context.Context, now time.Time) (wire.Lag, error) {
	d, err := p.Afar(ctx)
	l := wire.Lag{Projection: p.Name, Log: p.Log, Kind: "follower", Position: int64(d.Position), Head: int64(max(d.Head, d.Position))}
	if err != nil {
		l.Error = err.Error()
		return l, ctx.Err()
	}
	l.Behind = l.Head - l.Position
	if l.Behind > 0 && !d.Missing.IsZero() {
		l.SecondsBehind = max(0, now.Sub(d.Missing).Round(time.Millisecond).Seconds())
	}
	return l, nil
}

// instances answers with the running parts.
func (a *Admin) instances(r *request) error {
	return r.replyJSON(http.StatusOK, a.c.Instances(r.Context()))
}

// breakers answers with what stands between the gateway and the services.
func (a *Admin) breakers(r *request) error { return r.replyJSON(http.StatusOK, a.c.Breakers()) }

// settings answers with the configuration.
func (a *Admin) settings(r *request) error {
	shown, err := Masked(a.c.Settings())
	if err != nil {
		return err
	}
	return r.replyJSON(http.StatusOK, shown)
}
