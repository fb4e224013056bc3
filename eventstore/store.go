package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a [Store]. The zero value is ready to use.
type Options struct {
	// Queue is how many writes may wait for the committer; one more is refused
	// with ErrBusy. 0 means 4096.
	Queue int
	// Poll is how often a subscription looks for events that another process
	// has appended. 0 means never: this process is the only writer.
	Poll time.Duration
	// OnCommit, if set, is told of each commit, from the committer's goroutine.
	OnCommit func(events int, took time.Duration)
	// OnAppend, if set, is told how long each write took that got its answer, from
	// being queued to being durable. It is called by the writers, concurrently.
	OnAppend func(took time.Duration)
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Store is an open log. All its methods may be called concurrently.
type Store struct {
	driver Driver
	opts   Options
	queue  chan *request
	tasks  chan *task    // handed over, never queued
	stop   chan struct{} // closed by Close
	done   chan struct{} // closed when the committer has returned
	once   sync.Once
	failed atomic.Pointer[error] // why the log stopped

	head   atomic.Int64 // position of the last commit
	mu     sync.Mutex
	signal chan struct{} // closed and replaced at each commit
}

// Open starts the committer on a driver. The Store owns the driver from now on.
//
// Errors: those of the driver's Head.
func Open(ctx context.Context, driver Driver, opts Options) (*Store, error) {
	if opts.Queue == 0 {
		opts.Queue = 4096
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	head, err := driver.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the head of the log: %w", err)
	}
	s := &Store{
		driver: driver,
		opts:   opts,
		queue:  make(chan *request, opts.Queue),
		tasks:  make(chan *task),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
		signal: make(chan struct{}),
	}
	s.head.Store(int64(head.Position))
	go s.commitLoop() //nolint:contextcheck // it outlives the opening, until Close
	return s, nil
}

// Append appends one write and returns once it is durable.
//
// Errors: ConflictError, ErrInvalid, ErrBusy, ErrFull, ErrAway, ErrClosed: nothing
// was written. ErrUnknown, also together with ErrAway: it may have been written. The context's error: it ended
// while the write was still waiting, nothing was written.
func (s *Store) Append(ctx context.Context, w Write) (Result, error) {
	if err := w.validate(); err != nil {
		return Result{}, err
	}
	r := &request{write: w, done: make(chan struct{})}
	begun := time.Now()
	if err := s.enqueue(ctx, r); err != nil {
		return Result{}, err
	}
	if err := s.await(ctx, r); err != nil {
		return Result{}, err
	}
	if s.opts.OnAppend != nil {
		s.opts.OnAppend(time.Since(begun))
	}
	if r.err != nil {
		return Result{}, r.err
	}
	return r.result, r.result.Err
}

// await returns nil once the request was answered, and otherwise why it never will
// be: its caller or the committer has gone before it was taken.
func (s *Store) await(ctx context.Context, r *request) error {
	gone := ctx.Err
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	case <-s.done:
		gone = s.stopped
	}
	if r.state.CompareAndSwap(waiting, withdrawn) {
		return gone()
	}
	// The commit is under way and can't be called back. It is short, and its answer
	// is worth more than a guess.
	<-r.done
	return nil
}

// Stream returns the events of a stream with a version above after, ascending.
func (s *Store) Stream(ctx context.Context, stream Stream, after Version) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		after = max(after, 0)
		for {
			page, err := s.driver.ReadStream(ctx, stream, after, MaxPage)
			if err != nil {
				yield(Event{}, fmt.Errorf("read stream %s: %w", stream, err))
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				after = e.Version
			}
			if len(page) < MaxPage {
				return
			}
		}
	}
}

// ReadAll returns up to limit (at most MaxPage) events after a position. A position
// before the first is the beginning, and a limit below 1 returns nothing.
func (s *Store) ReadAll(ctx context.Context, after Position, limit int) ([]Event, error) {
	if limit < 1 {
		return nil, nil
	}
	return s.driver.ReadAll(ctx, max(after, 0), min(limit, MaxPage))
}

// Head says where the log ends and which log it is.
func (s *Store) Head(ctx context.Context) (Head, error) { return s.driver.Head(ctx) }

// Position returns the position of the last event that this process has seen
// committed, without asking the driver.
func (s *Store) Position() Position { return Position(s.head.Load()) }

// Outcome returns what is remembered under a key's hash, or false.
func (s *Store) Outcome(ctx context.Context, hash [16]byte) (Outcome, bool, error) {
	return s.driver.Outcome(ctx, hash)
}

// Select returns rows of a view; none for a limit below 1.
func (s *Store) Select(ctx context.Context, query Select) ([][]Value, error) {
	if query.Limit < 1 {
		return nil, nil
	}
	return s.driver.Select(ctx, query)
}

// Done is closed when the log takes no more writes; Err then says why.
func (s *Store) Done() <-chan struct{} { return s.done }

// Err returns why the log stopped by itself, or nil.
func (s *Store) Err() error {
	if p := s.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// Close commits what is queued, then closes the driver. Writes that come later
// get ErrClosed. It is safe to call it twice.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		err = errors.Join(s.Err(), s.driver.Close())
	})
	return err
}

// Waiting returns how many writes are in the queue.
func (s *Store) Waiting() int { return len(s.queue) }
