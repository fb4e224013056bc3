package api_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"ensemble/api/apitest"
	"ensemble/internal/guard"
)

// tubes is a listener without a network. Its connections have deadlines and no
// buffers, and their time is that of the test's bubble.
type tubes struct {
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Accept implements net.Listener.
func (p *tubes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.waiting:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *tubes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (*tubes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// pipeServer serves the gateway of a system as 'ensemble up' does, until the test ends.
func pipeServer(t *testing.T, s *apitest.System) *tubes {
	t.Helper()
	p := &tubes{waiting: make(chan net.Conn), closed: make(chan struct{})}
	server := guard.NewServer(s.Gateway, guard.Config{Log: apitest.Quiet()})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(p) })
	t.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return p
}

// tube is one connection, as a client has it.
type tube struct {
	net.Conn
	*bufio.Reader
}

// Read implements io.Reader.
func (c *tube) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// ask sends a request on a new connection. Headers are pairs of name and value.
func (p *tubes) ask(t *testing.T, target string, headers ...string) *tube {
	t.Helper()
	here, there := net.Pipe()
	p.waiting <- there
	t.Cleanup(func() { _ = here.Close() })
	text := "GET " + target + " HTTP/1.1\r\nHost: test\r\nX-Request-Id: request\r\n"
	for i := 0; i+1 < len(headers); i += 2 {
		text += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	if _, err := fmt.Fprint(here, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	return &tube{here, bufio.NewReader(here)}
}

// answer reads the head of an answer, and returns it with its body yet to be read.
func (c *tube) answer(t *testing.T) *http.Response {
	t.Helper()
	// The body is not closed, that would be reading it to its end, and a stream has
	// none. The connection is.
	resp, err := http.ReadResponse(c.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}
