package discovery_test

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ensemble/discovery"
	"ensemble/discovery/discoverytest"
)

// nameServer answers questions for addresses and SRV records over UDP.
type nameServer struct {
	conn net.PacketConn

	mu      sync.Mutex
	a       map[string][]netip.Addr // by name with a dot at the end
	srv     map[string][]dnsmessage.SRVResource
	silent  bool // answers later
	held    []func()
	failing bool   // says SERVFAIL
	broken  string // a name of which it says so
	asked   int
}

// newNameServer starts a server, which the test stops.
func newNameServer(t *testing.T) *nameServer {
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, a: map[string][]netip.Addr{}, srv: map[string][]dnsmessage.SRVResource{}}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return s
}

// resolver asks this server only.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// serve answers until the connection is closed.
func (s *nameServer) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(buf[:n]) != nil || len(q.Questions) != 1 {
			continue
		}
		s.mu.Lock()
		send := func() { _, _ = s.conn.WriteTo(s.answer(q), from) }
		if s.silent {
			s.held = append(s.held, send)
		} else {
			send()
		}
		s.mu.Unlock()
	}
}

// speak ends a silence: what was asked in it is answered.
func (s *nameServer) speak() {
	s.change(func() {
		for _, send := range s.held {
			send()
		}
		s.silent, s.held, s.asked = false, nil, 0
	})
}

// answer answers one question; mu is held.
func (s *nameServer) answer(q dnsmessage.Message) []byte {
	s.asked++
	question := q.Questions[0]
	name := strings.ToLower(question.Name.String())
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: q.Questions,
	}
	addrs, hasA := s.a[name]
	records, hasSRV := s.srv[name]
	switch {
	case s.failing || name == s.broken:
		m.RCode = dnsmessage.RCodeServerFailure
	case !hasA && !hasSRV:
		m.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA, question.Type == dnsmessage.TypeAAAA:
		for _, a := range addrs {
			if body := recordOf(a); a.Is4() == (question.Type == dnsmessage.TypeA) {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 30}, Body: body,
				})
			}
		}
	case question.Type == dnsmessage.TypeSRV:
		for _, r := range records {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 30}, Body: &r,
			})
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// recordOf returns an address as a record.
func recordOf(a netip.Addr) dnsmessage.ResourceBody {
	if a.Is4() {
		return &dnsmessage.AResource{A: a.As4()}
	}
	return &dnsmessage.AAAAResource{AAAA: a.As16()}
}

