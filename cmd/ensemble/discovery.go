package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"ensemble/api"
	"ensemble/discovery/eureka"
)

// discoveryFlags is the configuration of 'discovery'.
type discoveryFlags struct {
	Addr string `default:"127.0.0.1:8761" placeholder:"HOST:PORT" help:"Where the registry listens; port 0 is any free one (${default})." json:"addr"`

	AllowAddress     []string `placeholder:"CIDR,…" help:"Ranges of addresses that every instance may register, beside the one it connects from: 10.0.0.0/8." json:"allow-address,omitempty"`
	SelfPreservation string   `enum:"large,always,never" default:"large" help:"When more than 15 % of the instances are silent, let go of nobody: ${enum}. large is from 10 instances up and for an hour at most, always is Netflix's rule (${default})." json:"self-preservation"`
	MaxInstances     int      `default:"10000" placeholder:"N" help:"Instances that can be registered at a time; those beyond are answered 429 (${default})." json:"max-instances"`

	servingFlags
}

// discoveryCmd runs the registry by itself.
type discoveryCmd struct {
	discoveryFlags
}

// Help implements kong's HelpProvider.
func (discoveryCmd) Help() string {
	return `The registry: services say that they are there, and clients read where they are. It
speaks the REST protocol of Eureka at /eureka and /eureka/v2; the page at / shows who is
registered. An instance that is silent for 90 s is gone. It keeps nothing on a disk: after
a restart everybody is back within a heartbeat.

	ensemble discovery
	EUREKA_CLIENT_SERVICEURL_DEFAULTZONE=http://127.0.0.1:8761/eureka

An instance can register the address that it connects from; behind a proxy or another
network, name the ranges with --allow-address.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *discoveryCmd) Run(ctx context.Context, cli *cli, con *console) error {
	return single{
		name: "discovery", serving: &c.servingFlags, settings: c.discoveryFlags,
		parts: []part{{"discovery", "addr", c.Addr}},
		tries: func(address string) []string {
			return []string{"curl -H 'Accept: application/json' " + address + "/eureka/apps"}
		},
	}.run(ctx, cli, con, c.open)
}

// open puts the registry behind its port.
func (c *discoveryCmd) open(_ context.Context, p *process) (w work, closeAll func() error, err error) {
	closeAll = func() error { return nil }
	config := eureka.ServerConfig{Preserve: eureka.Preserve(c.SelfPreservation), Instances: c.MaxInstances}
	if c.MaxInstances < 1 {
		return w, closeAll, fmt.Errorf("--max-instances %d lets nobody in: give 1 or more", c.MaxInstances)
	}
	for _, text := range c.AllowAddress {
		r, err := netip.ParsePrefix(text)
		if err != nil {
			return w, closeAll, fmt.Errorf("--allow-address %q is no range: write it like 10.0.0.0/8", text)
		}
		config.Allowed = append(config.Allowed, r)
	}
	p.handlers["discovery"] = registryOf(eureka.NewServer(config), api.NewHealth(p.config("discovery-service")))
	return work{}, closeAll, nil
}

// registryOf puts the registry and its page beside the health of its process.
func registryOf(registry, health http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if path == "/" || strings.HasPrefix(path, "/eureka/") || strings.HasPrefix(path, "/dashboard/") {
			registry.ServeHTTP(w, r)
			return
		}
		health.ServeHTTP(w, r)
	})
}
