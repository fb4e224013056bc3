package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"zombiezen.com/go/sqlite"

	"ensemble/eventstore"
)

// Options configures a [Log]. The zero value is ready to use.
type Options struct {
	// Views are written in the same commit as the events. A view whose tables
	// differ from those in the file is rebuilt when the log is opened.
	Views []eventstore.View
	// ReadOnly opens a log for looking only: no lock, no checkpoints, and
	// Commit answers ErrClosed. Another process may go on writing it.
	ReadOnly bool
	// Traceless, with ReadOnly, makes no file beside the log, as SQLite and the
	// lock do otherwise. It is for a look: when a writer starts meanwhile, reads
	// may fail.
	Traceless bool
	// Readers is how many reads may run at once. 0 means two a core.
	Readers int
	// KeepKeys is how many idempotency keys are remembered, the latest ones.
	// 0 means 5,000,000.
	KeepKeys int
	// KeepKeysFor is how long a key is remembered. 0 means 24 hours.
	KeepKeysFor time.Duration
	// WALLimit is how many bytes the write-ahead log may reach before commits
	// wait for a checkpoint. 0 means 64 MiB.
	WALLimit int64
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger

	hashBits  int  // of the streams' hashes; tests make them collide
	maxPages  int  // of the file; tests make it full
	restoring bool // look at a log that is being restored
}

// Log is an open log in a SQLite file. It implements [eventstore.Driver].
type Log struct {
	path    string
	opts    Options
	lock    *flock.Flock
	readers *pool
	views   *views
	lineage eventstore.Lineage

	writer  *sqlite.Conn // used by Commit alone
	encoder encoder      // used by Commit alone
	broken  error        // why Commit takes no more; used by Commit alone
	late    func(*error) // ends the transaction of a build that is broken on purpose
	expired int64        // outcomes up to this id can go; used by Commit alone

	mu    sync.RWMutex // guards index and head
	index *index
	head  head

	checkpoint *checkpointer
	rebuilding sync.Mutex  // one rebuild at a time
	leftovers  atomic.Bool // tables of one that has ended are still there
}

// head is where the log ends.
type head struct {
	position eventstore.Position
	time     time.Time
	chain    [32]byte // hash of the last commit
}

// Open opens the log in the file at path, and makes it if there is none (unless
// it is opened read-only).
//
// Errors: LockedError when another process writes it, VersionError when a newer
// version has written it, eventstore.DamageError, and those of the file system.
func Open(ctx context.Context, path string, opts Options) (*Log, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a log that is reached by two names has one lock
	}
	l := &Log{path: path, opts: opts.withDefaults()}
	if err := l.open(ctx); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// withDefaults fills in what was left open.
func (o Options) withDefaults() Options {
	if o.Readers == 0 {
		o.Readers = 2 * runtime.GOMAXPROCS(0)
	}
	if o.KeepKeys == 0 {
		o.KeepKeys = 5_000_000
	}
	if o.KeepKeysFor == 0 {
		o.KeepKeysFor = 24 * time.Hour
	}
	if o.WALLimit == 0 {
		o.WALLimit = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.hashBits == 0 {
		o.hashBits = 64
	}
	return o
}

// open opens everything in the order in which it depends on each other.
func (l *Log) open(ctx context.Context) error {
	if err := l.prepareFile(ctx); err != nil {
		return err
	}
	if !l.opts.ReadOnly {
		if err := l.openWriter(); err != nil {
			return err
		}
	}
	l.readers = newPool(l.path, l.opts.Readers)
	l.readers.alone = l.opts.ReadOnly && l.opts.Traceless && !exists(l.path+"-wal") && !exists(l.path+"-shm")
	if err := l.readLineage(ctx); err != nil {
		return err
	}
	if err := l.recover(ctx); err != nil {
		return err
	}
	if l.opts.ReadOnly {
		var err error
		l.views, err = newViews(l.opts.Views)
		return err
	}
	if err := l.openViews(ctx); err != nil {
		return err
	}
	l.checkpoint = startCheckpointer(l)
	return nil
}

// prepareFile takes the lock, and looks for damage that SQLite would take for
// the traces of a crash.
func (l *Log) prepareFile(ctx context.Context) error {
	if err := refuseUnfinished(filepath.Dir(l.path)); err != nil && !l.opts.restoring {
		return err
	}
	if l.opts.ReadOnly {
		return l.prepareReading()
	}
	l.lock = flock.New(l.path+".lock", flock.SetPermissions(0o600))
	if err := takeLock(ctx, l.lock, l.path); err != nil {
		return err
	}
	return errors.Join(touch(l.path), checkWAL(l.path))
}

// takeLock locks a log for its only writer. It waits a moment: who opens the log to
// read has the lock while the write-ahead log is looked at.
func takeLock(ctx context.Context, lock *flock.Flock, path string) error {
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	locked, err := lock.TryLockContext(wait, 5*time.Millisecond)
	switch {
	case locked:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, errors.Is(err, context.DeadlineExceeded):
		return &LockedError{Path: path}
	default:
		return fmt.Errorf("lock log %s: %w; its folder must exist and be writable", path, err)
	}
}

// touch makes the file, readable by its owner alone; SQLite gives its other files
// the same mode.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator's path
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	return file.Close()
}

// prepareReading checks the write-ahead log only while nobody writes it: it
// can't be looked at in motion.
func (l *Log) prepareReading() error {
	if _, err := os.Stat(l.path); err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	if l.opts.Traceless && !exists(l.path+".lock") {
		return checkWAL(l.path)
	}
	lock := flock.New(l.path + ".lock")
	if quiet, err := lock.TryRLock(); err != nil || !quiet {
		return nil //nolint:nilerr // without the lock there is nothing to check
	}
	return errors.Join(checkWAL(l.path), lock.Unlock())
}

// exists says whether there is a file.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Close saves the heads, brings the write-ahead log into the file, and releases
// both.
func (l *Log) Close() error {
	var errs []error
	if l.checkpoint != nil {
		l.checkpoint.stop()
	}
	if l.writer != nil && l.broken == nil {
		errs = append(errs, l.saveIndex(), l.truncateWAL())
	}
	return errors.Join(append(errs, l.release())...)
}

// release closes whatever is open, in the reverse order of opening.
func (l *Log) release() error {
	var errs []error
	if l.readers != nil {
		errs = append(errs, l.readers.close())
	}
	if l.writer != nil {
		errs = append(errs, l.writer.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Head implements [eventstore.Driver].
func (l *Log) Head(ctx context.Context) (eventstore.Head, error) {
	if l.opts.ReadOnly {
		return l.readHead(ctx)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return eventstore.Head{Position: l.head.position, Time: l.head.time, Lineage: l.lineage}, nil
}
