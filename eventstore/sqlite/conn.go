package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// pool is a bounded set of read-only connections, opened when first needed.
type pool struct {
	path   string
	alone  bool              // nobody writes, and no file may be made beside the log
	idle   chan *sqlite.Conn // a nil connection is one not opened yet
	closed chan struct{}
}

// newPool returns a pool of so many connections, none of them open.
func newPool(path string, size int) *pool {
	p := &pool{path: path, idle: make(chan *sqlite.Conn, size), closed: make(chan struct{})}
	for range size {
		p.idle <- nil
	}
	return p
}

// read runs fn with a connection of its own.
//
// Errors: eventstore.ErrClosed, the context's, those of fn.
func (p *pool) read(ctx context.Context, fn func(*sqlite.Conn) error) error {
	var conn *sqlite.Conn
	select {
	case conn = <-p.idle:
	case <-p.closed:
		return fmt.Errorf("read %s: %w", p.path, eventstore.ErrClosed)
	case <-ctx.Done():
		return ctx.Err()
	}
	if conn == nil {
		var err error
		if conn, err = p.open(); err != nil {
			p.idle <- nil
			return err
		}
	}
	defer func() { p.idle <- conn }()
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(conn)
}

// close waits for the reads under way. Later ones are refused.
func (p *pool) close() error {
	close(p.closed)
	var errs []error
	for range cap(p.idle) {
		if conn := <-p.idle; conn != nil {
			errs = append(errs, conn.Close())
		}
	}
	return errors.Join(errs...)
}

// open opens a connection of the pool. A pool that is alone reads the file as one that
// nobody changes: SQLite then needs neither its shared memory nor its write-ahead log,
// which even a connection that only reads makes otherwise, and leaves behind.
func (p *pool) open() (*sqlite.Conn, error) {
	if !p.alone {
		return openReader(p.path)
	}
	// https://www.sqlite.org/uri.html: immutable, so without shared memory and locks.
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(p.path), RawQuery: "immutable=1"}
	conn, err := sqlite.OpenConn(uri.String(), sqlite.OpenReadOnly|sqlite.OpenURI)
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", p.path, err)
	}
	return conn, nil
}

// openReader opens a connection that can change nothing.
func openReader(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadOnly)
	if err != nil {
		return nil, fmt.Errorf("open %s for reading: %w", path, err)
	}
	conn.SetBusyTimeout(busyTimeout)
	return conn, nil
}

// openWriteConn opens a connection that may write. Checkpoints are left to the
// checkpointer, so that no commit has to wait for one.
func openWriteConn(path string) (*sqlite.Conn, error) {
	conn, err := connect(path)
	if err != nil {
		return nil, err
	}
	if err := prepareWriting(conn, path); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// connect opens a connection that may write, and has changed nothing yet.
func connect(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		return nil, fmt.Errorf("open %s for writing: %w", path, err)
	}
	conn.SetBusyTimeout(busyTimeout)
	return conn, nil
}

// busyTimeout is how long a statement waits for those of other connections.
const busyTimeout = 5 * time.Second

// prepareWriting sets how a connection writes.
func prepareWriting(conn *sqlite.Conn, path string) error {
	for _, pragma := range []string{
		"journal_mode = WAL",
		"synchronous = FULL",
		"wal_autocheckpoint = 0",
		"fullfsync = ON", // macOS: through the drive's cache
		"checkpoint_fullfsync = ON",
		"temp_store = MEMORY",
		"cache_size = -32768", // KiB
		"secure_delete = ON",  // what is deleted is overwritten
	} {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+pragma, nil); err != nil {
			return fmt.Errorf("prepare %s for writing: %w", path, err)
		}
	}
	return nil
}

// query runs a statement and calls row for each row of its result.
func query(conn *sqlite.Conn, sql string, row func(*sqlite.Stmt) error, args ...int64) error {
	stmt, err := conn.Prepare(sql)
	if err != nil {
		return fmt.Errorf("prepare %q: %w", sql, err)
	}
	for i, arg := range args {
		stmt.BindInt64(i+1, arg)
	}
	for {
		more, err := stmt.Step()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if err := row(stmt); err != nil {
			return errors.Join(err, stmt.Reset())
		}
	}
}

// snapshot runs fn while all that the connection reads is of one moment. fn has to
// be short: no checkpoint gets past it.
func snapshot(conn *sqlite.Conn, fn func() error) (err error) {
	end := sqlitex.Transaction(conn)
	defer end(&err)
	return fn()
}

// queryInt returns the first column of the first row, or 0.
func queryInt(conn *sqlite.Conn, sql string, args ...int64) (n int64, err error) {
	err = query(conn, sql, func(s *sqlite.Stmt) error { n = s.ColumnInt64(0); return nil }, args...)
	return n, err
}
