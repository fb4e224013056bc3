package main

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"

	"ensemble/internal/servertest"
)

// TestOneReplicaLeads at a time: the next one when the first has ended, or when the
// connection with its lock is lost.
func TestOneReplicaLeads(t *testing.T) {
	address := servertest.Postgres(t)
	leads := make(chan string)
	lead := func(name string) (stop context.CancelFunc, ended chan error) {
		ctx, stop := context.WithCancel(t.Context())
		ended = make(chan error, 1)
		go func() {
			ended <- leadOn(address, "test")(ctx, func(ctx context.Context) error {
				leads <- name
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		return stop, ended
	}
	stopOne, oneEnded := lead("one")
	if who := <-leads; who != "one" {
		t.Fatalf("%s leads", who)
	}
	stopTwo, twoEnded := lead("two")
	stopOne()
	if err := <-oneEnded; !errors.Is(err, context.Canceled) {
		t.Errorf("one ended with %v", err)
	}
	if who := <-leads; who != "two" {
		t.Fatalf("%s leads", who)
	}
	stopThree, threeEnded := lead("three")
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())"); err != nil {
		t.Fatal(err)
	}
	if who := <-leads; who != "three" {
		t.Fatalf("%s leads", who)
	}
	if err := <-twoEnded; !errors.Is(err, context.Canceled) {
		t.Errorf("two goes on, or ended with %v", err)
	}
	stopTwo()
	stopThree()
	<-threeEnded
}
