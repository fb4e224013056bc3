package guard

import (
	"net"
	"sync/atomic"

	"ensemble/wire"
)

// Listen returns a listener whose connections hand on only what the guard lets
// pass. A [Server] puts it around its listeners by itself.
func Listen(l net.Listener, limits Limits) net.Listener {
	return &listener{Listener: l, limits: limits}
}

// listener counts the connections of one port.
type listener struct {
	net.Listener
	limits Limits
	open   atomic.Int64
}

// Accept implements net.Listener. Connections beyond the limit are accepted too:
// left waiting, they would look to their clients like a server that hangs. A number
// of them is answered, the rest is closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: inner, limits: &l.limits, close: func() { l.open.Add(-1) }}
		open := l.open.Add(1) - int64(l.limits.Connections)
		if open <= 0 {
			return c, nil
		}
		c.refuse(&refusal{slug: wire.TooManyConnections})
		if open <= overflow {
			return c, nil
		}
		l.open.Add(-1)
		_ = inner.Close() // nothing was promised to anybody
	}
}
