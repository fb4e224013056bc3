package discovery

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Static knows the instances that were configured.
type Static struct {
	since    time.Time
	services map[string][]Instance
}

// NewStatic returns a resolver of addresses that do not change. An address is
// HOST:PORT, or a URL of only scheme, host and port. Errors name the address that is
// neither.
func NewStatic(services map[string][]string) (*Static, error) {
	s := &Static{since: time.Now(), services: make(map[string][]Instance, len(services))}
	for service, addresses := range services {
		for _, text := range addresses {
			instance, err := parseAddress(text)
			if err != nil {
				return nil, fmt.Errorf("service %s: %w", service, err)
			}
			s.services[service] = append(s.services[service], instance)
		}
	}
	return s, nil
}

// Resolve implements Resolver.
func (s *Static) Resolve(ctx context.Context, service string) (List, error) {
	if err := ctx.Err(); err != nil {
		return List{}, err
	}
	return NewList(s.services[service], s.since, nil), nil
}

// parseAddress reads HOST:PORT, http://HOST:PORT or https://HOST:PORT. The error does
// not repeat what could be a password.
func parseAddress(text string) (Instance, error) {
	bare, secure := strings.CutPrefix(text, "https://")
	bare = strings.TrimSuffix(strings.TrimPrefix(bare, "http://"), "/")
	host, port, err := net.SplitHostPort(bare)
	number, numberErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numberErr != nil || number == 0 || host == "" || strings.ContainsAny(host, "/@?#") {
		return Instance{}, fmt.Errorf("an address is HOST:PORT, like 127.0.0.1:8120; %q is none", afterUserinfo(text))
	}
	addr := net.JoinHostPort(plainHost(host), strconv.FormatUint(number, 10))
	return Instance{ID: addr, Addr: addr, Secure: secure}, nil
}

// plainHost writes a host in one way, so that one that is named in two ways is noticed.
func plainHost(host string) string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().String()
	}
	return strings.ToLower(host)
}

// afterUserinfo leaves out what stands before an @.
func afterUserinfo(text string) string { return text[strings.LastIndexByte(text, '@')+1:] }
