package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ensemble/eventstore"
)

// RelayConfig is what a relay works with.
type RelayConfig struct {
	// Log is the log whose events are sent.
	Log *eventstore.Store
	// Topic is where they are sent to. It is made if it is missing.
	Topic string
	// Broker has the topic. It is the caller's to close, after Run has returned.
	Broker Publisher
	// Render returns an event as a record, of a log with this lineage. Its headers have to
	// end with those of Stamp. It is called concurrently.
	Render func(e *eventstore.Event, lineage eventstore.Lineage) (Record, error)
	// Lead runs a function while no other replica of the service runs its own: it waits
	// until this one leads, and ends the function's context when it does so no longer.
	// Nil: there is one replica.
	Lead func(ctx context.Context, as func(context.Context) error) error
	// TakeOver lets the relay send into a topic that holds events of another log, from
	// which this one does not descend: consumers forget those and begin anew.
	TakeOver bool
	// Patience is the longest wait before a broker that does not answer is asked again.
	// 0 means 5 s.
	Patience time.Duration
	// Look is how often a relay without anything to send looks whether the broker still
	// has what it was sent. 0 means 10 s.
	Look time.Duration
	// Logger receives what an operator has to know. Nil means slog.Default().
	Logger *slog.Logger
}

// ErrOtherTopic means that a topic holds events of another log than the one that is
// sent there.
var ErrOtherTopic = errors.New("the topic holds events of another log")

// ErrLostEvents means that a topic holds events that its log does not have: the log has
// lost its end, or an older copy of it was put back.
var ErrLostEvents = errors.New("the topic holds events that the log has lost")

// page is how many events are sent at once at most.
const page = 5000

// Relay sends the events of a log to a topic. Run may be called once, its other methods
// concurrently.
type Relay struct {
	c       RelayConfig
	encoder encoder

	mu     sync.Mutex
	status RelayStatus
	level  time.Time // when nothing was left to send
}

// RelayStatus says what a relay is at.
type RelayStatus struct {
	Leads   bool                // false: another replica sends, or this one waits for its turn
	Sent    eventstore.Position // all events up to here are in the topic
	Head    eventstore.Position // the last event of the log
	Records int64               // sent since the start, again and again included
	Resumes int64               // how often it has looked up where to go on
	Failing error               // why nothing can be sent now; nil: it can
	Waiting time.Duration       // since the last moment without anything to send
}

// Behind returns how many events are not in the topic yet.
func (s *RelayStatus) Behind() eventstore.Position { return max(0, s.Head-s.Sent) }

// NewRelay returns a relay that has not begun.
func NewRelay(c RelayConfig) *Relay {
	if c.Patience == 0 {
		c.Patience = longestWait
	}
	if c.Look == 0 {
		c.Look = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Lead == nil {
		c.Lead = func(ctx context.Context, as func(context.Context) error) error { return as(ctx) }
	}
	return &Relay{c: c, encoder: encoder{render: c.Render}, level: time.Now()}
}

// Run sends every event of the log, first those that the topic lacks, then each new one,
// until the context ends. A broker that is away is asked again and again: Status says so,
// and commands go on.
//
// Errors: [ErrOtherTopic], [ErrLostEvents]; an event that can't be rendered; those of the
// log; the context's.
func (r *Relay) Run(ctx context.Context) error {
	wait := time.Duration(0)
	for {
		err := r.c.Lead(ctx, r.lead)
		r.note(func(s *RelayStatus) { s.Leads = false })
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.Canceled): // it leads no longer, which is no failure
			err = nil
		case final(err):
			r.note(func(s *RelayStatus) { s.Failing = err })
			return fmt.Errorf("relay to topic %s stopped after position %d: %w", r.c.Topic, r.Status().Sent, err)
		}
		if r.failed(err) { // it had worked before
			wait = 0
		}
		wait = min(max(2*wait, shortestWait), r.c.Patience)
		if err := pause(ctx, jittered(wait)); err != nil {
			return err
		}
	}
}

// final says whether trying again would end the same way.
func final(err error) bool {
	return errors.Is(err, ErrOtherTopic) || errors.Is(err, ErrLostEvents) || errors.Is(err, errRender) ||
		errors.Is(err, eventstore.ErrClosed) || errors.As(err, new(*eventstore.DamageError))
}

