package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"ensemble/eventstore"
)

// VersionError means that the schema of a log is not one that this program can work
// with.
type VersionError struct {
	Store        string // where the log is, without its password
	Found, Known int    // versions of the schema; Found 0: there is no log
}

// Error implements error.
func (e *VersionError) Error() string {
	switch {
	case e.Found > e.Known:
		return fmt.Sprintf("the log %s has version %d of the schema, this program knows up to %d and works on %d; run the version that migrated it, or a later one",
			e.Store, e.Found, e.Known, e.Known+1)
	case e.Found == 0:
		return fmt.Sprintf("there is no log in %s, and this role may not make one; run once with --migrate-store and the URL of the owner's role", e.Store)
	default:
		return fmt.Sprintf("the log %s has version %d of the schema or other views, this program needs version %d with its own, and this role may not migrate it; run once with --migrate-store and the URL of the owner's role",
			e.Store, e.Found, e.Known)
	}
}

// verdict is what an error means for who has met it.
type verdict int

const (
	final  verdict = iota // trying again would end the same
	again                 // it is over, and has changed nothing; try again
	lost                  // the connection is gone, and with it the answer
	noRoom                // the disk is full
)

// judge says what an error means.
func judge(err error) verdict {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if pg.Code == "53100" {
			return noRoom
		}
		if pg.Severity == "FATAL" || pg.Severity == "PANIC" || pg.SeverityUnlocalized == "FATAL" || pg.SeverityUnlocalized == "PANIC" {
			return lost
		}
		if passing(pg.Code) {
			return again
		}
		return final
	}
	if _, ok := errors.AsType[*eventstore.DamageError](err); ok || errors.Is(err, pgx.ErrNoRows) {
		return final // it was answered
	}
	if _, ok := errors.AsType[pgx.ScanArgError](err); ok {
		return final
	}
	return lost // the network, or a time limit, after which pgx closes the connection
}

// passing says whether what a code of Postgres stands for goes away by itself
// (https://www.postgresql.org/docs/current/errcodes-appendix.html).
func passing(code string) bool {
	switch code {
	case "55P03", // lock not available: somebody holds it too long
		"57014", // query canceled, by a time limit or an operator
		"25006", // read-only transaction: it was the primary
		"26000", // unknown prepared statement: a pooler has changed the connection
		"0A000": // cached plan must not change its type: a migration came in between
		return true
	}
	switch code[:2] {
	case "08", // connection exception
		"40", // serialization failure, deadlock
		"53", // too many connections, out of memory
		"57", // shutdown, crash, starting up
		"58": // system error of the server
		return true
	}
	return false
}

// hopeless says whether who opens a log has to be told at once: the server is there, and
// says that there is no such role or database, or not with this password.
func hopeless(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(pg.Code, "28") || strings.HasPrefix(pg.Code, "3D") || judge(err) == final || pg.Code == "42501")
}

// damage returns the error for a log that is not as it was written.
func (l *Log) damage(at eventstore.Position, format string, args ...any) error {
	return &eventstore.DamageError{
		Log: l.name, Position: at, Reason: fmt.Sprintf(format, args...),
		Hint: "Stop the services, keep the database as it is, and restore a backup",
	}
}

// explain adds to an error which log it is about, and what a Store decides on.
func (l *Log) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, eventstore.ErrClosed) {
		return err
	}
	if d, ok := errors.AsType[*eventstore.DamageError](err); ok {
		return d
	}
	switch judge(err) {
	case noRoom:
		return fmt.Errorf("%w: %s: %w", eventstore.ErrFull, l.name, l.server.masked(err))
	case again, lost:
		return fmt.Errorf("%w: %s: %w", eventstore.ErrAway, l.name, l.server.masked(err))
	default:
		return fmt.Errorf("%s: %w", l.name, l.server.masked(err))
	}
}
