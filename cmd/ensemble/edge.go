package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"ensemble/api"
	"ensemble/edge"
	"ensemble/wire"
)

// edgeFlags is the configuration of 'edge'.
type edgeFlags struct {
	Addr              string        `default:"127.0.0.1:9000" placeholder:"HOST:PORT" help:"Where the gateway listens; port 0 is any free one (${default})." json:"addr"`
	AdminAddr         string        `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens, or 'off' (${default})." json:"admin-addr"`
	UserURL           []string      `name:"user-url" default:"http://127.0.0.1:8120" placeholder:"URL,…" help:"The instances of the service of people (${default})." json:"user-url"`
	FriendURL         []string      `name:"friend-url" default:"http://127.0.0.1:8100" placeholder:"URL,…" help:"The instances of the service of friendships (${default})." json:"friend-url"`
	RecommendationURL []string      `name:"recommendation-url" default:"http://127.0.0.1:8110" placeholder:"URL,…" help:"The instances of the service of recommendations (${default})." json:"recommendation-url"`
	BackendTimeout    time.Duration `default:"60s" help:"How long an instance may take until its answer begins; readers may wait 30s for a position (${default})." json:"backend-timeout"`

	servingFlags
}

// edgeCmd runs the gateway by itself.
type edgeCmd struct {
	edgeFlags
}

// Help implements kong's HelpProvider.
func (edgeCmd) Help() string {
	return `The gateway: one port in front of the services, at fixed addresses. Of several
instances of a service a request goes to the one of two, drawn at random, that has fewer
under way.

	ensemble edge --recommendation-url http://127.0.0.1:8110,http://127.0.0.1:8111

SERVER_PORT and the other variables of the Spring system work too.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *edgeCmd) Run(ctx context.Context, cli *cli, con *console) error {
	return single{
		name: "edge", serving: &c.servingFlags, settings: c.edgeFlags,
		parts: []part{{"edge", "addr", c.Addr}, {"admin", "admin-addr", c.AdminAddr}},
		tries: func(address string) []string { return tries(address, false) },
	}.run(ctx, cli, con, c.open)
}

// backend is a service behind the gateway.
type backend struct {
	service string // its name
	flag    string
	urls    []string
	proxy   *edge.Proxy
}

// open puts the gateway in front of the services.
func (c *edgeCmd) open(_ context.Context, p *process) (w work, closeAll func() error, err error) {
	r := new(resources)
	if c.BackendTimeout < time.Second {
		return w, r.close, fmt.Errorf("--backend-timeout %s is too short for any answer: give 1s or more", c.BackendTimeout)
	}
	config := p.config("edge-service")
	front := edge.Config{
		Health: config.Health, Metrics: config.Metrics, Docs: api.NewDocs(config), Version: config.Version, Log: config.Log, //nolint:contextcheck // a request has its own
	}
	backends := []backend{
		{"user", "user-url", c.UserURL, nil},
		{"friend", "friend-url", c.FriendURL, nil},
		{"recommendation", "recommendation-url", c.RecommendationURL, nil},
	}
	for i := range backends {
		b := &backends[i]
		if b.proxy, err = edge.NewProxy(edge.ProxyConfig{Instances: b.urls, Answer: c.BackendTimeout, Log: p.logger}); err != nil {
			return w, r.close, fmt.Errorf("--%s: %w", b.flag, err)
		}
		r.add(func() error { b.proxy.Close(); return nil })
		front.Services = append(front.Services, edge.Service{Prefix: "/" + b.service, Handler: b.proxy, Ready: b.proxy.Ready})
	}
	p.handlers["edge"] = edge.New(front)
	admin := p.office(api.AdminConfig{
		Projections: func() []api.Projected { return []api.Projected{} },
		Instances:   func(ctx context.Context) []wire.Instance { return instancesOf(ctx, p, backends) },
		Breakers:    func() []wire.Breaker { return []wire.Breaker{} },
	})
	r.add(func() error { admin.Close(); return nil })
	return work{}, r.close, nil
}

// instancesOf lists the gateway and the instances behind it.
func instancesOf(ctx context.Context, p *process, backends []backend) []wire.Instance {
	list := p.itself("edge-service", "edge")(ctx)
	for _, b := range backends {
		for _, i := range b.proxy.Instances(ctx) {
			list = append(list, wire.Instance{Service: b.service + "-service", Address: i.Address, Status: statusWord(i.Up)})
		}
	}
	return list
}

// checkURL says whether a flag is the address of a service.
func checkURL(flag, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || strings.Contains(u.Host, ",") {
		return fmt.Errorf("--%s %s is not the address of a service: write it like http://127.0.0.1:8120", flag, masked(text))
	}
	return nil
}