// pause waits for a while, or for the context's end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// failed notes why nothing could be sent, and tells the operator the first time. It says
// whether it was the first time.
func (r *Relay) failed(err error) (first bool) {
	r.note(func(s *RelayStatus) {
		first = s.Failing == nil && err != nil
		s.Failing = err
	})
	if first {
		r.c.Logger.Warn("events can't be sent to the broker; it is tried again, and commands go on", "topic", r.c.Topic, "error", err)
	}
	return first
}

// lead sends events while this replica leads.
func (r *Relay) lead(ctx context.Context) error {
	r.note(func(s *RelayStatus) { s.Leads = true })
	if err := r.c.Broker.Prepare(ctx, r.c.Topic); err != nil {
		return fmt.Errorf("make topic %s: %w", r.c.Topic, err)
	}
	for {
		s, err := r.resume(ctx)
		if err != nil {
			return err
		}
		r.note(func(status *RelayStatus) { status.Sent, status.Resumes = s.after, status.Resumes+1 })
		if err := s.send(ctx); err != nil {
			return err
		}
	}
}

// works notes that the broker has taken some records, or has all there are.
func (s *sending) works(records int) {
	var again bool
	s.note(func(status *RelayStatus) {
		again = status.Failing != nil
		status.Failing, status.Sent, status.Head = nil, s.after, max(status.Head, s.after)
		status.Records += int64(records)
	})
	if again {
		s.c.Logger.Info("events are sent to the broker again", "topic", s.c.Topic, "after", s.after)
	}
}

// note changes the status.
func (r *Relay) note(change func(*RelayStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
	if r.status.Sent >= r.c.Log.Position() {
		r.level = time.Now()
	}
}

// Status says what the relay is at.
func (r *Relay) Status() RelayStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Head = max(s.Head, r.c.Log.Position())
	if s.Behind() > 0 {
		s.Waiting = time.Since(r.level)
	}
	return s
}

// Check returns why events do not reach the broker, nil if they do or another replica
// sends them.
func (r *Relay) Check(context.Context) error {
	if s := r.Status(); s.Failing != nil {
		return fmt.Errorf("%d events wait for the broker: %w", s.Behind(), s.Failing)
	}
	return nil
}

// sending is one go at sending events, until something has to be looked up again.
type sending struct {
	*Relay
	lineage eventstore.Lineage
	after   eventstore.Position // all events up to here are in the topic
	next    int64               // the offset that the next record gets, unless somebody else sends
}

// send sends events until the topic has to be looked at again, which is no error: it has
// lost its end, somebody else has sent, the log has another name, or nothing has happened
// for a while.
func (s *sending) send(ctx context.Context) error {
	for {
		events, err := s.c.Log.ReadAll(ctx, s.after, page)
		if err != nil {
			return fmt.Errorf("read the log after position %d: %w", s.after, err)
		}
		if len(events) == 0 {
			s.works(0)
			looked, err := s.idle(ctx)
			if err != nil || looked {
				return err
			}
			continue
		}
		if same, err := s.sameLog(ctx); err != nil || !same {
			return err
		}
		records, err := s.encoder.encode(events, s.lineage)
		if err != nil {
			return err
		}
		first, err := s.c.Broker.Publish(ctx, s.c.Topic, records)
		if err != nil {
			return fmt.Errorf("send events %d to %d: %w", events[0].Position, events[len(events)-1].Position, err)
		}
		if first != s.next {
			return nil
		}
		s.after, s.next = events[len(events)-1].Position, first+int64(len(records))
		s.works(len(records))
	}
}

// sameLog says whether the log is still the one that was resumed. A standby that took
// over for a database may have left some events behind.
func (s *sending) sameLog(ctx context.Context) (bool, error) {
	head, err := s.c.Log.Head(ctx)
	if err != nil {
		return false, fmt.Errorf("read the head of the log: %w", err)
	}
	return descends(s.lineage, head.Lineage), nil
}

// idle waits for an event. It says whether the topic has to be looked at again.
func (s *sending) idle(ctx context.Context) (bool, error) {
	waiting, cancel := context.WithTimeout(ctx, s.c.Look)
	defer cancel()
	switch err := s.c.Log.Wait(waiting, s.after+1); {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case !errors.Is(err, context.DeadlineExceeded):
		return false, err
	}
	bounds, err := s.c.Broker.Bounds(ctx, s.c.Topic)
	if err != nil {
		return false, fmt.Errorf("look at topic %s: %w", s.c.Topic, err)
	}
	return bounds[0].End != s.next, nil
}
