package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// connectWriter opens the connection that commits, if it is not open. The lineage of
// the log gets a new entry when the database has another history than the one the log
// was last written in: a standby was promoted, or a backup restored.
func (l *Log) connectWriter(ctx context.Context) error {
	if l.writer != nil && !l.writer.IsClosed() {
		return nil
	}
	l.writer = nil
	config := l.server.config.Copy()
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			l.warned = true
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, in(l.opts.Schema, "select {s}.arrive()")); err != nil {
		hangUp(ctx, conn)
		return err
	}
	l.writer = conn
	return nil
}

// disconnect closes the connection that commits.
func (l *Log) disconnect(ctx context.Context) {
	if l.writer != nil {
		hangUp(ctx, l.writer)
		l.writer = nil
	}
}

// rollBack ends the transaction of the connection that commits, with the connection if
// there is no other way.
func (l *Log) rollBack(ctx context.Context) {
	if l.writer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if l.writer.IsClosed() {
		l.writer = nil
		return
	}
	if _, err := l.writer.Exec(ctx, "rollback"); err != nil {
		l.disconnect(ctx)
	}
}

// landed asks what became of a transaction whose answer was lost. Who gets the lock
// knows that the transaction has ended: it held the lock when it was sent its end.
//
// If it is there, that is known here and not yet of a synchronous standby: whoever waited
// for it was told to stop, or ended. So this transaction leaves a mark behind it in the
// write-ahead log, and its own end waits until the standby has both.
func (l *Log) landed(ctx context.Context, d *doubt) (landed bool, err error) {
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue(l.sql.lock)
	scan := func(row pgx.Row) error {
		var here bool
		err := row.Scan(&here)
		landed = landed || here
		return err
	}
	if d.events > 0 {
		b.Queue(l.sql.landedEvents, int64(d.first), d.id).QueryRow(scan)
	}
	if d.key != nil {
		b.Queue(l.sql.landedKey, d.key, d.id).QueryRow(scan)
	}
	err = l.writer.SendBatch(ctx, b).Close()
	if err == nil && landed {
		err = l.flush(ctx)
	}
	l.rollBack(ctx)
	return landed, err
}

// flush ends the transaction so that everything before it is as durable as a commit.
func (l *Log) flush(ctx context.Context) error {
	b := &pgx.Batch{}
	b.Queue("select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') <> 'remote_apply'")
	b.Queue("select pg_logical_emit_message(true, 'ensemble', '')")
	b.Queue("commit")
	l.warned = false
	if err := l.writer.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if l.warned {
		return errNoStandby()
	}
	return nil
}

// errNoStandby is for an end of a transaction that did not wait for its standby, because
// somebody told it to stop. Nobody knows the outcome then.
func errNoStandby() error {
	return &pgconn.PgError{Severity: "FATAL", Code: "01000", Message: "the server did not wait for its standby"}
}
