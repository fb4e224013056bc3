package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a log and its server, and cuts the line.
type proxy struct {
	target   string
	listener net.Listener
	wg       sync.WaitGroup
	refuse   atomic.Bool  // cuts new lines at once
	frozen   atomic.Bool  // passes nothing on, and closes nothing
	budget   atomic.Int64 // bytes until all lines are cut; 0: never

	mu    sync.Mutex
	lines map[*line]struct{}
}

// line is one connection through the proxy.
type line struct{ client, server *net.TCPConn }

// newProxy puts a proxy before the server of a URL, and returns the URL through it.
func newProxy(t testing.TB, address string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host, listener: listener, lines: map[*line]struct{}{}}
	u.Host = listener.Addr().String()
	query := u.Query()
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.frozen.Store(false)
		p.cut()
		p.wg.Wait()
	})
	return p, u.String()
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).Dial("tcp", p.target)
		if err != nil || p.refuse.Load() {
			_ = conn.Close()
			if server != nil {
				_ = server.Close()
			}
			continue
		}
		l := &line{conn.(*net.TCPConn), server.(*net.TCPConn)}
		p.mu.Lock()
		p.lines[l] = struct{}{}
		p.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() { p.pass(l.server, l.client) })
		both.Go(func() { p.pass(l.client, l.server) })
		p.wg.Go(func() {
			both.Wait()
			_ = errors.Join(l.client.Close(), l.server.Close())
			p.mu.Lock()
			delete(p.lines, l)
			p.mu.Unlock()
		})
	}
}

// pass copies one direction until the line is cut. What was read from the client goes to
// the server even then: a commit may be on its way.
func (p *proxy) pass(to, from *net.TCPConn) {
	b := make([]byte, 512)
	for {
		n, err := from.Read(b)
		if n > 0 && !p.frozen.Load() {
			if left := p.budget.Load(); left > 0 && p.budget.Add(-int64(n)) <= 0 {
				n = max(0, min(n, int(left)))
				p.budget.Store(0)
				_, _ = to.Write(b[:n])
				p.cut()
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				// The client has gone; the server may be in the middle of something.
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// cut cuts all lines. The server gets an end of file behind what was sent to it, the
// client a reset.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.lines {
		_ = l.client.SetLinger(0)
		_ = l.client.Close()
		_ = l.server.CloseWrite()
	}
}

// gate holds commits up inside of the database.
type gate struct {
	t   testing.TB
	url string
}

// newGate makes every transaction that appends wait while the gate is closed.
func newGate(t testing.TB, address string) *gate {
	execute(t, address,
		`create function wait_at_gate() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock_shared(42); return null; end $$`,
		`create trigger gate after insert on commits execute function wait_at_gate()`)
	return &gate{t: t, url: address}
}

// close closes the gate and returns what opens it.
func (g *gate) close() (open func()) {
	g.t.Helper()
	ctx, end := context.WithCancel(context.Background())
	conn := connect(g.t, g.url)
	if _, err := conn.Exec(ctx, "select pg_advisory_lock(42)"); err != nil {
		g.t.Fatal(err)
	}
	return sync.OnceFunc(func() { hangUp(context.Background(), conn); end() })
}

// waiting returns the backend that waits at the gate, once there is one.
func (g *gate) waiting() (pid int) {
	g.t.Helper()
	conn := connect(g.t, g.url)
	defer hangUp(context.Background(), conn)
	for pid == 0 {
		err := conn.QueryRow(context.Background(), `select coalesce(max(pid), 0) from pg_locks
			where locktype = 'advisory' and objid = 42 and not granted
			and database = (select oid from pg_database where datname = current_database())`).Scan(&pid)
		if err != nil {
			g.t.Fatal(err)
		}
	}
	return pid
}

// terminate ends a backend, as an operator does.
func terminate(t testing.TB, address string, pid int) {
	t.Helper()
	execute(t, address, fmt.Sprintf("select pg_terminate_backend(%d)", pid))
}
