package guard

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ensemble/wire"
)

// conn is a connection whose Read hands on only what the guard has let pass: whole
// heads, and their bodies.
//
// net/http reads from one goroutine at a time, also while a handler runs, when it
// wants to know whether the client has gone; deadlines are set from another.
type conn struct {
	net.Conn
	limits *Limits
	close  func() // gives the connection's place back

	buf     []byte  // what was read and is not handed on yet, from at
	at      int     //
	passed  int     // bytes from at that may go on
	scan    scanner // of the head that begins behind them
	body    int64   // bytes of the body under way that are still to come
	skipped bool    // an empty line before that head
	last    bool    // no request is read after the one under way
	refusal *refusal
	told    bool // the request that stands for the refusal was handed on

	refused atomic.Bool // for Close
	closed  sync.Once

	mu       sync.Mutex
	deadline time.Time // as net/http wants it
	headTime time.Time // until when an incomplete head has to be complete; zero: there is none
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	for {
		switch {
		case c.passed > 0:
			return c.take(p), nil
		case c.refusal != nil && c.told:
			return 0, io.EOF
		case c.refusal != nil:
			c.tell()
		case c.at == len(c.buf):
			// The usual way, without a copy: heads come whole.
			n, err := c.Conn.Read(p)
			good, rest := c.admit(p[:n])
			if c.refusal == nil {
				c.buf = append(c.buf, rest...)
			}
			if good > 0 {
				return good, nil // an error comes again
			}
			if err != nil {
				return 0, err
			}
		default:
			if err := c.complete(); err != nil {
				return 0, err
			}
		}
	}
}

// take hands on what has passed.
func (c *conn) take(p []byte) int {
	n := copy(p, c.buf[c.at:c.at+c.passed])
	c.at += n
	c.passed -= n
	if c.at == len(c.buf) {
		c.at, c.buf = 0, c.buf[:0]
		if cap(c.buf) > keepBuffer {
			c.buf = nil
		}
	}
	return n
}

// tell puts a request in the place of the one that was refused. It has a target
// that no client gets through, so the handler knows it.
func (c *conn) tell() {
	method := "GET "
	if c.refusal.head {
		method = "HEAD "
	}
	c.buf = []byte(method + refusedTarget + " HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n")
	c.at, c.passed, c.told = 0, len(c.buf), true
}

// complete reads more of a head that has come in part, which must not take longer
// than the limit.
func (c *conn) complete() error {
	if c.at > 0 {
		c.buf = c.buf[:copy(c.buf, c.buf[c.at:])]
		c.at = 0
	}
	if err := c.startHead(); err != nil {
		return err
	}
	if len(c.buf) == cap(c.buf) {
		c.buf = append(c.buf, make([]byte, max(512, len(c.buf)))...)[:len(c.buf)]
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n == 0 && err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.headLate() {
			c.refuse(&refusal{slug: wire.RequestTimeout})
			return nil
		}
		return err
	}
	good, rest := c.admit(c.buf)
	c.buf, c.passed = c.buf[:good+len(rest)], good
	if good > 0 || c.refusal != nil {
		return c.endHead()
	}
	return nil
}

// admit returns how many bytes at the front of b may go on, and what follows them:
// the beginning of a head, or refused.
func (c *conn) admit(b []byte) (good int, rest []byte) {
	for good < len(b) && c.refusal == nil {
		if c.last {
			return len(b), nil
		}
		if c.body > 0 {
			n := min(c.body, int64(len(b)-good))
			c.body -= n
			good += int(n)
			continue
		}
		end, r := c.scan.end(b[good:], c.limits)
		switch {
		case r != nil:
			c.refuse(r)
		case end == 0:
			return good, b[good:]
		case end == len("\r\n") && !c.skipped:
			// Some old clients send an empty line after a body (RFC 9112, section
			// 2.2). net/http does not expect it.
			b = append(b[:good], b[good+end:]...)
			c.scan, c.skipped = scanner{}, true
		default:
			good += c.begin(b[good : good+end])
		}
	}
	return good, b[good:]
}

// begin returns the length of a complete head if it is good, otherwise 0.
func (c *conn) begin(head []byte) int {
	f, r := check(head, c.limits)
	if r != nil {
		c.refuse(r)
		return 0
	}
	c.scan, c.skipped = scanner{}, false
	c.body, c.last = f.length, f.chunked
	return len(head)
}

// refuse makes the request that is being read the last of its connection.
func (c *conn) refuse(r *refusal) {
	c.refusal = r
	c.refused.Store(true)
}

// startHead makes sure that an incomplete head has a deadline of its own. That of
// net/http is for a request that it has seen the beginning of.
func (c *conn) startHead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.headTime.IsZero() {
		return nil
	}
	c.headTime = time.Now().Add(c.limits.HeadTime)
	return c.setDeadline()
}

// endHead gives the connection the deadline back that net/http wants.
func (c *conn) endHead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headTime = time.Time{}
	return c.setDeadline()
}

// headLate says whether the time for a head is over.
func (c *conn) headLate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !time.Now().Before(c.headTime)
}

// SetReadDeadline implements net.Conn. While a head is incomplete its own deadline
// holds, except against one in the past, by which net/http interrupts a Read.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.setDeadline()
}

// setDeadline applies the deadline that holds. The lock is held.
func (c *conn) setDeadline() error {
	if c.headTime.IsZero() || !c.deadline.IsZero() && !c.deadline.After(time.Now()) {
		return c.Conn.SetReadDeadline(c.deadline)
	}
	return c.Conn.SetReadDeadline(c.headTime)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite tells the client that nothing more comes, while it is still heard.
// net/http uses it so that an answer is not lost with the connection.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn. A client that was refused may still be sending; if its
// bytes met a closed connection, the reset could overtake the answer.
func (c *conn) Close() error {
	c.closed.Do(func() {
		defer c.close()
		if c.refused.Load() && c.CloseWrite() == nil && c.Conn.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
			_, _ = io.CopyN(io.Discard, c.Conn, lingerMax) // whatever it is, it was refused
		}
	})
	return c.Conn.Close()
}
