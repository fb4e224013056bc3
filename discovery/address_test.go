package discovery_test

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ensemble/discovery"
)

// TestOverLoopbackTheAddressesOfThisMachineAreOnesOwn, and only those.
func TestOverLoopbackTheAddressesOfThisMachineAreOnesOwn(t *testing.T) {
	a := discovery.Advertised{
		Ranges: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd01::/16"), netip.MustParsePrefix("::/0")},
		Local:  []netip.Addr{netip.MustParseAddr("192.168.1.5"), netip.MustParseAddr("fe80::5%eth0"), netip.MustParseAddr("fd00::5")},
	}
	for _, c := range []struct{ ip, peer, why string }{
		{"192.168.1.5", "127.0.0.1", ""},
		{"192.168.1.5", "::1", ""},
		{"fd00::5", "127.0.0.1", ""},
		{"192.168.1.6", "127.0.0.1", "no allowed range"},
		{"192.168.1.5", "10.0.0.7", "no allowed range"},
		{"10.1.2.3", "127.0.0.1", ""},
		{"fd01::1", "10.0.0.7", ""},
		{"::ffff:10.2.0.1", "10.0.0.7", "no allowed range"}, // not by the range of all IPv6
		{"fe80::5", "127.0.0.1", "link-local"},
		{"::1", "10.0.0.7", "loopback"},
		{"127.0.0.9", "127.0.0.1", ""},
		{"192.168.1.5", "", "no allowed range"},
	} {
		peer, _ := netip.ParseAddr(c.peer)
		err := a.Check(netip.MustParseAddr(c.ip), peer)
		if (err == nil) != (c.why == "") || err != nil && !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s from %q: %v, want %q", c.ip, c.peer, err, c.why)
		}
	}
}

// TestNobodyNamesWhatIsNotTheirs: for any addresses, what is taken equals the peer's, is
// in a range, or both are on this machine; and it is never link-local, unspecified or
// multicast.
func TestNobodyNamesWhatIsNotTheirs(t *testing.T) {
	addr := rapid.Custom(func(t *rapid.T) netip.Addr {
		if rapid.Bool().Draw(t, "named") {
			return netip.MustParseAddr(rapid.SampledFrom([]string{
				"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "10.1.2.3", "10.2.0.1", "::ffff:10.1.2.3", "169.254.169.254",
				"::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "192.168.1.5", "255.255.255.255", "0.1.2.3",
			}).Draw(t, "address"))
		}
		b := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes"))
		return netip.AddrFrom4(b)
	})
	own, allowed := netip.MustParseAddr("192.168.1.5"), netip.MustParsePrefix("10.1.0.0/16")
	a := discovery.Advertised{Ranges: []netip.Prefix{allowed, netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}, Local: []netip.Addr{own}}
	rapid.Check(t, func(t *rapid.T) {
		ip, peer := addr.Draw(t, "ip"), addr.Draw(t, "peer")
		if a.Check(ip, peer) != nil {
			return
		}
		plain, from := ip.Unmap(), peer.Unmap().WithZone("")
		here := from.IsLoopback() && (plain.IsLoopback() || plain == own)
		if plain != from && !allowed.Contains(plain) && !here {
			t.Fatalf("%s may name %s", peer, ip)
		}
		if plain.IsLinkLocalUnicast() || plain.IsMulticast() || plain.IsUnspecified() || ip.Zone() != "" {
			t.Fatalf("%s is taken", ip)
		}
	})
}
