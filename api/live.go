package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strconv"
	"time"

	"ensemble/eventstore"
	"ensemble/wire"
)

// FeedConfig bounds the live streams of a service. The zero value is ready to use.
type FeedConfig struct {
	// Streams is how many may be open at once; one more is refused with 503.
	// 0 means 2048.
	Streams int
	// Heartbeat is how long a stream may be silent. 0 means 15 s.
	Heartbeat time.Duration
	// Patience is how long a client may take for what it is sent; then its
	// stream is cut. 0 means 30 s.
	Patience time.Duration
}

// defaults fills in what is left out.
func (c *FeedConfig) defaults() {
	if c.Streams == 0 {
		c.Streams = 2048
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = 30 * time.Second
	}
}

// endPatience is how long a client may take for what it is sent while the service
// stops.
const endPatience = time.Second

// livePage is how many events a stream reads from the log at once. It is all the
// memory that a stream holds.
const livePage = 256

// reconnect begins every stream: after how many milliseconds a browser whose stream
// was cut tries again.
const reconnect = "retry: 1000\n\n"

// stream is one stream of events that goes on until its client leaves.
type stream struct {
	*feed
	r      *request
	q      question
	cursor eventstore.Position // everything up to here was looked at
	told   eventstore.Position // the last id that the client knows
	last   time.Time           // when something was sent
}