// change changes what the server says.
func (s *nameServer) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// questions returns how often the server was asked.
func (s *nameServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// setHost gives a host its addresses.
func (s *nameServer) setHost(name string, ips ...string) {
	s.change(func() {
		s.a[name] = nil
		for _, ip := range ips {
			s.a[name] = append(s.a[name], netip.MustParseAddr(ip))
		}
	})
}

// setSRV makes an SRV record for each address, and a host for each.
func (s *nameServer) setSRV(name string, priority func(i int) uint16, addrs ...string) {
	s.change(func() {
		delete(s.srv, name)
		for i, text := range addrs {
			p := netip.MustParseAddrPort(text)
			host := "h" + strconv.Itoa(int(p.Port())) + ".test."
			s.a[host] = []netip.Addr{p.Addr()}
			s.srv[name] = append(s.srv[name], dnsmessage.SRVResource{Priority: priority(i), Port: p.Port(), Target: dnsmessage.MustNewName(host)})
		}
	})
}

// TestDNSContract runs the contract over SRV records.
func TestDNSContract(t *testing.T) {
	discoverytest.Run(t, func(t *testing.T) discoverytest.Source {
		s := newNameServer(t)
		d, err := discovery.NewDNS(discovery.DNSConfig{
			Names:    map[string]string{"user": "_http._tcp.user.test."},
			Resolver: s.resolver(), Refresh: 20 * time.Millisecond, Timeout: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		return discoverytest.Source{
			Resolver: d, Refresh: 20 * time.Millisecond,
			Set: func(service string, addrs ...string) {
				s.setSRV("_http._tcp."+service+".test.", func(int) uint16 { return 0 }, addrs...)
			},
			Away: func(away bool) { s.change(func() { s.failing = away }) },
		}
	})
}

// newDNS returns a resolver by a server of the name that "user" stands for.
func newDNS(t *testing.T, s *nameServer, name string, every, timeout time.Duration) *discovery.DNS {
	t.Helper()
	d, err := discovery.NewDNS(discovery.DNSConfig{Names: map[string]string{"user": name}, Resolver: s.resolver(), Refresh: every, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// addrsOf asks for "user".
func addrsOf(t *testing.T, d *discovery.DNS) string {
	t.Helper()
	l, err := d.Resolve(t.Context(), "user")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, i := range l.Instances {
		list = append(list, i.Addr)
	}
	return strings.Join(list, " ")
}

// TestAHostIsAllItsAddresses, as that of a headless service is; those that no instance
// can have are left out.
func TestAHostIsAllItsAddresses(t *testing.T) {
	s := newNameServer(t)
	s.setHost("user.test.", "10.0.0.2", "10.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1")
	if got, want := addrsOf(t, newDNS(t, s, "user.test.:8120", time.Hour, 5*time.Second)), "10.0.0.1:8120 10.0.0.2:8120"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := addrsOf(t, newDNS(t, s, "nobody.test.:8120", time.Hour, 5*time.Second)); got != "" {
		t.Errorf("a name that does not exist has %s", got)
	}
}

// TestOnlyTheFirstPriorityThatHasInstancesIsUsed.
func TestOnlyTheFirstPriorityThatHasInstancesIsUsed(t *testing.T) {
	s := newNameServer(t)
	spare := func(i int) uint16 { return []uint16{2, 1, 1, 9}[i] }
	s.setSRV("_http._tcp.user.test.", spare, "10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3", "10.0.0.4:4")
	if got, want := addrsOf(t, newDNS(t, s, "_http._tcp.user.test.", time.Hour, 5*time.Second)), "10.0.0.2:2 10.0.0.3:3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.change(func() { s.a["h2.test."], s.a["h3.test."] = nil, nil })
	if got, want := addrsOf(t, newDNS(t, s, "_http._tcp.user.test.", time.Hour, 5*time.Second)), "10.0.0.1:1"; got != want {
		t.Errorf("without instances of priority 1: %s, want %s", got, want)
	}
}

// TestBothKindsOfAddresses: IPv4 and IPv6 are one list.
func TestBothKindsOfAddresses(t *testing.T) {
	s := newNameServer(t)
	s.setHost("user.test.", "fd00::7", "10.0.0.1", "fe80::1", "::", "ff02::1")
	if got, want := addrsOf(t, newDNS(t, s, "user.test.:8120", time.Hour, 5*time.Second)), "10.0.0.1:8120 [fd00::7]:8120"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestAListWithAHoleIsNoList: if one of the hosts of SRV records can't be looked up, the
// others are not everybody, and the last whole list holds.
func TestAListWithAHoleIsNoList(t *testing.T) {
	s := newNameServer(t)
	s.setSRV("_http._tcp.user.test.", func(int) uint16 { return 0 }, "10.0.0.1:1", "10.0.0.2:2")
	s.change(func() { s.broken = "h2.test." })
	d := newDNS(t, s, "_http._tcp.user.test.", time.Millisecond, 5*time.Second)
	if l, err := d.Resolve(t.Context(), "user"); err == nil {
		t.Fatalf("half of the hosts are given for all: %v", l)
	}
	s.change(func() { s.broken = "" })
	time.Sleep(2 * time.Millisecond)
	if got, want := addrsOf(t, d), "10.0.0.1:1 10.0.0.2:2"; got != want {
		t.Fatalf("%s, want %s", got, want)
	}
	s.setHost("h1.test.", "10.0.0.9")
	s.change(func() { s.broken = "h2.test." })
	time.Sleep(2 * time.Millisecond)
	l, err := d.Resolve(t.Context(), "user")
	if err != nil || len(l.Instances) != 2 || l.Instances[0].Addr != "10.0.0.1:1" || l.Trouble == nil {
		t.Errorf("%+v %v", l, err)
	}
}

// TestASilentServerHoldsNobodyUpForLong, and is not asked by everybody.
func TestASilentServerHoldsNobodyUpForLong(t *testing.T) {
	s := newNameServer(t)
	s.setHost("user.test.", "10.0.0.1")
	s.change(func() { s.silent = true })
	d := newDNS(t, s, "user.test.:1", time.Hour, 50*time.Millisecond)
	if l, err := d.Resolve(t.Context(), "user"); err == nil {
		t.Errorf("a silent server says %v", l)
	}
	s.speak()
	if _, err := d.Resolve(t.Context(), "user"); err == nil || s.questions() != 0 {
		t.Errorf("asked %d times within the refresh; error %v", s.questions(), err)
	}
}

// TestAnAnswerIsAskedForOnceInARefresh, however many want it.
func TestAnAnswerIsAskedForOnceInARefresh(t *testing.T) {
	s := newNameServer(t)
	s.setHost("user.test.", "10.0.0.1")
	d := newDNS(t, s, "user.test.:1", time.Hour, 5*time.Second)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := d.Resolve(t.Context(), "user"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.questions(); n != 2 { // A and AAAA
		t.Errorf("%d questions", n)
	}
}

// TestNamesThatAreNone are refused at the start.
func TestNamesThatAreNone(t *testing.T) {
	for _, name := range []string{"", "user", "user:", ":1", "user:0", "user:x"} {
		if _, err := discovery.NewDNS(discovery.DNSConfig{Names: map[string]string{"user": name}}); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
