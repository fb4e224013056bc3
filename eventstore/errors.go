package eventstore

import (
	"errors"
	"fmt"
)

// The errors on which a caller decides.
var (
	// ErrUnknown means the commit may or may not have happened. Read again, or
	// retry with the same key.
	ErrUnknown = errors.New("the outcome of the commit is unknown")
	// ErrBusy means the queue of the committer is full. Nothing was written;
	// try again in a moment.
	ErrBusy = errors.New("the log has more commands waiting than it takes")
	// ErrFull means the disk is full. Nothing was written; the log goes on
	// reading, and writing once there is space again.
	ErrFull = errors.New("no space left for the log")
	// ErrAway means the database of the log can't be reached, or can't work now: it
	// starts, fails over, or somebody holds its lock. Try again in a moment; the log
	// goes on by itself. Nothing was written, unless the error is ErrUnknown too.
	ErrAway = errors.New("the database of the log can't be reached")
	// ErrClosed means the log was closed or has stopped after an I/O error.
	// Nothing was written.
	ErrClosed = errors.New("the log is closed")
	// ErrInvalid means the write breaks a rule of this package. Nothing was
	// written.
	ErrInvalid = errors.New("invalid write")
	// ErrAhead means a reader asked for events after a position that the log
	// has not reached.
	ErrAhead = errors.New("the position is ahead of the log")
)

// ConflictError means that a stream was not at the version the write expected.
// Nothing was written.
type ConflictError struct {
	Stream           Stream
	Expected, Actual Version
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("stream %s is at version %d, not %d", e.Stream, e.Actual, e.Expected)
}

// DamageError means that what is stored is not what was written. The log
// refuses to serve it.
type DamageError struct {
	Log      string   // where the log is
	Position Position // the first damaged event; 0 when the damage is not in one event
	Reason   string
	Hint     string // what to do about it
}

// Error implements error.
func (e *DamageError) Error() string {
	if e.Position == 0 {
		return fmt.Sprintf("%s is damaged: %s. %s", e.Log, e.Reason, e.Hint)
	}
	return fmt.Sprintf("%s is damaged at position %d: %s. %s", e.Log, e.Position, e.Reason, e.Hint)
}
