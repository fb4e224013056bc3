package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DNSConfig is what a resolver by DNS works with.
type DNSConfig struct {
	// Names says which name stands for a service. "HOST:PORT" asks for the addresses
	// of a host, such as a headless service of Kubernetes; a name that begins with an
	// underscore, "_http._tcp.user-service", asks for SRV records, which bring the
	// ports.
	Names map[string]string
	// Refresh is how often the servers are asked at most: 5 s if it is zero. The
	// resolver of the system does not tell how long a record holds.
	Refresh time.Duration
	// Timeout is how long the servers have to answer: 2 s if it is zero.
	Timeout time.Duration
	// Resolver asks the servers. Nil: the one of the system.
	Resolver *net.Resolver
}

// DNS asks name servers for instances.
type DNS struct {
	config DNSConfig
	lists  map[string]*Latest[[]Instance] // by service; read only
}

// NewDNS returns a resolver by DNS. Errors: a name is neither HOST:PORT nor that of an
// SRV record.
func NewDNS(c DNSConfig) (*DNS, error) {
	if c.Refresh == 0 {
		c.Refresh = 5 * time.Second
	}
	if c.Timeout == 0 {
		c.Timeout = 2 * time.Second
	}
	if c.Resolver == nil {
		c.Resolver = net.DefaultResolver
	}
	d := &DNS{config: c, lists: make(map[string]*Latest[[]Instance], len(c.Names))}
	for service, name := range c.Names {
		ask, err := d.question(name)
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", service, err)
		}
		d.lists[service] = NewLatest(c.Refresh, c.Timeout, ask)
	}
	return d, nil
}

// Resolve implements Resolver. A service without a name is an empty list.
func (d *DNS) Resolve(ctx context.Context, service string) (List, error) {
	list, ok := d.lists[service]
	if !ok {
		return List{}, ctx.Err()
	}
	a, err := list.Ask(ctx)
	if err != nil {
		return List{}, fmt.Errorf("service %s: %w", service, err)
	}
	return NewList(a.Value, a.Confirmed, a.Trouble), nil
}

// question returns what asks for the instances behind a name.
func (d *DNS) question(name string) (func(context.Context, []Instance) ([]Instance, error), error) {
	if strings.HasPrefix(name, "_") {
		return func(ctx context.Context, _ []Instance) ([]Instance, error) {
			return d.records(ctx, name)
		}, nil
	}
	host, text, err := net.SplitHostPort(name)
	port, portErr := strconv.ParseUint(text, 10, 16)
	if err != nil || portErr != nil || port == 0 || host == "" {
		return nil, fmt.Errorf("a name is HOST:PORT, or _http._tcp.HOST for SRV records; %q is neither", name)
	}
	return func(ctx context.Context, _ []Instance) ([]Instance, error) {
		return d.addresses(ctx, host, uint16(port))
	}, nil
}

// addresses returns the instances at the addresses of a host. A name that does not
// exist has none: a headless service without a ready instance looks like that.
func (d *DNS) addresses(ctx context.Context, host string, port uint16) ([]Instance, error) {
	found, err := d.config.Resolver.LookupNetIP(ctx, "ip", host)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Instance
	for _, ip := range found {
		ip = ip.Unmap()
		if Reachable(ip) != nil {
			continue
		}
		addr := netip.AddrPortFrom(ip, port).String()
		list = append(list, Instance{ID: addr, Addr: addr})
	}
	return list, nil
}

// records returns the instances that SRV records name: those of the lowest priority
// that any instance has. Weights are not looked at, as who balances sees the load.
func (d *DNS) records(ctx context.Context, name string) ([]Instance, error) {
	_, found, err := d.config.Resolver.LookupSRV(ctx, "", "", name)
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// All hosts at once: one after the other, two slow ones would use up the time.
	lists, errs := make([][]Instance, len(found)), make([]error, len(found))
	var all sync.WaitGroup
	for i, record := range found[:min(len(found), mostRecords)] {
		if record.Port == 0 {
			continue // nobody listens there
		}
		all.Go(func() { lists[i], errs[i] = d.addresses(ctx, record.Target, record.Port) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var list []Instance
	for i, record := range found {
		if len(list) > 0 && record.Priority != found[i-1].Priority {
			break
		}
		list = append(list, lists[i]...)
	}
	return list, nil
}

// mostRecords is how many hosts of SRV records are looked up.
const mostRecords = 256

// notFound says whether the servers know that there is no such name.
func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}
