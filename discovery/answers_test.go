package discovery_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"ensemble/discovery"
)

// oddServer is a name server whose answers a test writes, over UDP and TCP.
type oddServer struct {
	udp net.PacketConn
	tcp net.Listener

	mu      sync.Mutex
	answer  func(q dnsmessage.Question, m *dnsmessage.Message, overTCP bool) bool // false: none
	dialled []net.Conn
}

// newOddServer starts a server on one port, which the test stops.
func newOddServer(t *testing.T, answer func(q dnsmessage.Question, m *dnsmessage.Message, overTCP bool) bool) *oddServer {
	t.Helper()
	tcp, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &oddServer{udp: udp, tcp: tcp, answer: answer}
	var all sync.WaitGroup
	all.Go(s.serveUDP)
	all.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.serveTCP(conn) })
		}
	})
	t.Cleanup(func() { s.stop(&all) })
	return s
}

// serveUDP answers until the socket is closed.
func (s *oddServer) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		if b := s.reply(buf[:n], false); b != nil {
			_, _ = s.udp.WriteTo(b, from)
		}
	}
}

// serveTCP answers until the other side has enough.
func (s *oddServer) serveTCP(conn net.Conn) {
	defer conn.Close()
	for {
		var length [2]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(length[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		b := s.reply(question, true)
		if b == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)); err != nil {
			return
		}
	}
}

// reply has the test write an answer.
func (s *oddServer) reply(question []byte, overTCP bool) []byte {
	var q dnsmessage.Message
	if q.Unpack(question) != nil || len(q.Questions) != 1 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true, RecursionAvailable: true}, Questions: q.Questions}
	if !s.answer(q.Questions[0], &m, overTCP) {
		return nil
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// change makes another answer.
func (s *oddServer) change(answer func(q dnsmessage.Question, m *dnsmessage.Message, overTCP bool) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// resolve returns a resolver of one name by this server, which is asked each time.
func (s *oddServer) resolve(t *testing.T, name string, timeout time.Duration) *discovery.DNS {
	t.Helper()
	d, err := discovery.NewDNS(discovery.DNSConfig{
		Names: map[string]string{"user": name}, Refresh: time.Nanosecond, Timeout: timeout,
		Resolver: &net.Resolver{PreferGo: true, Dial: s.dial},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// dial reaches this server for whatever server is asked for.
func (s *oddServer) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	addr := s.udp.LocalAddr()
	if strings.HasPrefix(network, "tcp") {
		network, addr = "tcp", s.tcp.Addr()
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dialled = append(s.dialled, conn)
	return conn, nil
}

// stop ends the server, and what the library still waits for: a question that was given
// up is not taken back, but waits for its own five seconds.
func (s *oddServer) stop(serving *sync.WaitGroup) {
	_, _ = s.udp.Close(), s.tcp.Close()
	s.mu.Lock()
	for _, conn := range s.dialled {
		_ = conn.Close()
	}
	s.mu.Unlock()
	serving.Wait()
}

// add answers a question for addresses with those of its kind.
func add(q dnsmessage.Question, m *dnsmessage.Message, ips ...string) {
	header := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 30}
	for _, text := range ips {
		ip := netip.MustParseAddr(text)
		switch {
		case ip.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: ip.As4()}})
		case ip.Is6() && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: ip.As16()}})
		}
	}
}

// addrsIn returns the addresses of a list, and fails if one is there twice or out of order.
func addrsIn(t *testing.T, l discovery.List) string {
	t.Helper()
	var list []string
	for i, one := range l.Instances {
		if i > 0 && one.Addr <= l.Instances[i-1].Addr {
			t.Errorf("%s comes after %s", one.Addr, l.Instances[i-1].Addr)
		}
		list = append(list, one.Addr)
	}
	return strings.Join(list, " ")
}

