package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"ensemble/eventstore"
	"ensemble/internal/servertest"
)

// TestALineThatIsCutAtAnyByteOfACommitCostsARetry sweeps over all the bytes that a commit
// sends and receives, from asking for the lock to the answer, and cuts the line there. The
// result is the true one each time, and each command is in the log once and in its turn.
func TestALineThatIsCutAtAnyByteOfACommitCostsARetry(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	log := open(t, through, Options{Views: []eventstore.View{counted{}}})
	var want []string
	commit := func(bytes int64) (left int64) {
		data := fmt.Sprint(len(want))
		w := one(on("1"), eventstore.Version(len(want)), data)
		if len(want)%2 == 0 {
			w.Key = &eventstore.Key{Hash: [16]byte{byte(len(want)), byte(len(want) >> 8)}}
		}
		p.budget.Store(bytes)
		results, err := log.Commit(t.Context(), []eventstore.Write{w})
		left = p.budget.Swap(0)
		if want = append(want, data); err != nil || results[0].Err != nil || results[0].Previous != nil || int(results[0].Position) != len(want) {
			t.Fatalf("cut after %d bytes: got %+v, %v", bytes, results, err)
		}
		return left
	}
	for range 8 { // with all statements prepared, and both kinds of commit seen
		commit(0)
	}
	const many = 1 << 20
	whole := max(many-commit(many), many-commit(many))
	for bytes := int64(1); bytes < whole+200; bytes += 1 + whole/80 {
		commit(bytes)
		commit(0) // on the new line
	}
	if got := all(t, log); !slices.Equal(got, want) {
		t.Fatalf("the log has %q, should have %q", got, want)
	}
	verified(t, log)
}

// TestWithoutALineBackEveryAnswerIsStillTrue cuts the line at any byte and lets nobody in
// again while there is patience. What was acknowledged is there; what is away without
// being unknown is not, and never comes.
func TestWithoutALineBackEveryAnswerIsStillTrue(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	log := open(t, through, Options{})
	answers := map[string]int{}
	var sure, never []string
	for i := range 60 {
		log.opts.Patience, log.away = 10*time.Second, false
		p.refuse.Store(false)
		if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("between"), eventstore.Any, "between")}); err != nil {
			t.Fatal(err)
		}
		data := fmt.Sprint("command ", i)
		w := one(on("a"), eventstore.Any, data)
		if i%3 == 0 {
			w.Key = &eventstore.Key{Hash: [16]byte{9, byte(i)}}
		}
		log.opts.Patience = 60 * time.Millisecond
		p.budget.Store(int64(1 + i*40))
		p.refuse.Store(true)
		_, err := log.Commit(t.Context(), []eventstore.Write{w})
		p.budget.Store(0)
		switch unknown, away := errors.Is(err, eventstore.ErrUnknown), errors.Is(err, eventstore.ErrAway); {
		case err == nil:
			sure = append(sure, data)
			answers["acknowledged"]++
		case unknown && away:
			answers["unknown"]++
		case away:
			never = append(never, data)
			answers["away"]++
		default:
			t.Fatalf("%s: %v", data, err)
		}
	}
	p.refuse.Store(false)
	log = open(t, url, Options{})
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("end"), 0, "end")}); err != nil { // behind whoever still holds the lock
		t.Fatal(err)
	}
	there := map[string]int{}
	for _, data := range all(t, log) {
		there[data]++
	}
	for _, data := range sure {
		if there[data] != 1 {
			t.Errorf("%s was acknowledged, and is there %d times", data, there[data])
		}
	}
	for _, data := range never {
		if there[data] != 0 {
			t.Errorf("%s was said not to be written, and is there", data)
		}
	}
	if answers["away"] == 0 || answers["unknown"] == 0 {
		t.Errorf("the cuts did not meet every part of a commit: %v", answers)
	}
	verified(t, log)
}

// TestBackendsThatAreEndedAtRandomLoseAndDoubleNothing ends random backends as an operator
// does, while clients of three replicas append with keys and repeat what they are not sure of.
func TestBackendsThatAreEndedAtRandomLoseAndDoubleNothing(t *testing.T) {
	url := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}, Patience: 10 * time.Second}
	stores, logs := replicas(t, 3, url, opts)
	l := &ledger{answers: map[string]answer{}}
	ctx, stop := context.WithCancel(t.Context())
	clients := l.clients(ctx, t, 12, stores)
	for i := range 25 {
		if err := stores[i%3].Wait(t.Context(), stores[i%3].Position()+3); err != nil {
			t.Error(err)
		}
		execute(t, url, `select pg_terminate_backend(pid) from pg_stat_activity
			where datname = current_database() and pid <> pg_backend_pid() and application_name = 'ensemble' and random() < 0.4`)
	}
	stop()
	clients.Wait()
	l.settle(t, logs[0])
	for data, a := range l.answers {
		if a.position == 0 {
			t.Errorf("the server was there all the time, and %s got no answer: %+v", data, a)
		}
	}
}

