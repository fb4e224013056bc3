package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"
)

// ErrAnswer means that an answer is none of HTTP/1.1 that a [Connection] reads.
var ErrAnswer = errors.New("an answer that can't be read")

// What a [Connection] reads at most, in bytes.
const (
	maxAnswerHead = 64 << 10
	maxAnswerBody = 64 << 20
)

// Connection sends requests that are ready as bytes, one after the other, and reads
// of each answer its status and its body. It is as cheap as a client can be in this
// language, so that what is measured is the server: no headers are kept, redirects
// are not followed, and a connection that the server closes is an error.
type Connection struct {
	conn net.Conn
	stop func() bool
	buf  []byte // what was read and not looked at yet is buf[r:w]
	r, w int
	body []byte // of the last answer, if it came in chunks
}

// Dial opens a connection to host:port. It is closed when the context ends.
func Dial(ctx context.Context, address string) (*Connection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &Connection{
		conn: conn, buf: make([]byte, 16<<10),
		stop: context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }),
	}, nil
}

// Close closes the connection.
func (c *Connection) Close() error {
	c.stop()
	return c.conn.Close()
}

// AppendRequest appends a request without a body. The path may have a query.
func AppendRequest(dst []byte, method, host, path string) []byte {
	dst = append(append(append(dst, method...), ' '), path...)
	dst = append(append(dst, " HTTP/1.1\r\nHost: "...), host...)
	if method != "GET" {
		dst = append(dst, "\r\nContent-Length: 0"...)
	}
	return append(dst, "\r\n\r\n"...)
}

// Send sends a request and reads its whole answer. The body is good until the next
// request.
//
// Errors: [ErrAnswer], those of the network. The connection is of no use after one.
func (c *Connection) Send(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	return c.answer()
}

// answer reads an answer.
func (c *Connection) answer() (status int, body []byte, err error) {
	head, err := c.until("\r\n\r\n")
	if err != nil {
		return 0, nil, err
	}
	status, length, err := parseHead(head)
	if err != nil {
		return 0, nil, err
	}
	// From here on the head is gone: reading on may move what is behind it.
	if length == chunked {
		body, err = c.chunks()
	} else {
		body, err = c.exactly(length)
	}
	return status, body, err
}

// chunked is the length of a body that comes in chunks.
const chunked = -1

// parseHead returns the status and how long the body is, which has to be said.
func parseHead(head []byte) (status, length int, err error) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	const version = "HTTP/1.1 "
	if len(line) < len(version)+3 || string(line[:len(version)]) != version {
		return 0, 0, fmt.Errorf("%w: it begins with %q", ErrAnswer, line)
	}
	if status, err = parseNumber(line[len(version):len(version)+3], 10); err != nil || status < 200 {
		return 0, 0, fmt.Errorf("%w: its status is %q", ErrAnswer, line)
	}
	length = math.MinInt // not said
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = parseNumber(value, 10); err != nil || length > maxAnswerBody {
				return 0, 0, fmt.Errorf("%w: its length is %q", ErrAnswer, value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")) && bytes.EqualFold(value, []byte("chunked")):
			length = chunked
		}
	}
	switch {
	case status == 204 || status == 304: // they have no body
		return status, 0, nil
	case length == math.MinInt:
		return 0, 0, fmt.Errorf("%w: it ends with its connection", ErrAnswer)
	}
	return status, length, nil
}

// parseNumber reads a number without a sign.
func parseNumber(text []byte, base int) (int, error) {
	n, err := strconv.ParseUint(string(text), base, 31)
	return int(n), err
}

// chunks reads a body in chunks, and what follows them.
func (c *Connection) chunks() ([]byte, error) {
	c.body = c.body[:0]
	for {
		line, err := c.until("\r\n")
		if err != nil {
			return nil, err
		}
		// Each chunk says its length in hexadecimal; one of nothing is the last.
		size, _, _ := bytes.Cut(line, []byte(";")) // extensions say nothing to us
		n, err := parseNumber(bytes.TrimSpace(size), 16)
		if err != nil || n > maxAnswerBody-len(c.body) {
			return nil, fmt.Errorf("%w: a chunk of %q bytes", ErrAnswer, size)
		}
		if n == 0 {
			return c.body, c.trailers()
		}
		chunk, err := c.exactly(n + len("\r\n"))
		if err != nil {
			return nil, err
		}
		if string(chunk[n:]) != "\r\n" {
			return nil, fmt.Errorf("%w: a chunk that does not end", ErrAnswer)
		}
		c.body = append(c.body, chunk[:n]...)
	}
}

