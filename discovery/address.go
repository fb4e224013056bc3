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
	ip4 := plainAddr(ip)
	switch {
	case ip4.IsLinkLocalUnicast() || ip.Zone() != "":
		return errLinkLocal
	case !ip4.IsValid() || ip4.IsUnspecified() || ip4.IsMulticast() || ip4 == netip.AddrFrom4([4]byte{255, 255, 255, 255}),
		ip4.Is4() && ip4.As4()[0] == 0, oldForm(ip4):
		return errNoAddress
	}
	return nil
}

// plainAddr returns the IPv4 address that stands behind an IPv6 one, written so
// (::ffff:10.0.0.1) or reached through a translator (64:ff9b::10.0.0.1, RFC 6052); any
// other address as it is.
func plainAddr(ip netip.Addr) netip.Addr {
	if ip.Is6() {
		if b := ip.As16(); [12]byte(b[:12]) == [12]byte{1: 0x64, 2: 0xff, 3: 0x9b} {
			return netip.AddrFrom4([4]byte(b[12:]))
		}
	}
	return ip.Unmap()
}

// oldForm says whether an IPv6 address is an IPv4 one of a form that nobody routes any
// more (::10.0.0.1).
func oldForm(ip netip.Addr) bool {
	b := ip.As16()
	return ip.Is6() && !ip.IsLoopback() && [12]byte(b[:12]) == [12]byte{}
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
	ip, peer = plainAddr(ip), peer.Unmap().WithZone("")
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
