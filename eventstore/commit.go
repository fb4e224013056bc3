package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// request is a write on its way through the committer.
type request struct {
	write  Write
	state  atomic.Int32
	done   chan struct{} // closed when result and err are set
	result Result
	err    error
}

// The states of a request.
const (
	waiting   int32 = iota // in the queue; whoever leaves this state owns the request
	taken                  // by the committer
	withdrawn              // by its caller, whose context ended
)

// finish answers the caller. Only the owner of the request may call it.
func (r *request) finish(result Result, err error) {
	r.result, r.err = result, err
	close(r.done)
}

// enqueue hands a request to the committer, or says why not.
func (s *Store) enqueue(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.stop:
		return ErrClosed
	case <-s.done:
		return s.stopped()
	default:
	}
	select {
	case s.queue <- r:
		return nil
	default:
		return ErrBusy
	}
}

// stopped returns the error for a write that came after the last commit.
func (s *Store) stopped() error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return ErrClosed
}

// commitLoop is the group committer: it takes what queued while the last commit
// ran. There is no linger timer, so a lone client never waits for company. Between
// two commits it does at most one task, so that neither waits long for the other.
func (s *Store) commitLoop() {
	defer close(s.done)
	var held *request // did not fit into the last batch
	for {
		if err := s.turn(); err != nil {
			s.fail(err, held)
			return
		}
		first := held
		if first == nil {
			var err error
			if first, err = s.next(); err != nil {
				s.fail(err, nil)
				return
			}
		}
		if first == nil {
			return
		}
		var batch []*request
		batch, held = s.gather(first)
		if err := s.commit(batch); err != nil {
			s.fail(err, held)
			return
		}
	}
}

// next waits for a request, and does tasks meanwhile. After Close it drains the
// queue, then returns nil. An error means that the log must stop.
func (s *Store) next() (*request, error) {
	for {
		var r *request
		select {
		case r = <-s.queue:
		default:
			select {
			case r = <-s.queue:
			case t := <-s.tasks:
				if err := t.do(); err != nil {
					return nil, err
				}
				continue
			case <-s.stop:
				select {
				case r = <-s.queue:
				default:
					return nil, nil
				}
			}
		}
		if r.state.CompareAndSwap(waiting, taken) {
			return r, nil
		}
	}
}

// gather fills a batch with what is queued, up to the limits of one commit. A
// request that does not fit is returned for the next one.
func (s *Store) gather(first *request) (batch []*request, held *request) {
	batch = append(batch, first)
	events, size := first.write.weight()
	for {
		select {
		case r := <-s.queue:
			if !r.state.CompareAndSwap(waiting, taken) {
				continue
			}
			n, bytes := r.write.weight()
			if events += n; events > MaxBatch {
				return batch, r
			}
			if size += bytes; size > MaxBatchLen {
				return batch, r
			}
			batch = append(batch, r)
			if len(batch) == cap(s.queue) {
				return batch, nil
			}
		default:
			return batch, nil
		}
	}
}

// commit appends a batch and answers its requests. It returns an error only when
// the log must stop.
func (s *Store) commit(batch []*request) error {
	writes := make([]Write, len(batch))
	for i, r := range batch {
		writes[i] = r.write
	}
	start := time.Now()
	// The batch belongs to many callers; none of their contexts may end it.
	results, err := s.driver.Commit(context.Background(), writes)
	if err != nil {
		return refuse(batch, err)
	}
	s.publish(results, time.Since(start))
	for i, r := range batch {
		r.finish(results[i], nil)
	}
	return nil
}

// publish tells subscriptions and the operator of a commit.
func (s *Store) publish(results []Result, took time.Duration) {
	before := s.head.Load()
	head := before
	for _, r := range results {
		if r.Err == nil && r.Previous == nil {
			head = max(head, int64(r.Position))
		}
	}
	if head > before {
		s.head.Store(head)
		s.announce()
	}
	if s.opts.OnCommit != nil {
		s.opts.OnCommit(int(head-before), took)
	}
}

// refuse answers a batch whose commit failed. A full disk and a database that is away
// are survivable: the driver knows what is in the log, or finds out.
func refuse(batch []*request, err error) error {
	survivable := errors.Is(err, ErrFull) || errors.Is(err, ErrAway)
	if !survivable && !errors.Is(err, ErrUnknown) {
		err = fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	for _, r := range batch {
		r.finish(Result{}, err)
	}
	if survivable {
		return nil
	}
	return err
}

// fail stops the log after a commit of unknown outcome: an fsync that failed
// once can't be trusted to tell the truth when it is repeated. What is still
// queued was never begun.
func (s *Store) fail(err error, held *request) {
	s.failed.Store(&err)
	s.opts.Log.Error("the log has stopped; restart to recover what is on disk", "error", err)
	if held != nil {
		held.finish(Result{}, s.stopped())
	}
	for {
		select {
		case r := <-s.queue:
			if r.state.CompareAndSwap(waiting, taken) {
				r.finish(Result{}, s.stopped())
			}
		default:
			return
		}
	}
}

// weight returns what a write counts towards the limits of one commit.
func (w *Write) weight() (events, size int) {
	for i := range w.Events {
		size += len(w.Events[i].Data) + metaLen(w.Events[i].Meta)
	}
	return len(w.Events), size
}

// metaLen returns the bytes of all names and values.
func metaLen(m Metadata) int {
	n := 0
	for k, v := range m {
		n += len(k) + len(v)
	}
	return n
}