// TestWhatANameServerMayAnswer: each answer once as the first one, which is a list or an
// error, and once after a good one, which is then given on unless there is a newer.
func TestWhatANameServerMayAnswer(t *testing.T) {
	code := func(c dnsmessage.RCode) func(dnsmessage.Question, *dnsmessage.Message, bool) bool {
		return func(_ dnsmessage.Question, m *dnsmessage.Message, _ bool) bool { m.RCode = c; return true }
	}
	good := func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
		add(q, m, "10.0.0.1", "10.0.0.2")
		return true
	}
	const trouble = "trouble"
	for says, c := range map[string]struct {
		answer func(dnsmessage.Question, *dnsmessage.Message, bool) bool
		want   string
	}{
		"a good one":       {good, "10.0.0.1:80 10.0.0.2:80"},
		"no such name":     {code(dnsmessage.RCodeNameError), ""},
		"no address":       {code(dnsmessage.RCodeSuccess), ""},
		"a failure":        {code(dnsmessage.RCodeServerFailure), trouble},
		"a refusal":        {code(dnsmessage.RCodeRefused), trouble},
		"not in its power": {code(dnsmessage.RCodeNotImplemented), trouble},
		"nothing":          {func(dnsmessage.Question, *dnsmessage.Message, bool) bool { return false }, trouble},
		"another's question's id": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			m.ID++
			return good(q, m, false)
		}, trouble},
		"another question": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			good(q, m, false)
			m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName("evil.test."), Type: q.Type, Class: q.Class}}
			return true
		}, trouble},
		"a question": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			m.Response = false
			return good(q, m, false)
		}, trouble},
		"each address three times": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			add(q, m, "10.0.0.3", "10.0.0.1", "10.0.0.3", "10.0.0.1", "10.0.0.3", "10.0.0.1")
			return true
		}, "10.0.0.1:80 10.0.0.3:80"},
		"both kinds, one address in both": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			add(q, m, "10.0.0.1", "fd00::1", "::ffff:10.0.0.1")
			return true
		}, "10.0.0.1:80 [fd00::1]:80"},
		"addresses of nobody": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			add(q, m, "10.0.0.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "255.255.255.255",
				"::", "fe80::1", "ff02::1", "::10.0.0.1", "64:ff9b::169.254.169.254", "::ffff:169.254.169.254")
			return true
		}, "10.0.0.9:80"},
		"a name for a name": {func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
			other := dnsmessage.MustNewName("other.test.")
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}, Body: &dnsmessage.CNAMEResource{CNAME: other},
			})
			q.Name = other
			add(q, m, "10.0.0.5")
			return true
		}, "10.0.0.5:80"},
		"too much for UDP": {func(q dnsmessage.Question, m *dnsmessage.Message, overTCP bool) bool {
			add(q, m, "10.0.0.1")
			if m.Truncated = !overTCP; overTCP {
				add(q, m, "10.0.0.2", "10.0.0.3")
			}
			return true
		}, "10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"},
	} {
		t.Run(says, func(t *testing.T) {
			timeout := 10 * time.Second
			if c.want == trouble {
				timeout = 150 * time.Millisecond
			}
			s := newOddServer(t, c.answer)
			l, err := s.resolve(t, "user.test.:80", timeout).Resolve(t.Context(), "user")
			if got := addrsIn(t, l); (err != nil) != (c.want == trouble) || err == nil && got != c.want || err != nil && !strings.HasPrefix(err.Error(), "service user: ") {
				t.Errorf("at first: %q %v, want %q", got, err, c.want)
			}
			s.change(good)
			d := s.resolve(t, "user.test.:80", timeout)
			var before discovery.List
			for err = io.EOF; err != nil && t.Context().Err() == nil; {
				before, err = d.Resolve(t.Context(), "user")
			}
			s.change(c.answer)
			l, err = d.Resolve(t.Context(), "user")
			want := c.want
			if want == trouble {
				want = addrsIn(t, before)
			}
			if got := addrsIn(t, l); err != nil || got != want || (l.Trouble != nil) != (c.want == trouble) || c.want == trouble && !l.Confirmed.Equal(before.Confirmed) {
				t.Errorf("later: %q, trouble %v, %v; want %q", got, l.Trouble, err, want)
			}
		})
	}
}

// TestManyRecordsAllArrive: four hundred addresses of one host, which come over TCP, and
// eighty hosts of SRV records.
func TestManyRecordsAllArrive(t *testing.T) {
	s := newOddServer(t, func(q dnsmessage.Question, m *dnsmessage.Message, overTCP bool) bool {
		if m.Truncated = !overTCP && q.Type != dnsmessage.TypeAAAA; m.Truncated {
			return true
		}
		name := q.Name.String()
		switch {
		case q.Type == dnsmessage.TypeSRV:
			for i := range 80 {
				m.Answers = append(m.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
					Body:   &dnsmessage.SRVResource{Port: uint16(i + 1), Target: dnsmessage.MustNewName(fmt.Sprint("h", i, ".test."))},
				})
			}
		case name == "user.test.":
			for i := range 400 {
				add(q, m, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
			}
		default:
			var i int
			_, _ = fmt.Sscanf(name, "h%d.test.", &i)
			add(q, m, netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}).String())
		}
		return true
	})
	for name, want := range map[string]int{"user.test.:80": 400, "_http._tcp.user.test.": 80} {
		l, err := s.resolve(t, name, time.Minute).Resolve(t.Context(), "user")
		if err != nil || len(strings.Fields(addrsIn(t, l))) != want || l.Trouble != nil {
			t.Errorf("%s: %d instances, want %d; %v", name, len(l.Instances), want, err)
		}
	}
}

