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

// execute runs statements as the owner.
func execute(t testing.TB, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer hangUp(context.Background(), conn)
	for _, sql := range statements {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// connect opens a connection as the owner.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// open opens a log, and closes it at the end of the test.
func open(t testing.TB, url string, opts Options) *Log {
	t.Helper()
	if opts.Log == nil {
		opts.Log = quiet()
	}
	log, err := Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

// on returns a stream.
func on(id string) eventstore.Stream { return eventstore.Stream{Category: "thing", ID: id} }

// one returns a write of one event that asks for a number.
func one(stream eventstore.Stream, expected eventstore.Version, data string) eventstore.Write {
	return eventstore.Write{Stream: stream, Expected: expected, Events: []eventstore.NewEvent{
		{Type: "Happened", Data: []byte(data), Number: eventstore.NextNumber},
	}}
}

// keyed adds an idempotency key to a write.
func keyed(w eventstore.Write, key byte) eventstore.Write {
	w.Key = &eventstore.Key{Hash: [16]byte{key, 1}, Fingerprint: [8]byte{key}}
	return w
}

// all returns the data of all events.
func all(t testing.TB, log *Log) (data []string) {
	t.Helper()
	for after := eventstore.Position(0); ; {
		page, err := log.ReadAll(context.Background(), after, eventstore.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return data
		}
		for _, e := range page {
			data = append(data, string(e.Data))
		}
		after = page[len(page)-1].Position
	}
}

// verified fails unless the whole log is as it was written.
func verified(t testing.TB, log *Log) Verified {
	t.Helper()
	v, err := log.Verify(context.Background(), func(_, _ eventstore.Position) {})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
