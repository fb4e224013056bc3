package sqlite

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const (
	checkpointEvery = 20_000    // events
	saveIndexEvery  = 1_000_000 // events
	checkpointIdle  = time.Second
	roomTimeout     = 250 * time.Millisecond // that a commit waits for readers
)

// checkpointer brings the write-ahead log into the file, on a connection and a
// goroutine of its own, so that commits need not wait for it.
type checkpointer struct {
	log     *Log
	signal  chan struct{}
	quit    chan struct{}
	done    sync.WaitGroup
	pending atomic.Int64 // events since the last checkpoint
	unsaved int64        // events since the index was saved
	enough  int64        // bytes of the write-ahead log to try again at; used by Commit alone
}

// startCheckpointer starts the goroutine; stop waits for it.
func startCheckpointer(l *Log) *checkpointer {
	c := &checkpointer{log: l, signal: make(chan struct{}, 1), quit: make(chan struct{})}
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
