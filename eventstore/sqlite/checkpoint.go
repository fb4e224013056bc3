package sqlite

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

const (
	checkpointEvery = 20_000    // events
	saveIndexEvery  = 1_000_000 // events
	checkpointIdle  = time.Second
	roomTimeout     = 250 * time.Millisecond // that a commit waits for readers
	clearWait       = 50 * time.Millisecond  // that commits wait for clearing, and it for readers
)

// checkpointer brings the write-ahead log into the file, on a connection and a
// goroutine of its own, so that commits need not wait for it.
type checkpointer struct {
	log     *Log
	signal  chan struct{}
	clear   chan chan error // asks for a write-ahead log without content
	quit    chan struct{}
	ended   chan struct{} // closed when nobody asks or answers any more
	done    sync.WaitGroup
	pending atomic.Int64 // events since the last checkpoint
	unsaved int64        // events since the index was saved
	enough  int64        // bytes of the write-ahead log to try again at; used by Commit alone
}

// startCheckpointer starts the goroutine; stop waits for it.
func startCheckpointer(l *Log) *checkpointer {
	c := &checkpointer{log: l, signal: make(chan struct{}, 1), clear: make(chan chan error), quit: make(chan struct{}), ended: make(chan struct{})}
	c.done.Go(c.loop)
	return c
}

// stop ends the goroutine. A checkpoint under way is finished.
func (c *checkpointer) stop() {
	close(c.quit)
	c.done.Wait()
}

// committed tells the checkpointer of a commit.
func (c *checkpointer) committed(events int) {
	if c.pending.Add(int64(events)) < checkpointEvery {
		return
	}
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// loop makes a checkpoint when enough has piled up, and when the log is idle.
func (c *checkpointer) loop() {
	defer close(c.ended)
	conn, err := openWriteConn(c.log.path)
	if err != nil {
		c.log.opts.Log.Error("no checkpoints: the write-ahead log will grow to its limit", "log", c.log.path, "error", err)
		return
	}
	defer conn.Close() //nolint:errcheck // nothing was written through it that is not synced
	idle := time.NewTicker(checkpointIdle)
	defer idle.Stop()
	for {
		select {
		case <-c.quit:
			return
		case answer := <-c.clear:
			answer <- c.empty(conn)
		case <-c.signal:
		case <-idle.C:
		}
		if events := c.pending.Swap(0); events > 0 {
			c.run(conn, events)
		}
	}
}

// run makes one checkpoint. When it fails, the next one does its work.
func (c *checkpointer) run(conn *sqlite.Conn, events int64) {
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint(PASSIVE)", nil); err != nil {
		c.log.opts.Log.Warn("checkpoint failed; commits go on", "log", c.log.path, "error", err)
	}
	if c.unsaved += events; c.unsaved < saveIndexEvery {
		return
	}
	c.unsaved = 0
	if err := c.log.saveIndex(); err != nil {
		c.log.opts.Log.Warn("heads not saved; a restart after a crash takes longer", "error", err)
	}
}

// empty brings the write-ahead log into the file and cuts it to nothing. The writer
// waits for the second step alone, which has little left to do.
func (c *checkpointer) empty(conn *sqlite.Conn) error {
	if _, err := checkpoint(conn, "PASSIVE"); err != nil {
		return err
	}
	conn.SetBusyTimeout(clearWait)
	defer conn.SetBusyTimeout(busyTimeout)
	done, err := checkpoint(conn, "TRUNCATE")
	if err == nil && !done {
		err = fmt.Errorf("%w: somebody reads the write-ahead log", eventstore.ErrBusy)
	}
	return err
}

// checkpoint makes a checkpoint, and says whether it came to its end.
func checkpoint(conn *sqlite.Conn, mode string) (done bool, err error) {
	err = sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint("+mode+")", &sqlitex.ExecOptions{
		ResultFunc: func(s *sqlite.Stmt) error {
			done = s.ColumnInt(0) == 0
			return nil
		},
	})
	return done, err
}

// Clear makes the files hold nothing any more of what was deleted from the views
// before: deleted rows are overwritten in the file, and the write-ahead log, which has
// them as they were, is emptied.
//
// Errors: ErrBusy, a reader, the writer or a rebuild is in the way, try again;
// ErrFull; ErrClosed; the context's.
func (l *Log) Clear(ctx context.Context) error {
	if l.checkpoint == nil {
		return fmt.Errorf("%w: %s was opened read-only", eventstore.ErrClosed, l.path)
	}
	// A rebuild has its own copy of older rows. One that begins later reads the
	// events as they are now.
	if !l.rebuilding.TryLock() {
		return fmt.Errorf("%w: the views are being rebuilt", eventstore.ErrBusy)
	}
	l.rebuilding.Unlock()
	if l.leftovers.Load() {
		return fmt.Errorf("%w: tables of a rebuild that failed could not be dropped; rebuild again, or start again", eventstore.ErrBusy)
	}
	answer := make(chan error, 1)
	select {
	case l.checkpoint.clear <- answer:
	case <-l.checkpoint.ended:
		return eventstore.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return l.classify(<-answer)
}

// makeRoom holds a commit until the write-ahead log is below its limit again. A
// reader that stays keeps it from shrinking; then the log grows on, by a quarter of
// the limit until the next try: no commit but that one waits for the reader.
func (c *checkpointer) makeRoom() error {
	size := c.log.WALSize()
	if size <= max(c.log.opts.WALLimit, c.enough) {
		return nil
	}
	c.log.writer.SetBusyTimeout(roomTimeout)
	defer c.log.writer.SetBusyTimeout(busyTimeout)
	if err := c.log.truncateWAL(); err != nil {
		return err
	}
	c.enough = 0
	if left := c.log.WALSize(); left > c.log.opts.WALLimit {
		c.enough = left + c.log.opts.WALLimit/4
	}
	return nil
}

// truncateWAL brings all of the write-ahead log into the file and empties it.
func (l *Log) truncateWAL() error {
	return sqlitex.ExecuteTransient(l.writer, "PRAGMA wal_checkpoint(TRUNCATE)", nil)
}

// WALSize returns how many bytes the write-ahead log takes on the disk.
func (l *Log) WALSize() int64 {
	info, err := os.Stat(l.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}
