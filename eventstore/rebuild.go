package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
)

// ErrRebuilding means that the views of a log are being rebuilt already.
var ErrRebuilding = errors.New("the views are being rebuilt already")

// Rebuild says how a driver makes its views anew. A driver has, beside the methods
// of Driver,
//
//	Rebuild(context.Context, eventstore.Rebuild) (eventstore.Rebuilt, error)
//
// which fills a second generation of the views' tables from the log and lets it
// take the place of the first. Until it has, the first answers and is written.
// Whatever goes wrong before, the first stays.
//
// Errors: ErrRebuilding, ErrFull, DamageError, ErrClosed, the context's, those of
// the views.
type Rebuild struct {
	// Between runs a step when no Commit is under way and none begins before the
	// step ends: Store.Between. Nil when nobody commits.
	Between func(ctx context.Context, step func() error) error
	// Progress, if set, is told how much of the log is in the new generation. It
	// is called by the goroutine that called Rebuild.
	Progress func(done, total Position)
}

// Step runs a step between two commits.
func (r *Rebuild) Step(ctx context.Context, step func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.Between == nil {
		return step()
	}
	return r.Between(ctx, step)
}

// Report tells how far the rebuild is.
func (r *Rebuild) Report(done, total Position) {
	if r.Progress != nil {
		r.Progress(done, total)
	}
}

// Rebuilt is what a rebuild has found.
type Rebuilt struct {
	Position Position // the last event in the views when the new generation took over
	Tables   []RebuiltTable
}

// RebuiltTable compares the two generations of one table. Each range of keys is
// looked at in both in the same instant, when both are written in each commit;
// what is equal then stays equal.
type RebuiltTable struct {
	Name   string
	Rows   int64    // in the new generation
	Differ int64    // rows that are in one generation only, or not the same in both: the old one was wrong
	Hash   [32]byte // of the rows of the new generation, see Content
}

// Content is a hash over the rows of a table in the order of their keys.
type Content struct {
	sum  hash.Hash
	rows int64
	line []byte
}

// NewContent returns the hash of a table without rows.
func NewContent() *Content { return &Content{sum: sha256.New()} }

// Add takes in the next row.
func (c *Content) Add(row []Value) {
	c.line = c.line[:0]
	for _, v := range row {
		c.line = binary.LittleEndian.AppendUint64(append(c.line, byte(v.kind)), uint64(v.num))
		c.line = binary.AppendUvarint(c.line, uint64(len(v.text)))
		c.line = append(c.line, v.text...)
	}
	c.sum.Write(c.line)
	c.rows++
}

// Rows returns how many rows were taken in.
func (c *Content) Rows() int64 { return c.rows }

// Sum returns the hash of the rows so far.
func (c *Content) Sum() (sum [32]byte) {
	c.sum.Sum(sum[:0])
	return sum
}

// task is something that the committer does between two commits.
type task struct {
	run  func() error
	done chan struct{} // closed when err is set
	err  error
}

// Between runs fn between two commits, on the committer's goroutine: while it
// runs, nothing is committed, so it has to be short. Under load the two take
// turns. An error of fn is returned; one that is ErrUnknown, and not ErrAway, stops
// the log as a commit of unknown outcome does.
//
// Errors: ErrClosed and the context's, fn was not run; those of fn.
func (s *Store) Between(ctx context.Context, fn func() error) error {
	t := &task{run: fn, done: make(chan struct{})}
	select {
	case s.tasks <- t:
	case <-s.stop:
		return ErrClosed
	case <-s.done:
		return s.stopped()
	case <-ctx.Done():
		return ctx.Err()
	}
	<-t.done
	return t.err
}

// do runs the task and answers who asked for it. It returns an error only when
// the log must stop.
func (t *task) do() error {
	t.err = t.run()
	close(t.done)
	if errors.Is(t.err, ErrUnknown) && !errors.Is(t.err, ErrAway) {
		return t.err
	}
	return nil
}

// turn does one task, if somebody waits with one.
func (s *Store) turn() error {
	select {
	case t := <-s.tasks:
		return t.do()
	default:
		return nil
	}
}