// TestAContextThatEndsAtAnyMomentLeavesNothingHalf: of opening, reading, selecting,
// verifying and migrating. No connection stays behind, and what was begun is all there
// or not at all.
func TestAContextThatEndsAtAnyMomentLeavesNothingHalf(t *testing.T) {
	url := servertest.Postgres(t)
	views := []eventstore.View{counted{}}
	log := open(t, url, Options{Views: views})
	story(t, log)
	calls := map[string]func(context.Context) error{
		"open": func(ctx context.Context) error {
			l, err := Open(ctx, url, Options{Views: views, Log: quiet()})
			if err == nil {
				err = l.Close()
			}
			return err
		},
		"read all":    func(ctx context.Context) error { _, err := log.ReadAll(ctx, 0, 9); return err },
		"read stream": func(ctx context.Context) error { _, err := log.ReadStream(ctx, on("1"), 0, 9); return err },
		"select": func(ctx context.Context) error {
			_, err := log.Select(ctx, eventstore.Select{Table: "counted", Limit: 9})
			return err
		},
		"head":    func(ctx context.Context) error { _, err := log.Head(ctx); return err },
		"outcome": func(ctx context.Context) error { _, _, err := log.Outcome(ctx, [16]byte{1, 1}); return err },
		"verify": func(ctx context.Context) error {
			_, err := log.Verify(ctx, func(_, _ eventstore.Position) {})
			return err
		},
		"rebuild": func(ctx context.Context) error { _, err := log.Rebuild(ctx, eventstore.Rebuild{}); return err },
	}
	for name, call := range calls {
		for wait := time.Microsecond; ; wait = wait*3/2 + 50*time.Microsecond {
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			err := call(ctx)
			cancel()
			if err == nil {
				break // there was time enough
			}
			// The server learns of the end of a rebuild's connection a moment later than we.
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, eventstore.ErrAway) && !errors.Is(err, eventstore.ErrRebuilding) {
				t.Errorf("%s, ended after %v: %v", name, wait, err)
			}
		}
	}
	for log.readers.Stat().AcquiredConns() > 0 { // the pool closes broken ones beside us; for ever, if one is lost
		time.Sleep(time.Millisecond)
	}
	if v := verified(t, log); v.Events != 5 || v.Rows != 3 {
		t.Errorf("%+v", v)
	}
	migratedAtOnceOrNotAtAll(t)
}

// migratedAtOnceOrNotAtAll ends migrations of a new log at any moment.
func migratedAtOnceOrNotAtAll(t *testing.T) {
	t.Helper()
	url := servertest.Postgres(t)
	for i, wait := 0, time.Millisecond; ; i, wait = i+1, wait*3/2 {
		schema := fmt.Sprint("ended", i)
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		err := Migrate(ctx, url, MigrateOptions{Views: []eventstore.View{counted{}}, Schema: schema, Log: quiet()})
		cancel()
		if err == nil {
			return
		}
		conn := connect(t, url)
		var objects int
		if err := conn.QueryRow(t.Context(), `select (select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace where nspname = $1) +
			(select count(*) from pg_proc p join pg_namespace n on n.oid = pronamespace where nspname = $1)`, schema).Scan(&objects); err != nil {
			t.Fatal(err)
		}
		hangUp(t.Context(), conn)
		if objects != 0 && objects < 20 {
			t.Errorf("ended after %v, a migration left %d objects", wait, objects)
		}
	}
}

// TestManyReplicasThatStartAtOnceMakeOneLog, on an empty database, and each can write.
func TestManyReplicasThatStartAtOnceMakeOneLog(t *testing.T) {
	url := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}, Log: quiet()}
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			log, err := Open(context.Background(), url, opts)
			if err != nil {
				t.Errorf("replica %d: %v", i, err)
				return
			}
			defer log.Close()
			if _, err := log.Commit(context.Background(), []eventstore.Write{one(on(fmt.Sprint(i)), 0, "x")}); err != nil {
				t.Errorf("replica %d: %v", i, err)
			}
		})
	}
	group.Wait()
	log := open(t, url, opts)
	if v := verified(t, log); v.Events != 6 || v.Rows != 6 {
		t.Errorf("%+v", v)
	}
	if lineage := lineageAt(t, log); len(lineage) != 1 {
		t.Errorf("the lineage is %v", lineage)
	}
}

// lineageAt returns the lineage of a log.
func lineageAt(t *testing.T, log *Log) eventstore.Lineage {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head.Lineage
}

// TestAClosedLogOpensNoConnectionAnew: neither for a commit nor for a read.
func TestAClosedLogOpensNoConnectionAnew(t *testing.T) {
	log := open(t, servertest.Postgres(t), Options{})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	_, committed := log.Commit(t.Context(), []eventstore.Write{one(on("a"), 0, "x")})
	_, read := log.ReadAll(t.Context(), 0, 1)
	_, head := log.Head(t.Context())
	for _, err := range []error{committed, read, head, log.Close()} {
		if err != nil && !errors.Is(err, eventstore.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if log.writer != nil || committed == nil {
		t.Errorf("a closed log has connected: %v", committed)
	}
}
