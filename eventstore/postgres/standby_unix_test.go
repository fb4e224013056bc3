//go:build unix

package postgres

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"ensemble/eventstore"
)

// waitingForStandby returns the backend that waits for a standby, once there is one.
func waitingForStandby(t *testing.T, url string) (pid int) {
	t.Helper()
	conn := connect(t, url)
	defer hangUp(t.Context(), conn)
	for pid == 0 {
		if err := conn.QueryRow(t.Context(), "select coalesce(max(pid), 0) from pg_stat_activity where wait_event = 'SyncRep'").Scan(&pid); err != nil {
			t.Fatal(err)
		}
	}
	return pid
}

// TestACommitThatItsStandbyLacksIsNotAcknowledged: an operator, or the time limit of a
// statement, ends the wait for a standby that does not answer. The commit is there, and
// can be read, but a failover would lose it; so nobody is told that it is safe until the
// standby, or the operator who gives it up, has said so.
func TestACommitThatItsStandbyLacksIsNotAcknowledged(t *testing.T) {
	c := newCluster(t)
	log := open(t, c.url(), Options{Patience: time.Minute})
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "before")}); err != nil {
		t.Fatal(err)
	}
	want := []string{"before"}
	for _, how := range []string{"pg_cancel_backend", "pg_terminate_backend"} {
		execute(t, c.url(), "alter system set synchronous_standby_names = 'nobody'", "select pg_reload_conf()")
		log.disconnect(t.Context()) // the next connection begins with the new setting
		type answer struct {
			results []eventstore.Result
			err     error
		}
		answered := make(chan answer, 1)
		commit := func(patience time.Duration) {
			log.opts.Patience, log.away = patience, false
			results, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), eventstore.Any, how)})
			answered <- answer{results, err}
		}
		go commit(2 * time.Second)
		execute(t, c.url(), fmt.Sprintf("select %s(%d)", how, waitingForStandby(t, c.url())))
		if a := <-answered; !errors.Is(a.err, eventstore.ErrUnknown) || !errors.Is(a.err, eventstore.ErrAway) {
			t.Fatalf("%s: the standby has nothing, and the answer is %+v, %v", how, a.results, a.err)
		}
		want = append(want, how)
		go commit(time.Minute)
		first := waitingForStandby(t, c.url())
		execute(t, c.url(), fmt.Sprintf("select %s(%d)", how, first))
		for waitingForStandby(t, c.url()) == first && how == "pg_terminate_backend" { // it asks on another connection
			time.Sleep(time.Millisecond)
		}
		execute(t, c.url(), "alter system reset synchronous_standby_names", "select pg_reload_conf()") // there is no standby any more
		a := <-answered
		if want = append(want, how); a.err != nil || int(a.results[0].Position) != len(want) {
			t.Errorf("%s: the standby was given up, and the answer is %+v, %v", how, a.results, a.err)
		}
		if got := all(t, log); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the log has %q, should have %q", how, got, want)
		}
	}
	verified(t, log)
}
