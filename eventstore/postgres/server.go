package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Time limits of the server on what this package asks. They are not about speed: each
// is there so that a stopped process or a silent network holds nobody up for ever.
const (
	statementLimit = "10s" // one statement
	lockLimit      = "5s"  // waiting for the lock of the log
	idleLimit      = "5s"  // between two statements of a transaction
)

// oldest is the oldest version of Postgres that is supported.
const oldest = 15

// server is where a log is.
type server struct {
	config *pgx.ConnConfig
	name   string // for people: without the password
}

// newServer reads a URL. The text of a URL that can't be read is not repeated, for
// nobody can tell where the password is in it.
func newServer(address string) (*server, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the URL of the store can't be read; it should look like postgres://role:password@host:5432/database")
	}
	if m := config.DefaultQueryExecMode; m == pgx.QueryExecModeExec || m == pgx.QueryExecModeSimpleProtocol { // values would go and come as text
		return nil, errors.New("the URL of the store has a default_query_exec_mode that can't be used here; leave it away")
	}
	if config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	maps.Copy(config.RuntimeParams, map[string]string{
		"timezone": "UTC", "client_encoding": "UTF8", "statement_timeout": statementLimit, "lock_timeout": lockLimit,
		"idle_in_transaction_session_timeout": idleLimit, "default_transaction_isolation": "read committed", "jit": "off",
		// Every statement of ours finds its rows by an index. A plan that was made, and kept,
		// while a table was empty would read all of it for ever.
		"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	})
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "ensemble"
	}
	name := url.URL{Scheme: "postgres", Host: config.Host, Path: config.Database, User: url.User(config.User)}
	if !strings.HasPrefix(config.Host, "/") {
		name.Host = net.JoinHostPort(config.Host, fmt.Sprint(config.Port))
	}
	return &server{config: config, name: name.String()}, nil
}

// masked returns an error whose text does not hold the password. It is still what it
// was for who compares: a password may be a word of everyday, such as postgres.
func (s *server) masked(err error) error {
	if secret := s.config.Password; secret != "" && strings.Contains(err.Error(), secret) {
		return &maskedError{strings.ReplaceAll(err.Error(), secret, "xxxxx"), err}
	}
	return err
}

// maskedError has a text of its own. It can't be unwrapped step by step, only asked.
type maskedError struct {
	text string
	err  error
}

// Error implements error.
func (e *maskedError) Error() string { return e.text }

// Is says what errors.Is says of the error behind it.
func (e *maskedError) Is(target error) bool { return errors.Is(e.err, target) }

// As does what errors.As does with the error behind it.
func (e *maskedError) As(target any) bool { return errors.As(e.err, target) }

// connect opens a connection to the primary.
func (s *server) connect(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.config.Copy())
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// check refuses servers on which the promises of this package do not hold.
func (s *server) check(conn *pgx.Conn) error {
	version, major := conn.PgConn().ParameterStatus("server_version"), 0
	if _, err := fmt.Sscanf(version, "%d", &major); err == nil && major < oldest {
		return fmt.Errorf("%s is Postgres %s; version %d or later is needed", s.name, version, oldest)
	}
	if encoding := conn.PgConn().ParameterStatus("server_encoding"); encoding != "UTF8" {
		return fmt.Errorf("the database %s has the encoding %s; make one with the encoding UTF8", s.name, encoding)
	}
	return nil
}

// hangUp closes a connection, and does not wait for a server that does not answer.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // there is nothing left to do about it
}
