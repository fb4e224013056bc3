package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ensemble/eventstore"
)

// Options configures a [Log]. The zero value is ready to use.
type Options struct {
	// Views are written in the same commit as the events.
	Views []eventstore.View
	// Schema is where the log and the tables of the views are. "" means public.
	Schema string
	// Readers is how many reads may run at once. 0 means four a core.
	Readers int
	// KeepKeys is how many idempotency keys are remembered, the latest ones.
	// 0 means 5,000,000.
	KeepKeys int
	// KeepKeysFor is how long a key is remembered. 0 means 24 hours.
	KeepKeysFor time.Duration
	// Patience is how long a commit or a read tries again while the database is away,
	// before it says so. 0 means 10 seconds.
	Patience time.Duration
	// Log receives what an operator has to know. Nil means slog.Default().
	Log *slog.Logger
}

// Log is an open log in a Postgres database. It implements [eventstore.Driver].
type Log struct {
	server  *server
	name    string
	opts    Options
	views   *views
	sql     statements
	readers *pgxpool.Pool

	writer *pgx.Conn // nil: not connected; used by Commit alone
	warned bool      // the server warned during the last commit; used by Commit alone
	away   bool      // the last commit found the database away; used by Commit alone
	closed atomic.Bool

	rebuilding sync.Mutex // one rebuild at a time; the database knows of those of others
}

// Open opens the log that a URL names, postgres://role:password@host:5432/database, and
// makes or migrates it if the role may.
//
// Errors: VersionError when the schema is missing, too old or too new and this role
// can't help it; those of the server. None holds the password.
func Open(ctx context.Context, address string, opts Options) (*Log, error) {
	server, err := newServer(address)
	if err != nil {
		return nil, err
	}
	l := &Log{server: server, name: server.name, opts: opts.withDefaults()}
	if l.views, err = newViews(l.opts.Schema, l.opts.Views); err != nil {
		return nil, err
	}
	l.sql = newStatements(l.opts.Schema)
	if err := l.open(ctx); err != nil {
		l.release(ctx)
		return nil, err
	}
	return l, nil
}

// withDefaults fills in what was left open.
func (o Options) withDefaults() Options {
	if o.Schema == "" {
		o.Schema = "public"
	}
	if o.Readers == 0 {
		o.Readers = 4 * runtime.GOMAXPROCS(0)
	}
	if o.KeepKeys == 0 {
		o.KeepKeys = 5_000_000
	}
	if o.KeepKeysFor == 0 {
		o.KeepKeysFor = 24 * time.Hour
	}
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// open connects, and brings the schema to where this program needs it.
func (l *Log) open(ctx context.Context) error {
	err := l.patiently(ctx, func(limit context.Context) error {
		err := l.prepareSchema(ctx, limit)
		if err != nil && hopeless(err) {
			return &ownError{err}
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	return l.connectReaders(ctx)
}

// connectReaders makes the pool of those who read. It connects when somebody reads.
func (l *Log) connectReaders(ctx context.Context) error {
	config, err := pgxpool.ParseConfig("")
	if err != nil {
		return fmt.Errorf("configure the readers: %w", err)
	}
	config.ConnConfig = l.server.config.Copy()
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	config.MaxConns = int32(l.opts.Readers)
	if l.readers, err = pgxpool.NewWithConfig(context.WithoutCancel(ctx), config); err != nil {
		return fmt.Errorf("open the readers: %w", l.explain(err))
	}
	return nil
}

// prepareSchema looks at the server and at the schema, and migrates it if need be and
// the role may. Looking ends with limit; migrating takes as long as the log is, when
// views are made anew, and ends with ctx.
func (l *Log) prepareSchema(ctx, limit context.Context) error {
	conn, err := l.server.connect(limit)
	if err != nil {
		return err
	}
	defer hangUp(ctx, conn)
	if err := l.server.check(conn); err != nil {
		return &ownError{err}
	}
	m := migration{server: l.server, schema: l.opts.Schema, views: l.views, log: l.opts.Log}
	needed, err := m.needed(limit, conn)
	if err == nil && needed {
		err = m.ensure(ctx, conn)
		var cancel context.CancelFunc // what comes now has its own time
		limit, cancel = context.WithTimeout(ctx, l.opts.Patience)
		defer cancel()
	}
	if err != nil {
		return err
	}
	if err := l.dropLeftovers(limit, conn); err != nil {
		return err
	}
	l.warnOfRisks(limit, conn)
	return nil
}

// warnOfRisks tells the operator of settings with which no database keeps its promises.
func (l *Log) warnOfRisks(ctx context.Context, conn *pgx.Conn) {
	for _, setting := range []string{"fsync", "full_page_writes"} {
		var value string
		if err := conn.QueryRow(ctx, "select current_setting($1)", setting).Scan(&value); err == nil && value == "off" {
			l.opts.Log.Warn("this setting of the database can lose answered commands when the machine fails",
				"log", l.name, "setting", setting, "value", value)
		}
	}
}

// Close closes the connections.
func (l *Log) Close() error {
	l.release(context.Background())
	return nil
}

// release closes whatever is open.
func (l *Log) release(ctx context.Context) {
	l.closed.Store(true)
	if l.readers != nil {
		l.readers.Close()
	}
	l.disconnect(ctx)
}

// pause is how long is waited before the next try, of so many; at most a second.
func pause(try int) time.Duration { return min(10*time.Millisecond<<min(try, 10), time.Second) }

// sleep waits, and returns the context's error if it ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patiently runs what reads, and again while the database is away, for as long as the
// options allow.
//
// Errors: eventstore.ErrAway, ErrClosed, the context's; those of read that trying again
// would not change.
func (l *Log) patiently(ctx context.Context, read func(context.Context) error) error {
	limit, cancel := context.WithTimeout(ctx, l.opts.Patience)
	defer cancel()
	for try := 0; ; try++ {
		err := read(limit)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case l.closed.Load():
			return fmt.Errorf("read %s: %w", l.name, eventstore.ErrClosed)
		}
		if h, ok := errors.AsType[*ownError](err); ok {
			return fmt.Errorf("%s: %w", l.name, l.server.masked(h.err))
		}
		if v := judge(err); v != again && v != lost || limit.Err() != nil {
			return l.explain(err)
		}
		if sleep(limit, pause(try)) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return l.explain(err)
		}
	}
}
