package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"ensemble/internal/guard"
)

// upFlags is the configuration of 'up'.
type upFlags struct {
	Data string `default:"./ensemble-data" type:"path" help:"Folder for the logs and the keys; made if it is missing." json:"data"`
	Demo bool   `help:"On the first start, load a real network: 4,039 people with made-up names and 88,234 friendships." json:"demo"`

	EdgeAddr           string `default:"127.0.0.1:9000" placeholder:"HOST:PORT" help:"Where the gateway listens; port 0 is any free one (${default})." json:"edge-addr"`
	UserAddr           string `default:"127.0.0.1:8120" placeholder:"HOST:PORT" help:"Where the service of users listens, or 'off' (${default})." json:"user-addr"`
	FriendAddr         string `default:"127.0.0.1:8100" placeholder:"HOST:PORT" help:"Where the service of friendships listens, or 'off' (${default})." json:"friend-addr"`
	RecommendationAddr string `default:"127.0.0.1:8110" placeholder:"HOST:PORT" help:"Where the service of recommendations listens, or 'off' (${default})." json:"recommendation-addr"`
	DiscoveryAddr      string `default:"off" placeholder:"HOST:PORT" help:"Where the health of the registry answers; the registry itself comes in a later version (${default})." json:"discovery-addr"`
	AdminAddr          string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the administration listens: lag, rebuilds, profiles, metrics; or 'off' (${default})." json:"admin-addr"`

	MaxConnections int           `default:"4096" placeholder:"N" help:"Connections that each port keeps open at a time; those beyond are answered 503 (${default})." json:"max-connections"`
	RequestTimeout time.Duration `default:"30s" help:"What a client may take to send a whole request (${default})." json:"request-timeout"`
	IdleTimeout    time.Duration `default:"2m" help:"How long a connection stays open between two requests (${default})." json:"idle-timeout"`

	SnapshotEvery time.Duration `default:"5m" help:"How often the graph is saved, if enough has happened, so that a start need not read the logs; 0: only when it stops (${default})." json:"snapshot-every"`

	Environment           string `default:"development" help:"The label 'environment' of metrics with Spring's names (${default})." json:"environment"`
	PrometheusURL         string `name:"prometheus-url" placeholder:"URL" help:"A Prometheus Pushgateway, for networks in which Prometheus can't come here." json:"prometheus-url,omitempty"`
	PrometheusPushEnabled bool   `help:"Push the metrics to --prometheus-url each minute." json:"prometheus-push-enabled"`

	InsecureNoAuth bool   `help:"Listen on other than loopback addresses although there is no sign-in: whoever reaches them may do everything." json:"insecure-no-auth"`
	ReadyFile      string `placeholder:"FILE" type:"path" help:"Once everything serves, write the addresses to this file as JSON." json:"ready-file,omitempty"`
}

// upCmd runs everything in one process.
type upCmd struct {
	upFlags
}

// Help implements kong's HelpProvider.
func (upCmd) Help() string {
	return `Starts the gateway, the services of users, friendships and recommendations, and
the two logs they stand on, in one process. Needs nothing else: no database, no
broker. Everything it keeps is in the data folder; it survives kill -9.

	ensemble up --demo
	curl 'http://127.0.0.1:9000/recommendation/v1/users/1/commands/recommendFriends?limit=5'

Stop it with Ctrl-C or SIGTERM: requests under way are answered first.`
}

// Run serves until the context ends, or something fails that has to be seen.
func (c *upCmd) Run(ctx context.Context, cli *cli, con *console) (err error) {
	logger, err := cli.logger(con)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	listeners, err := c.listen(ctx)
	if err != nil {
		return err
	}
	system, err := openSystem(ctx, c.Data, logger)
	if err != nil {
		listeners.close()
		return err
	}
	defer func() { err = errors.Join(err, system.close()) }()
	system.settings = c.upFlags
	system.limits = c.limits()
	system.snapshotEvery = c.SnapshotEvery
	system.metrics.SetEnvironment(c.Environment)
	if c.PrometheusPushEnabled {
		system.pushTo = c.PrometheusURL
	}
	if c.InsecureNoAuth {
		logger.Warn("listening without sign-in: whoever reaches these addresses may read and change everything")
	}
	return system.run(ctx, listeners, func(ctx context.Context) error {
		return c.announce(ctx, system, listeners, con, logger)
	})
}

