package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"ensemble/discovery/eureka"
	"ensemble/internal/telemetry"
)

// announceIn returns what keeps those of the listeners that are services registered in
// the registry of this process.
func (p *process) announceIn(registry *eureka.Server) func(context.Context) error {
	return func(ctx context.Context) error {
		if p.listening.address("discovery") == "" {
			return nil
		}
		client, err := eureka.NewClient(eureka.ClientConfig{
			URLs: []string{"http://" + p.listening.address("discovery") + "/eureka"}, Transport: registry.Local(), Log: p.logger,
		})
		if err != nil {
			return fmt.Errorf("announce the services: %w", err)
		}
		var all sync.WaitGroup
		defer all.Wait()
		for _, l := range p.listening {
			health := p.healths[l.name+"-service"]
			addr, err := netip.ParseAddrPort(l.Addr().String())
			if health == nil || err != nil || l.name == "discovery" {
				continue
			}
			all.Go(func() {
				client.Announce(ctx, eureka.Registration{
					App: strings.ToUpper(l.name) + "-SERVICE", Addr: reachable(addr), Status: statusOf(ctx, health),
				})
			})
		}
		return nil
	}
}

// statusOf returns what a registry is told of a service: UP while it can do its work.
// Until then it is starting, afterwards something has broken; and who is stopping wants
// no more requests.
func statusOf(ctx context.Context, health *telemetry.Health) func() eureka.Status {
	wasUp := false
	return func() eureka.Status {
		switch err := health.Ready(ctx); {
		case err == nil:
			wasUp = true
			return eureka.Up
		case errors.Is(err, telemetry.ErrDraining):
			return eureka.OutOfService
		case wasUp:
			return eureka.Down
		}
		return eureka.Starting
	}
}

// reachable returns an address of this machine for one that stands for all of them: the
// first that others reach, if there is one.
func reachable(addr netip.AddrPort) netip.AddrPort {
	if !addr.Addr().IsUnspecified() {
		return addr
	}
	own, _ := net.InterfaceAddrs() // without them, this machine is all there is
	for _, a := range own {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().IsGlobalUnicast() {
			return netip.AddrPortFrom(p.Addr(), addr.Port())
		}
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), addr.Port())
}
