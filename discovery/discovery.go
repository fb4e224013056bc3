// Package discovery says where the instances of a service are.
//
// It guarantees:
//
//   - An answer lists each instance once, in the order of addresses, and belongs to
//     the caller.
//   - While the source of the answers is away, the last good one is given again, with
//     the trouble beside it. Only who was never told anything gets an error.
//   - A service without instances is an empty list, not an error.
//   - Nothing here runs by itself: a source is asked when somebody asks for a list
//     that has become old.
//
// Static knows addresses that were configured, DNS asks name servers (Kubernetes'
// headless services, SRV records), and package eureka asks a registry. The suite
// discoverytest is their contract.
package discovery

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Resolver says where the instances of services are. It may be used by many at once.
type Resolver interface {
	// Resolve returns the instances of a service that want requests. A list is asked
	// for anew only when it has become old, so this is cheap enough for every second.
	// Errors: the source could not be asked and never was, or the context has ended.
	Resolve(ctx context.Context, service string) (List, error)
}

// List is where the instances of a service are.
type List struct {
	// Instances are in the order of their addresses, each address once.
	Instances []Instance
	// Confirmed is when the source said so.
	Confirmed time.Time
	// Trouble is why this is not newer: the source could not be asked since. Nil while
	// all is well.
	Trouble error
}

// Instance is a process that serves.
type Instance struct {
	// ID names the instance: what it calls itself in a registry, otherwise its address.
	ID string
	// Addr is host and port to connect to. The host is an IP address, unless a person
	// configured a name.
	Addr string
	// Secure says whether it speaks TLS.
	Secure bool
}

// sorted returns the instances in the order of their addresses, each address once.
func sorted(list []Instance) []Instance {
	slices.SortFunc(list, func(a, b Instance) int {
		return cmp.Or(cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(list, func(a, b Instance) bool { return a.Addr == b.Addr })
}

// NewList returns a list of instances in the order that Resolver promises. It keeps no
// part of the slice.
func NewList(instances []Instance, confirmed time.Time, trouble error) List {
	return List{Instances: sorted(slices.Clone(instances)), Confirmed: confirmed, Trouble: trouble}
}
