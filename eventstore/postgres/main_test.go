package postgres

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"ensemble/eventstore"
	"ensemble/eventstore/storetest"
	"ensemble/internal/servertest"
)

// TestMain lowers how many random histories are tried: the suite keeps the logs of all of
// them open, and a server has a hundred connections.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "20"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// quiet is for logs that are made to fail on purpose.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// driver returns this driver for the suite: a database for the test, a schema in it for
// each log. The log is served by a role that may only append and read.
func driver(t *testing.T) storetest.Driver {
	url := servertest.Postgres(t)
	served := role(t, url)
	var schemas atomic.Int64
	return storetest.Driver{Durable: true, Rebuild: rebuildDriver, New: func(t *testing.T, o storetest.Options) storetest.Reopen {
		schema := fmt.Sprint("s", schemas.Add(1))
		err := Migrate(t.Context(), url, MigrateOptions{Views: o.Views, Schema: schema, Role: userOf(t, served), Log: quiet()})
		if err != nil {
			t.Fatalf("migrate: %v", err)
		}
		return func() eventstore.Driver {
			log, err := Open(t.Context(), served, Options{
				Views: o.Views, Schema: schema, KeepKeys: o.KeepKeys, KeepKeysFor: o.KeepKeysFor, Log: quiet(),
			})
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			return log
		}
	}}
}

func TestContract(t *testing.T) { storetest.Run(t, driver(t)) }

// rebuildDriver is the driver's own method, for the suite.
func rebuildDriver(d eventstore.Driver, ctx context.Context, how eventstore.Rebuild) (eventstore.Rebuilt, error) { //nolint:revive // a method expression has its receiver first
	return d.(*Log).Rebuild(ctx, how)
}

// exec runs statements as the owner.
func exec(t testing.TB, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(conn)
	for _, sql := range statements {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