// stream answers with events, then with each new one as it is recorded, until the
// client goes or the service stops.
func (f *feed) stream(r *request, q question) error {
	if f.live.Err() != nil {
		return failure{slug: wire.ShuttingDown, retry: retryStart}
	}
	select {
	case f.streaming <- struct{}{}:
		defer func() { <-f.streaming }()
	default:
		return failure{slug: wire.Busy, retry: retryStart, detail: strconv.Itoa(cap(f.streaming)) +
			" streams are open, and there may be no more. Connect again after Retry-After."}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer f.atEnd(r, cancel)()
	s := &stream{feed: f, r: r, q: q, cursor: q.after, told: q.after}
	return s.end(s.follow(ctx))
}

// atEnd makes a stream end with its service: it waits for no event any more, and
// not much longer for its client. What it returns takes that back.
func (f *feed) atEnd(r *request, cancel context.CancelFunc) (forget func()) {
	done := make(chan struct{})
	connection := http.NewResponseController(r.w)
	stop := context.AfterFunc(f.live, func() {
		defer close(done)
		cancel()
		_ = connection.SetWriteDeadline(time.Now().Add(endPatience))
	})
	return func() {
		if !stop() {
			<-done // the connection is somebody else's when the handler has returned
		}
	}
}

// end turns why a stream has ended into what becomes of its connection.
func (s *stream) end(err error) error {
	switch {
	case err == nil:
		return nil
	case s.live.Err() != nil || errors.Is(err, eventstore.ErrClosed):
		err = failure{slug: wire.ShuttingDown, retry: retryStart}
	case s.r.Context().Err() != nil:
		err = s.r.Context().Err()
	case s.r.status == 0:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.config.Log.Info("a stream was cut: its client does not read", "after", s.told, "requestId", s.r.id)
		panic(http.ErrAbortHandler)
	default:
		s.config.Log.Error("a stream was cut", "after", s.told, "error", err, "requestId", s.r.id)
		panic(http.ErrAbortHandler)
	}
	if s.r.status == 0 {
		return err
	}
	return nil // a whole answer: the client goes on elsewhere
}

// follow sends what there is, then what comes. It returns why it can't go on.
func (s *stream) follow(ctx context.Context) error {
	for {
		events, err := s.store.ReadAll(ctx, s.cursor, livePage)
		if err != nil {
			return err
		}
		if s.r.status == 0 { // the log can be read, so there will be a stream
			if err := s.begin(); err != nil || s.r.Method == http.MethodHead {
				return err
			}
		}
		if err := s.send(events); err != nil {
			return err
		}
		if err := s.rest(ctx, len(events) == 0); err != nil {
			return err
		}
	}
}

// rest waits if there is nothing to send, and keeps the stream from being silent.
func (s *stream) rest(ctx context.Context, caughtUp bool) error {
	if caughtUp {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	if time.Since(s.last) < s.config.Feed.Heartbeat {
		return nil
	}
	return s.beat()
}

// begin sends the headers, so that the client knows that it is connected.
func (s *stream) begin() error {
	s.r.set("Content-Type", eventsType)
	s.r.set("Cache-Control", "no-store")
	s.r.set("X-Accel-Buffering", "no") // nginx would collect events otherwise
	// The end of a stream is the end of its connection: it ends when the service
	// does, or when nothing can be said any more.
	s.r.set("Connection", "close")
	s.r.status = http.StatusOK
	s.r.w.WriteHeader(http.StatusOK)
	if s.r.Method == http.MethodHead {
		return nil
	}
	// A stream has no end by which it should have been read.
	s.r.extendRead(0)
	s.r.out = append(s.r.out[:0], reconnect...)
	return s.flush()
}

// send sends those of the events that the client has asked for.
func (s *stream) send(events []eventstore.Event) (err error) {
	for i := range events {
		e := &events[i]
		if s.q.wants(e) {
			if s.r.out, err = s.block(s.r.out, e); err != nil {
				return err
			}
			s.told = e.Position
		}
		s.cursor = e.Position
		if len(s.r.out) >= flushAt {
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	if len(s.r.out) == 0 {
		return nil
	}
	return s.flush()
}

// block appends an event in the form of server-sent events. JSON has no line ends,
// so one line of data holds it.
func (s *stream) block(dst []byte, e *eventstore.Event) ([]byte, error) {
	dst = append(dst, "id: "...)
	dst = strconv.AppendInt(dst, int64(e.Position), 10)
	dst = append(append(dst, "\nevent: "...), e.Type...)
	dst, err := s.append(append(dst, "\ndata: "...), e)
	return append(dst, "\n\n"...), err
}

// wait returns when there is something to do: an event, or a heartbeat.
func (s *stream) wait(ctx context.Context) error {
	beat, cancel := context.WithTimeout(ctx, s.config.Feed.Heartbeat-time.Since(s.last))
	defer cancel()
	err := s.store.Wait(beat, s.cursor+1)
	if err != nil && ctx.Err() == nil && beat.Err() != nil {
		return nil
	}
	return err
}

// beat sends a comment, so that both ends see that the other is there. If events
// were passed over, their last id goes along: a client that is cut then does not
// begin before them again.
func (s *stream) beat() error {
	s.r.out = append(s.r.out, ':')
	if s.told < s.cursor {
		s.told = s.cursor
		s.r.out = strconv.AppendInt(append(s.r.out, "\nid: "...), int64(s.cursor), 10)
	}
	s.r.out = append(s.r.out, "\n\n"...)
	return s.flush()
}

// flush sends what was written, now. Only this waits for the client, and only so
// long.
func (s *stream) flush() error {
	connection := http.NewResponseController(s.r.w)
	// Not every writer has deadlines, but a real connection does.
	_ = connection.SetWriteDeadline(time.Now().Add(s.config.Feed.Patience))
	if err := s.live.Err(); err != nil { // after the deadline, so that it can't be a long one
		return err
	}
	_, err := s.r.w.Write(s.r.out)
	s.r.out, s.last = s.r.out[:0], time.Now()
	if err != nil {
		return err
	}
	return connection.Flush()
}

// extendRead gives a request that is answered late more time than the server allows
// for one to arrive: that time also bounds how long it sees that its client is
// there. 0 means for ever.
func (r *request) extendRead(by time.Duration) {
	var until time.Time
	if by > 0 {
		until = time.Now().Add(by + flushWithin)
	}
	// Not every writer has deadlines, but a real connection does.
	_ = http.NewResponseController(r.w).SetReadDeadline(until)
}

// EndStreams ends what waits for events: live streams end as whole answers, readers
// that wait for a position are answered 503, and new ones too. It returns at once;
// whoever shuts the server down waits for them.
func (s *Service) EndStreams() { s.endLive() }

// Streams returns how many live streams are open.
func (s *Service) Streams() int { return len(s.streaming) }
