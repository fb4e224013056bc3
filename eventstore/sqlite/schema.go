package sqlite

import (
	"context"
	"crypto/rand"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"ensemble/eventstore"
)

const (
	applicationID = 0x454e5342 // "ENSB", in the file's header
	formatVersion = 1          // in the file's header as user_version
)

// schema is drawn in docs/format/sqlite.md.
const schema = `
CREATE TABLE lineage (
	first INTEGER PRIMARY KEY,
	uuid  BLOB NOT NULL
) STRICT;
CREATE TABLE events (
	position    INTEGER PRIMARY KEY,
	stream      TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	previous    INTEGER NOT NULL,
	number      INTEGER NOT NULL,
	type        TEXT    NOT NULL,
	time        INTEGER NOT NULL,
	crc         INTEGER NOT NULL,
	data        TEXT    NOT NULL,
	meta        TEXT,
	key         BLOB,
	fingerprint BLOB
) STRICT;
CREATE TABLE commits (
	first INTEGER PRIMARY KEY,
	hash  BLOB NOT NULL
) STRICT;
CREATE TABLE outcomes (
	id          INTEGER PRIMARY KEY,
	key         BLOB    NOT NULL,
	fingerprint BLOB    NOT NULL,
	stream      TEXT    NOT NULL,
	version     INTEGER NOT NULL,
	position    INTEGER NOT NULL,
	time        INTEGER NOT NULL,
	data        BLOB    NOT NULL
) STRICT;
CREATE TABLE views (
	name       TEXT PRIMARY KEY,
	definition TEXT NOT NULL
) STRICT;`

// openWriter opens the writing connection and makes the schema if the file is
// new.
func (l *Log) openWriter() (err error) {
	if l.writer, err = connect(l.path); err != nil {
		return l.classify(err)
	}
	isNew, err := l.isNew()
	if err != nil {
		return l.classify(err)
	}
	if err := prepareWriting(l.writer, l.path); err != nil {
		return l.classify(err)
	}
	if l.opts.maxPages > 0 {
		l.limitPages(l.opts.maxPages)
	}
	if isNew {
		return l.create()
	}
	return nil
}

// isNew says whether the file is an empty one. One that is neither empty nor a log is
// refused before anything is done to it.
func (l *Log) isNew() (bool, error) {
	id, err := queryInt(l.writer, "PRAGMA application_id")
	if err != nil {
		return false, err
	}
	tables, err := queryInt(l.writer, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return false, err
	}
	if id == 0 && tables == 0 {
		return true, nil
	}
	return false, checkFormat(l.writer, l.path)
}

// create makes an empty log with a name of its own.
func (l *Log) create() (err error) {
	end, err := sqlitex.ImmediateTransaction(l.writer)
	if err != nil {
		return l.classify(fmt.Errorf("create log %s: %w", l.path, err))
	}
	defer end(&err)
	if err := sqlitex.ExecuteScript(l.writer, setup(), nil); err != nil {
		return l.classify(fmt.Errorf("create log %s: %w", l.path, err))
	}
	return name(l.writer, 1)
}

// setup returns the script that makes the schema and says whose file it is.
func setup() string {
	return fmt.Sprintf("%s PRAGMA application_id = %d; PRAGMA user_version = %d;", schema, applicationID, formatVersion)
}

// name gives the log a new identity from a position on.
func name(conn *sqlite.Conn, first eventstore.Position) error {
	fork := eventstore.Fork{First: first}
	if _, err := rand.Read(fork.UUID[:]); err != nil {
		return fmt.Errorf("name the log: %w", err)
	}
	return insertFork(conn, fork)
}

// insertFork writes an entry of the lineage, in the place of one that begins at the
// same position.
func insertFork(conn *sqlite.Conn, f eventstore.Fork) error {
	return sqlitex.ExecuteTransient(conn, "INSERT OR REPLACE INTO lineage (first, uuid) VALUES (?, ?)",
		&sqlitex.ExecOptions{Args: []any{int64(f.First), f.UUID[:]}})
}

// checkFormat refuses files that are not logs, or of a newer format.
func checkFormat(conn *sqlite.Conn, path string) error {
	id, err := queryInt(conn, "PRAGMA application_id")
	if err != nil {
		return err
	}
	version, err := queryInt(conn, "PRAGMA user_version")
	if err != nil {
		return err
	}
	switch {
	case id != applicationID:
		return &VersionError{Path: path, Known: formatVersion}
	case version > formatVersion:
		return &VersionError{Path: path, Found: int(version), Known: formatVersion}
	}
	return nil
}

// readLineage reads which log this is.
func (l *Log) readLineage(ctx context.Context) error {
	return l.readers.read(ctx, func(conn *sqlite.Conn) error {
		if err := checkFormat(conn, l.path); err != nil {
			return l.classify(err)
		}
		err := query(conn, "SELECT first, uuid FROM lineage ORDER BY first", func(s *sqlite.Stmt) error {
			f := eventstore.Fork{First: eventstore.Position(s.ColumnInt64(0))}
			if s.ColumnLen(1) != len(f.UUID) {
				return l.damage(0, "the lineage has a name of %d bytes", s.ColumnLen(1))
			}
			s.ColumnBytes(1, f.UUID[:])
			l.lineage = append(l.lineage, f)
			return nil
		})
		if err != nil {
			return l.classify(err)
		}
		if len(l.lineage) == 0 || l.lineage[0].First != 1 {
			return l.damage(0, "the lineage does not begin at position 1")
		}
		return nil
	})
}

// limitPages makes the file full at n pages; 0 lifts the limit. Pragmas take no
// parameters, and n is a number.
func (l *Log) limitPages(n int) {
	if n == 0 {
		n = 1<<30 - 1
	}
	_ = sqlitex.ExecuteTransient(l.writer, fmt.Sprintf("PRAGMA max_page_count = %d", n), nil)
}
