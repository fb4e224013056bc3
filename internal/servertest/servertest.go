// Package servertest tells tests where the real servers are that scripts/backends
// started: a test that needs one asks here, and skips on a machine without it.
//
// ENSEMBLE_REQUIRE=pg,kafka,neo4j turns the skip for the named ones into a failure, so
// that a run which promises real servers can't pass without them.
package servertest

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Postgres returns the URL of a new, empty database of its own, dropped at the end of
// the test with whoever is still connected. ENSEMBLE_POSTGRES names the server, with a
// role that may create databases.
func Postgres(tb testing.TB) string {
	tb.Helper()
	server := address(tb, "pg", "ENSEMBLE_POSTGRES")
	name := "test_" + strings.ToLower(rand.Text())
	execute(tb, server, "create database "+name)
	tb.Cleanup(func() { execute(tb, server, "drop database if exists "+name+" with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatalf("ENSEMBLE_POSTGRES: %v", err)
	}
	u.Path = "/" + name
	return u.String()
}

// Kafka returns the bootstrap addresses of a real broker, as ENSEMBLE_KAFKA lists them.
// Tests share it: each uses topics with names of its own.
func Kafka(tb testing.TB) []string {
	tb.Helper()
	return strings.Split(address(tb, "kafka", "ENSEMBLE_KAFKA"), ",")
}

// Neo4j returns the Bolt URL of a real server without sign-in, as ENSEMBLE_NEO4J names
// it. Tests share its one database: who uses it empties it first.
func Neo4j(tb testing.TB) string {
	tb.Helper()
	return address(tb, "neo4j", "ENSEMBLE_NEO4J")
}

// address reads where a server is, and skips the test where there is none.
func address(tb testing.TB, server, variable string) string {
	tb.Helper()
	if value := os.Getenv(variable); value != "" {
		return value
	}
	if slices.Contains(strings.Split(os.Getenv("ENSEMBLE_REQUIRE"), ","), server) {
		tb.Fatalf("ENSEMBLE_REQUIRE names %s, but %s is not set; start it with scripts/backends up %s", server, variable, server)
	}
	tb.Skipf("needs a real server: scripts/backends up %s, and %s from its env file", server, variable)
	return ""
}

// execute runs one statement on the server.
func execute(tb testing.TB, server, statement string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		tb.Fatalf("connect to ENSEMBLE_POSTGRES: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}
