//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ensemble/eventstore"
)

// TestNothingAcknowledgedIsLostWhenTheServerRestarts, as after a crash and by its operator,
// while clients write through two replicas.
func TestNothingAcknowledgedIsLostWhenTheServerRestarts(t *testing.T) {
	c := newCluster(t)
	opts := Options{Views: []eventstore.View{counted{}}, Patience: 20 * time.Second}
	stores, logs := replicas(t, 2, c.url(), opts)
	lineage := lineageOf(t, logs[0])
	l := &ledger{answers: map[string]answer{}}
	ctx, stop := context.WithCancel(t.Context())
	clients := l.clients(ctx, t, 8, stores)
	for _, mode := range []string{"immediate", "fast", "immediate"} {
		before := stores[0].Position()
		if err := stores[0].Wait(t.Context(), before+20); err != nil {
			t.Error(err)
		}
		c.stop(mode)
		c.start()
	}
	stop()
	clients.Wait()
	l.settle(t, logs[0])
	if got := lineageOf(t, logs[0]); len(got) != 1 || got[0] != lineage[0] {
		t.Errorf("a restart is no other history, but the lineage is %v", got)
	}
}

// lineageOf returns the lineage of a log.
func lineageOf(t *testing.T, log *Log) eventstore.Lineage {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Lineage
}

// TestNothingAcknowledgedIsLostWhenAStandbyTakesOver: the primary dies under load, the
// synchronous standby is promoted, and the same stores go on with it. From the first
// event after that on the log has another name.
func TestNothingAcknowledgedIsLostWhenAStandbyTakesOver(t *testing.T) {
	first := newCluster(t)
	opts := Options{Views: []eventstore.View{counted{}}, Patience: 60 * time.Second}
	log := open(t, first.url(), opts) // makes the schema
	name := lineageOf(t, log)[0]
	second := first.standby()
	both := fmt.Sprintf("postgres://postgres@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable", first.port, second.port)
	stores, logs := replicas(t, 2, both, opts)
	l := &ledger{answers: map[string]answer{}}
	ctx, stop := context.WithCancel(t.Context())
	clients := l.clients(ctx, t, 8, stores)
	if err := stores[0].Wait(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	first.stop("immediate")
	second.run("pg_ctl", "-D", second.dir, "-w", "promote")
	before := stores[0].Position()
	for stores[0].Position() < before+20 {
		time.Sleep(time.Millisecond)
	}
	stop()
	clients.Wait()
	l.settle(t, logs[0])
	lineage := lineageOf(t, logs[1])
	if len(lineage) != 2 || lineage[0] != name || lineage[1].UUID == name.UUID || lineage[1].First < 100 || lineage[1].First > before+21 {
		t.Errorf("after the failover at about %d the lineage is %v, it was %v", before, lineage, name)
	}
}

// TestACommitThatDidNotWaitForItsStandbyIsUnknown: an operator ends the wait, and the server
// answers that it has committed. It has, but perhaps nobody else knows.
func TestACommitThatDidNotWaitForItsStandbyIsUnknown(t *testing.T) {
	c := newCluster(t)
	log := open(t, c.url(), Options{Patience: time.Minute})
	execute(t, c.url(), "alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
	conn := connect(t, c.url())
	defer hangUp(context.Background(), conn)
	for set := ""; set != "nobody"; {
		if err := conn.QueryRow(t.Context(), "show synchronous_standby_names").Scan(&set); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan error, 1)
	go func() {
		_, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "x")})
		answered <- err
	}()
	for waiting := 0; waiting == 0; {
		err := conn.QueryRow(t.Context(), "select count(pg_cancel_backend(pid)) from pg_stat_activity where wait_event = 'SyncRep'").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-answered; !errors.Is(err, eventstore.ErrUnknown) || !errors.Is(err, eventstore.ErrAway) {
		t.Fatalf("got %v", err)
	}
	execute(t, c.url(), "alter system reset synchronous_standby_names", "select pg_reload_conf()")
	if got := all(t, log); len(got) != 1 {
		t.Fatalf("the log has %q", got)
	}
}
