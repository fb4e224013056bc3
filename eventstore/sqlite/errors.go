package sqlite

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// ErrNoHeads means that the log was opened read-only. Where streams end and which keys
// were used is in the memory of the process that writes the log, and in no other.
var ErrNoHeads = errors.New("a log that was opened read-only does not know its streams and keys; use FindStream")

// LockedError means that another process writes the log.
type LockedError struct{ Path string }

// Error implements error.
func (e *LockedError) Error() string {
	return fmt.Sprintf("the log %s is open in another process; stop that one first, or choose another folder", e.Path)
}

// VersionError means that the file is not one that this program can read.
type VersionError struct {
	Path         string
	Found, Known int // format versions; Found 0: not a log of ours at all
}

// Error implements error.
func (e *VersionError) Error() string {
	if e.Found == 0 {
		return fmt.Sprintf("%s is a SQLite file, but not a log; choose another folder", e.Path)
	}
	return fmt.Sprintf("the log %s has format %d, this program knows up to %d; run the version that wrote it, or a later one",
		e.Path, e.Found, e.Known)
}

// damage returns the error for a log that is not as it was written.
func (l *Log) damage(at eventstore.Position, format string, args ...any) error {
	return &eventstore.DamageError{
		Log: l.path, Position: at, Reason: fmt.Sprintf(format, args...),
		Hint: "Keep the files as they are, and restore a backup",
	}
}

// classify turns an error of SQLite into one that the Store can decide on.
func (l *Log) classify(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull:
		return fmt.Errorf("%w: %s: %w", eventstore.ErrFull, l.path, err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return l.damage(0, "%v", err)
	default:
		return err
	}
}