// check says what no flag may be, and which one mends it.
func (f *upFlags) check() error {
	switch {
	case f.MaxConnections < 1:
		return fmt.Errorf("--max-connections %d lets nobody in: give 1 or more", f.MaxConnections)
	case f.RequestTimeout < time.Second:
		return fmt.Errorf("--request-timeout %s is too short for any client: give 1s or more", f.RequestTimeout)
	case f.IdleTimeout < time.Second:
		return fmt.Errorf("--idle-timeout %s would close connections under requests: give 1s or more", f.IdleTimeout)
	case f.SnapshotEvery < 0 || f.SnapshotEvery > 0 && f.SnapshotEvery < time.Millisecond:
		return fmt.Errorf("--snapshot-every %s is no pause: give 1ms or more, or 0 to save the graph only when it stops", f.SnapshotEvery)
	case f.PrometheusPushEnabled && f.PrometheusURL == "":
		return errors.New("--prometheus-push-enabled needs to know where to: give --prometheus-url, or leave it out")
	}
	return nil
}

// limits returns what one client may ask of each port.
func (f *upFlags) limits() guard.Limits {
	l := guard.DefaultLimits()
	l.Connections, l.ReadTime, l.IdleTime = f.MaxConnections, f.RequestTimeout, f.IdleTimeout
	return l
}

// announce tells people and programs where everything is, once it serves.
func (c *upCmd) announce(ctx context.Context, s *system, l listeners, con *console, logger *slog.Logger) error {
	if c.Demo {
		if err := s.loadDemo(ctx, c.Data, con); err != nil {
			return err
		}
	}
	if err := l.print(con.out, c.Demo); err != nil {
		return err
	}
	logger.Info("ready", "data", c.Data, "edge", l.address("edge"))
	if c.ReadyFile == "" {
		return nil
	}
	return l.write(c.ReadyFile)
}

// listener is an open port and what is served there.
type listener struct {
	name string
	net.Listener
}

// listeners are the open ports, the gateway first.
type listeners []listener

// listen opens all ports, so that a port in use is known before anything else
// happens.
func (c *upCmd) listen(ctx context.Context) (open listeners, err error) {
	for _, p := range c.parts() {
		if p.addr == "off" {
			continue
		}
		l, err := listen(ctx, p.name, p.addr, c.InsecureNoAuth)
		if err != nil {
			open.close()
			return nil, err
		}
		open = append(open, listener{p.name, l})
	}
	return open, nil
}

// listen opens one port, or says why not and which flag mends it.
func listen(ctx context.Context, name, addr string, insecure bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--%s-addr %q is not HOST:PORT: %w", name, addr, err)
	}
	if !insecure && !loopback(host) {
		return nil, fmt.Errorf("--%s-addr %s can be reached from other machines, and there is no sign-in: "+
			"use 127.0.0.1, or add --insecure-no-auth if a firewall or a proxy guards it", name, addr)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w; stop what uses the port, or choose another with --%s-addr (port 0: any)",
			name, err, name)
	}
	return &closedOnce{Listener: l}, nil
}

// closedOnce is a listener that may be closed again: stopping closes it before its
// server does, which would report that as an error.
type closedOnce struct {
	net.Listener

	once sync.Once
	err  error
}

// Close implements net.Listener.
func (l *closedOnce) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// loopback says whether only this machine reaches a host. A name other than
// localhost may mean anything tomorrow.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// close gives the ports back.
func (l listeners) close() {
	for _, one := range l {
		_ = one.Close() // a port that can't be given back goes with the process
	}
}

// address returns where a part is served; "" if it is off.
func (l listeners) address(name string) string {
	for _, one := range l {
		if one.name == name {
			return one.Addr().String()
		}
	}
	return ""
}

// write writes the addresses as a JSON object, as a whole or not at all.
func (l listeners) write(path string) error {
	addresses := make(map[string]string, len(l))
	for _, one := range l {
		addresses[one.name] = one.Addr().String()
	}
	data, err := json.Marshal(addresses)
	if err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temp, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("write the ready file: %w", err)
	}
	return nil
}