// trailers reads what may follow the last chunk, up to an empty line.
func (c *Connection) trailers() error {
	for {
		if line, err := c.until("\r\n"); err != nil || len(line) == 0 {
			return err
		}
	}
}

// until reads up to an end, and returns what is before it.
func (c *Connection) until(end string) ([]byte, error) {
	for seen := 0; ; {
		// What was looked at before is not looked at again.
		if i := bytes.Index(c.buf[c.r+seen:c.w], []byte(end)); i >= 0 {
			text := c.buf[c.r : c.r+seen+i]
			c.r += seen + i + len(end)
			return text, nil
		}
		seen = max(c.w-c.r-len(end)+1, 0) // the end may have begun
		if c.w-c.r > maxAnswerHead {
			return nil, fmt.Errorf("%w: more than %d bytes of head", ErrAnswer, maxAnswerHead)
		}
		if err := c.more(); err != nil {
			return nil, err
		}
	}
}

// exactly reads so many bytes.
func (c *Connection) exactly(n int) ([]byte, error) {
	for c.w-c.r < n {
		if err := c.more(); err != nil {
			return nil, err
		}
	}
	c.r += n
	return c.buf[c.r-n : c.r], nil
}

// more reads what is there, or waits for it. What was returned before is gone.
func (c *Connection) more() error {
	// What is left moves to the front; mostly that is nothing.
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buf) {
		c.buf = append(c.buf, make([]byte, len(c.buf))...)
	}
	// An error that comes with bytes comes again without them.
	n, err := c.conn.Read(c.buf[c.w:])
	if c.w += n; n > 0 {
		return nil
	}
	return fmt.Errorf("read an answer: %w", err)
}

// Connections are some to one server, each for one goroutine.
type Connections []*Connection

// DialAll opens n connections to host:port. They are closed when the context ends.
func DialAll(ctx context.Context, address string, n int) (Connections, error) {
	all := make(Connections, 0, n)
	for range n {
		c, err := Dial(ctx, address)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all = append(all, c)
	}
	return all, nil
}

// Close closes all.
func (all Connections) Close() error {
	errs := make([]error, len(all))
	for i, c := range all {
		errs[i] = c.Close()
	}
	return errors.Join(errs...)
}

// Send sends n requests, numbered from 1, one at a time over each connection, and
// returns how long all of them took. The first that fails, or is not answered 2xx,
// ends it. write appends a request to dst; it is called by many goroutines at once.
func (all Connections) Send(ctx context.Context, n int, write func(dst []byte, i int64) []byte) (time.Duration, error) {
	return workers(ctx, len(all), n, func(worker int) func(int64) error { return all[worker].sender(write) })
}

// Pace is Send at a rate, in requests a second: each is due at a moment fixed beforehand.
// It returns how long after that moment each was answered, also if it had to wait for a
// connection, or whoever sends it was late; a client that measures from the moment of
// sending leaves out just what is slow (Gil Tene, coordinated omission).
func (all Connections) Pace(
	ctx context.Context, n int, rate float64, write func(dst []byte, i int64) []byte,
) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	begun := time.Now()
	_, err := workers(ctx, len(all), n, func(worker int) func(int64) error {
		send, timer := all[worker].sender(write), time.NewTimer(0)
		return func(i int64) error {
			due := begun.Add(time.Duration(float64(i-1) / rate * float64(time.Second)))
			timer.Reset(time.Until(due))
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
			err := send(i)
			times[i-1] = time.Since(due)
			return err
		}
	})
	return times, err
}

// sender returns what sends one request after the other, whose bytes are used again.
func (c *Connection) sender(write func(dst []byte, i int64) []byte) func(i int64) error {
	var request []byte
	return func(i int64) error {
		request = write(request[:0], i)
		status, body, err := c.Send(request)
		if err == nil && status/100 != 2 {
			line, _, _ := bytes.Cut(request, []byte(" HTTP/"))
			err = fmt.Errorf("%s was answered %d: %.200s", line, status, body)
		}
		return err
	}
}
