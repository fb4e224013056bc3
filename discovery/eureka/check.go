package eureka

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"ensemble/discovery"
)

// What one registration may be.
const (
	mostBody     = 64 << 10 // bytes
	mostName     = 256      // of an application, an instance, a virtual address
	mostText     = 1024     // of a URL, a value of the metadata
	mostMetadata = 64       // entries
	mostKey      = 128      // of the metadata
	mostTold     = 16 << 10 // bytes of all metadata
	mostLease    = 24 * 60 * 60
)

// The lease of who asks for none: the times of the protocol.
const (
	defaultRenewal  = 30
	defaultDuration = 90
)

// The classes that Java clients know for places.
const (
	ownClass    = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"
	amazonClass = "com.netflix.appinfo.AmazonInfo"
)

// complete fills in what a registration may leave out, and puts names into the form in
// which they are kept. Clients that send no id are known by their host, or by that of
// their machine at Amazon.
func (in *Instance) complete() {
	in.ID = firstOf(in.ID, in.DataCenter.Metadata["instance-id"], in.HostName)
	in.App = strings.ToUpper(in.App)
	in.Status = Status(strings.ToUpper(firstOf(string(in.Status), string(Up))))
	in.Overridden = Status(strings.ToUpper(string(in.Overridden)))
	if older := Status(strings.ToUpper(string(in.OlderName))); older != "" && (in.Overridden == "" || in.Overridden == Unknown) {
		in.Overridden = older
	}
	in.Overridden = Status(firstOf(string(in.Overridden), string(Unknown)))
	if in.Lease.Renewal <= 0 {
		in.Lease.Renewal = defaultRenewal
	}
	if in.Lease.Duration <= 0 {
		in.Lease.Duration = defaultDuration
	}
	in.DataCenter.Class = ownClass
	if in.DataCenter.Name == "Amazon" {
		in.DataCenter.Class = amazonClass
	}
	if len(in.DataCenter.Metadata) == 0 {
		in.DataCenter.Metadata = nil
	}
}

// statuses are the five, for those who sent another.
const statuses = "UP, DOWN, STARTING, OUT_OF_SERVICE, UNKNOWN"

// check says why a completed registration under the name app is refused.
func (in *Instance) check(app string, peer netip.Addr, advertised discovery.Advertised) error {
	for _, text := range []struct {
		name, value string
		most        int
		needed      bool
	}{
		{"instanceId", in.ID, mostName, true},
		{"hostName", in.HostName, mostName, true},
		{"ipAddr", in.IPAddr, mostName, true},
		{"app", in.App, mostName, true},
		{"dataCenterInfo.name", in.DataCenter.Name, mostName, true},
		{"vipAddress", in.VIP, mostName, false},
		{"secureVipAddress", in.SVIP, mostName, false},
		{"appGroupName", in.AppGroup, mostName, false},
		{"sid", in.SID, mostName, false},
		{"asgName", in.ScaleGroup, mostName, false},
		{"homePageUrl", in.HomePage, mostText, false},
		{"statusPageUrl", in.StatusPage, mostText, false},
		{"healthCheckUrl", in.Health, mostText, false},
		{"secureHealthCheckUrl", in.SafeHealth, mostText, false},
	} {
		if text.needed && text.value == "" {
			return fmt.Errorf("%s is missing", text.name)
		}
		if err := checkText(text.name, text.value, text.most); err != nil {
			return err
		}
	}
	if in.App != app {
		return fmt.Errorf("app is %q, but the path says %q", shown(in.App), shown(app))
	}
	return cmp.Or(
		checkName("app", in.App), checkName("instanceId", in.ID), in.checkWords(),
		in.Metadata.check("metadata"), in.DataCenter.Metadata.check("dataCenterInfo.metadata"),
		in.checkAddress(peer, advertised),
	)
}

