package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

// copyPage is how many rows are copied in one read transaction: the log is written
// on meanwhile, and no checkpoint has to wait for longer than a page.
const copyPage = eventstore.MaxPage

// copyTo writes a new file at path that holds the log alone up to a head: events,
// commits, outcomes and lineage, but no views, in which names stand open. Every
// event is checked on its way. The file is a log like any other, and on the disk
// when copyTo returns; after an error there is none.
//
// The log may be written meanwhile. What lies before a head never changes again, so
// the copy is consistent although it is read in pages.
//
// Errors: DamageError, ErrFull, the context's, those of the file system.
func (l *Log) copyTo(
	ctx context.Context, path string, head eventstore.Head, progress func(done, total eventstore.Position),
) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's path
	if err != nil {
		return fmt.Errorf("make a copy of the log: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return fmt.Errorf("make a copy of the log: %w", err)
	}
	c := copying{from: l, to: conn, head: head}
	if err := errors.Join(c.all(ctx, progress), conn.Close()); err != nil {
		return fmt.Errorf("copy %s to %s: %w", l.path, path, l.classify(err))
	}
	return file.Sync()
}

// copying is a copy being made. Nobody else knows the file yet, so it needs neither
// a journal nor a sync before the end: after a crash it is thrown away.
//
// Rows are read and written again instead of pages being copied. That costs about two
// microseconds an event, checks each on its way, and leaves behind what a file carries
// with it besides its rows: free pages with old content, and the views.
type copying struct {
	from *Log
	to   *sqlite.Conn
	head eventstore.Head
}

// all copies everything, in one transaction of the new file.
func (c *copying) all(ctx context.Context, progress func(done, total eventstore.Position)) (err error) {
	for _, pragma := range []string{"journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"} {
		if err := sqlitex.ExecuteTransient(c.to, "PRAGMA "+pragma, nil); err != nil {
			return err
		}
	}
	if err := sqlitex.ExecuteScript(c.to, setup(), nil); err != nil {
		return err
	}
	end := sqlitex.Transaction(c.to)
	defer end(&err)
	for _, f := range c.head.Lineage {
		if err := insertFork(c.to, f); err != nil {
			return err
		}
	}
	for at := eventstore.Position(0); at < c.head.Position; progress(at, c.head.Position) {
		if at, err = c.events(ctx, at); err != nil {
			return err
		}
	}
	if err := c.commits(ctx); err != nil {
		return err
	}
	return c.outcomes(ctx)
}

// events copies a page of events and returns where it ends.
func (c *copying) events(ctx context.Context, after eventstore.Position) (eventstore.Position, error) {
	stmt, err := c.to.Prepare(insertEventSQL)
	if err != nil {
		return after, err
	}
	begin := after
	err = c.from.scan(ctx, after, int(min(copyPage, c.head.Position-after)), func(r *record) error {
		after = r.event.Position
		return insertEvent(stmt, r)
	})
	if err == nil && after == begin {
		err = c.from.damage(after+1, "the event is missing")
	}
	return after, err
}

// commits copies the links of the chain.
func (c *copying) commits(ctx context.Context) error {
	const sql = "SELECT first, hash FROM commits WHERE first > ? AND first <= ? ORDER BY first LIMIT ?"
	return c.pages(ctx, sql, func(s *sqlite.Stmt) error {
		var hash [32]byte
		s.ColumnBytes(1, hash[:])
		return insertCommit(c.to, eventstore.Position(s.ColumnInt64(0)), hash)
	})
}

// outcomes copies what was answered without events up to the head.
func (c *copying) outcomes(ctx context.Context) error {
	const sql = `SELECT id, key, fingerprint, stream, version, position, time, data FROM outcomes
		WHERE id > ? AND position <= ? ORDER BY id LIMIT ?`
	into, err := c.to.Prepare(`INSERT INTO outcomes (id, key, fingerprint, stream, version, position, time, data)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	return c.pages(ctx, sql, func(s *sqlite.Stmt) error {
		for i := range 8 {
			switch s.ColumnType(i) {
			case sqlite.TypeInteger:
				into.BindInt64(i+1, s.ColumnInt64(i))
			case sqlite.TypeText:
				into.BindText(i+1, s.ColumnText(i))
			default:
				into.BindBytes(i+1, columnBytes(s, i))
			}
		}
		return run(into)
	})
}

// pages runs a query page by page: its parameters are after which key, the head,
// and how many rows; its first column is the key. A row that is deleted between two
// pages, as outcomes are when they expire, is in the copy or not; both are right.
func (c *copying) pages(ctx context.Context, sql string, row func(*sqlite.Stmt) error) error {
	for after, n := int64(0), copyPage; n == copyPage; {
		n = 0
		err := c.from.readers.read(ctx, func(conn *sqlite.Conn) error {
			return query(conn, sql, func(s *sqlite.Stmt) error {
				after = s.ColumnInt64(0)
				n++
				return row(s)
			}, after, int64(c.head.Position), copyPage)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