// record is an SRV record of a table.
type record struct {
	priority, port uint16
	target         string
}

// TestSRVRecordsOfAllKinds: hosts that do not exist, that can't be asked for, ports that
// are none, and the record that says that there is no service (RFC 2782).
func TestSRVRecordsOfAllKinds(t *testing.T) {
	for says, c := range map[string]struct {
		records []record
		want    string
		trouble bool
	}{
		"two of one host":         {[]record{{0, 81, "a.test."}, {0, 80, "a.test."}}, "10.0.0.1:80 10.0.0.1:81", false},
		"one twice":               {[]record{{0, 80, "a.test."}, {0, 80, "a.test."}, {0, 80, "alias.test."}}, "10.0.0.1:80", false},
		"a host that is gone":     {[]record{{0, 80, "gone.test."}, {0, 80, "a.test."}}, "10.0.0.1:80", false},
		"spare ones":              {[]record{{5, 80, "b.test."}, {0, 80, "a.test."}}, "10.0.0.1:80", false},
		"spare ones take over":    {[]record{{5, 80, "b.test."}, {0, 80, "gone.test."}}, "10.0.0.2:80", false},
		"ports that are none":     {[]record{{0, 0, "a.test."}, {1, 80, "b.test."}}, "10.0.0.2:80", false},
		"no service":              {[]record{{0, 0, "."}}, "", false},
		"a host that fails":       {[]record{{0, 80, "a.test."}, {0, 80, "failing.test."}}, "", true},
		"a spare one that fails":  {[]record{{0, 80, "a.test."}, {1, 80, "failing.test."}}, "", true},
		"one that is link-local":  {[]record{{0, 80, "metadata.test."}, {0, 80, "a.test."}}, "10.0.0.1:80", false},
		"only what is link-local": {[]record{{0, 80, "metadata.test."}, {1, 80, "a.test."}}, "10.0.0.1:80", false},
		"none":                    {nil, "", false},
	} {
		t.Run(says, func(t *testing.T) {
			hosts := map[string]string{"a.test.": "10.0.0.1", "alias.test.": "10.0.0.1", "b.test.": "10.0.0.2", "metadata.test.": "169.254.169.254"}
			s := newOddServer(t, func(q dnsmessage.Question, m *dnsmessage.Message, _ bool) bool {
				ip, ok := hosts[q.Name.String()]
				switch {
				case q.Type == dnsmessage.TypeSRV:
					for _, r := range c.records {
						m.Answers = append(m.Answers, dnsmessage.Resource{
							Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class},
							Body:   &dnsmessage.SRVResource{Priority: r.priority, Port: r.port, Target: dnsmessage.MustNewName(r.target)},
						})
					}
				case q.Name.String() == "failing.test.":
					m.RCode = dnsmessage.RCodeServerFailure
				case ok:
					add(q, m, ip)
				default:
					m.RCode = dnsmessage.RCodeNameError
				}
				return true
			})
			l, err := s.resolve(t, "_http._tcp.user.test.", 10*time.Second).Resolve(t.Context(), "user")
			if got := addrsIn(t, l); got != c.want || (err != nil) != c.trouble {
				t.Errorf("%q %v, want %q", got, err, c.want)
			}
		})
	}
}

// TestOneHostThatFailsLosesNobody: while the address of one can't be asked for, the
// others are not taken for all there are.
func TestOneHostThatFailsLosesNobody(t *testing.T) {
	s := newNameServer(t)
	s.setSRV("_http._tcp.user.test.", func(int) uint16 { return 0 }, "10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3")
	d := newDNS(t, s, "_http._tcp.user.test.", time.Nanosecond, 10*time.Second)
	const all = "10.0.0.1:1 10.0.0.2:2 10.0.0.3:3"
	if got := addrsOf(t, d); got != all {
		t.Fatal(got)
	}
	s.change(func() { s.failing = true })
	for range 3 {
		if got := addrsOf(t, d); got != all {
			t.Errorf("while the server fails: %s", got)
		}
	}
	s.setSRV("_http._tcp.user.test.", func(int) uint16 { return 0 }, "10.0.0.2:2")
	s.change(func() { s.failing = false })
	if got := addrsOf(t, d); got != "10.0.0.2:2" {
		t.Errorf("when it is back: %s", got)
	}
}