// checkWords looks at what may only be one of some words or numbers.
func (in *Instance) checkWords() error {
	switch {
	case !in.Status.known():
		return fmt.Errorf("status is %q; there are %s", shown(string(in.Status)), statuses)
	case !in.Overridden.known():
		return fmt.Errorf("overriddenStatus is %q; there are %s", shown(string(in.Overridden)), statuses)
	case !slices.Contains([]string{"MyOwn", "Amazon", "Netflix"}, in.DataCenter.Name):
		return fmt.Errorf("dataCenterInfo.name is %q; there are MyOwn, Amazon, Netflix", shown(in.DataCenter.Name))
	case in.Lease.Duration > mostLease || in.Lease.Renewal > mostLease:
		return fmt.Errorf("leaseInfo asks for more than %d seconds", mostLease)
	case in.Dirty < 0:
		return errors.New("lastDirtyTimestamp is negative")
	}
	for name, port := range map[string]number{"port": in.Port.Number, "securePort": in.SecurePort.Number} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("%s %d is none", name, port)
		}
	}
	return nil
}

// checkAddress says why an instance may not be where it says it is.
func (in *Instance) checkAddress(peer netip.Addr, advertised discovery.Advertised) error {
	ip, err := netip.ParseAddr(in.IPAddr)
	if err != nil {
		return fmt.Errorf("ipAddr %q is not an IP address", shown(in.IPAddr))
	}
	if err := advertised.Check(ip, peer); err != nil {
		return fmt.Errorf("ipAddr: %w", err)
	}
	if host, err := netip.ParseAddr(in.HostName); err == nil {
		if err := advertised.Check(host, peer); err != nil {
			return fmt.Errorf("hostName: %w", err)
		}
		return nil
	}
	host := strings.ToLower(strings.TrimSuffix(in.HostName, "."))
	switch {
	case !isHostName(host):
		return fmt.Errorf("hostName %q is neither a name nor an address", shown(in.HostName))
	case (host == "localhost" || strings.HasSuffix(host, ".localhost")) && !peer.IsLoopback():
		return fmt.Errorf("hostName: %s is loopback, but the request came from %s", shown(host), peer)
	}
	return nil
}

// isHostName says whether a lower-case name is that of a host. Its last part must not be
// a number, also none that is wrong like 08: some would read such a name as an address.
func isHostName(name string) bool {
	parts := strings.Split(name, ".")
	for _, part := range parts {
		if part == "" || len(part) > 63 || part[0] == '-' || part[len(part)-1] == '-' ||
			strings.ContainsFunc(part, func(c rune) bool { return c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') }) {
			return false
		}
	}
	last := parts[len(parts)-1]
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, "0123456789abcdef"
	}
	return len(name) <= 253 && strings.Trim(last, digits) != ""
}

// check says why metadata is refused.
func (m Metadata) check(name string) error {
	if len(m) > mostMetadata {
		return fmt.Errorf("%s has %d entries; at most %d", name, len(m), mostMetadata)
	}
	total := 0
	for _, key := range sortedKeys(m) {
		value := m[key]
		total += len(key) + len(value)
		switch {
		case key == "" || len(key) > mostKey || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }):
			return fmt.Errorf("%s has a key that is empty, longer than %d, or not of visible ASCII characters", name, mostKey)
		case key == "@class":
			return fmt.Errorf("%s has the key @class, of which others would make an object", name)
		case len(value) > mostText:
			return fmt.Errorf("%s %q has %d bytes; at most %d", name, key, len(value), mostText)
		}
		if err := checkText(name, strings.NewReplacer("\n", "", "\r", "", "\t", "").Replace(value), mostText); err != nil {
			return err
		}
	}
	if total > mostTold {
		return fmt.Errorf("%s has %d bytes; at most %d", name, total, mostTold)
	}
	return nil
}

// checkName says why something can't be a part of a path.
func checkName(name, value string) error {
	if value == "." || value == ".." || strings.ContainsFunc(value, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`/\%?#<>"`, c) }) {
		return fmt.Errorf("%s %q may have visible ASCII characters without / \\ %% ? # < > \"", name, shown(value))
	}
	return nil
}

// checkText says why a text is refused.
func checkText(name, value string, most int) error {
	switch {
	case len(value) > most:
		return fmt.Errorf("%s has %d bytes; at most %d", name, len(value), most)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(c rune) bool { return unicode.IsControl(c) || c == 0xFFFE || c == 0xFFFF }):
		return fmt.Errorf("%s has a control character, or is not UTF-8", name)
	}
	return nil
}

// shown cuts what a client sent to a length that fits into an answer.
func shown(text string) string {
	if len(text) > 64 {
		return strings.ToValidUTF8(text[:64], "") + "…"
	}
	return text
}

// firstOf returns the first text that is not empty.
func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// sortedKeys returns the keys in order.
func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
