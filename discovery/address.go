package discovery

import (
	"errors"
	"fmt"
	"net/netip"
)

// Errors of Reachable: why no request goes to an address, whoever names it.
var (
	errNoAddress = errors.New("is not the address of one machine")
	errLinkLocal = errors.New("is link-local: nobody beyond one cable reaches it, and clouds keep their secrets there")
)

// Reachable returns why an address can't be that of an instance, whoever says so: it
// is unspecified, multicast, broadcast or link-local, or has a zone. Loopback and
// private addresses are fine.
func Reachable(ip netip.Addr) error {
	ip4 := ip.Unmap()
	switch {
	case ip4.IsLinkLocalUnicast() || ip.Zone() != "":
		return errLinkLocal
	case !ip4.IsValid() || ip4.IsUnspecified() || ip4.IsMulticast() || ip4 == netip.AddrFrom4([4]byte{255, 255, 255, 255}),
		ip4.Is4() && ip4.As4()[0] == 0:
		return errNoAddress
	}
	return nil
}

// Advertised says which addresses somebody may name as their own.
type Advertised struct {
	// Ranges are the addresses that everybody may name, beside their own.
	Ranges []netip.Prefix
	// Local are the addresses of this machine: who connects over the loopback interface
	// is on it, and may name each of them.
	Local []netip.Addr
}

// Check returns why a peer may not name an address as its own; nil if it may. The
// address has to equal the peer's or lie in one of the ranges. Over the loopback
// interface, any loopback address and those of this machine are the peer's own; from
// elsewhere a loopback address is refused even if a range holds it, as it would be that
// of whoever reads the list.
func (a Advertised) Check(ip, peer netip.Addr) error {
	if err := Reachable(ip); err != nil {
		return fmt.Errorf("address %s %w", ip, err)
	}
	ip, peer = ip.Unmap(), peer.Unmap().WithZone("")
	if ip == peer {
		return nil
	}
	if ip.IsLoopback() {
		if peer.IsLoopback() {
			return nil
		}
		return fmt.Errorf("address %s is loopback, but the request came from %s", ip, peer)
	}
	if peer.IsLoopback() {
		for _, own := range a.Local {
			if ip == own.Unmap().WithZone("") {
				return nil
			}
		}
	}
	for _, r := range a.Ranges {
		if r.Contains(ip) {
			return nil
		}
	}
	return fmt.Errorf("address %s is not that of the request, %s, and lies in no allowed range", ip, peer)
}
