package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// listener is an open port and what is served there.
type listener struct {
	name string
	net.Listener
}

// listeners are the open ports, the gateway first.
type listeners []listener

// part is a listener that a command has: its name, the flag that moves it, and where to.
type part struct{ name, flag, addr string }

// listenAll opens all ports, so that a port in use is known before anything else
// happens.
func listenAll(ctx context.Context, parts []part, insecure bool) (open listeners, err error) {
	for _, p := range parts {
		if p.addr == "off" {
			continue
		}
		l, err := listen(ctx, p.flag, p.addr, insecure)
		if err != nil {
			open.close()
			return nil, err
		}
		open = append(open, listener{p.name, l})
	}
	return open, nil
}

// listen opens one port, or says why not and which flag mends it.
func listen(ctx context.Context, flag, addr string, insecure bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--%s %q is not HOST:PORT: %w", flag, addr, err)
	}
	if !insecure && !loopback(host) {
		return nil, fmt.Errorf("--%s %s can be reached from other machines, and there is no sign-in: "+
			"use 127.0.0.1, or add --insecure-no-auth if a firewall or a proxy guards it", flag, addr)
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w; stop what uses the port, or choose another with --%s (port 0: any)",
			addr, err, flag)
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

// write writes the addresses as a JSON object, as a whole or not at all. Without a path
// nobody wants them.
func (l listeners) write(path string) error {
	if path == "" {
		return nil
	}
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
