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

// contentOf hashes what a table of a view answers.
func contentOf(t *testing.T, log *Log) [32]byte {
	t.Helper()
	c := eventstore.NewContent()
	for after := int64(0); ; {
		rows, err := log.Select(t.Context(), eventstore.Select{Table: "counted", After: after, Limit: eventstore.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			c.Add(row)
			after = row[0].Int()
		}
		if len(rows) == 0 {
			return c.Sum()
		}
	}
}

// writers append through stores until they are told to stop.
func writers(t *testing.T, stores []*eventstore.Store) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i, s := range stores {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				data := "here"
				if n%5 == 4 {
					data = "gone"
				}
				if _, err := s.Append(context.Background(), one(on(fmt.Sprint(1+(7*n+i)%23)), eventstore.Any, data)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); group.Wait() })
}

// TestARebuildThatIsKilledAtAnyStepChangesNoAnswer: two replicas write, a third rebuilds,
// and its backend is ended at each of its steps, before and behind what it does there. The
// views answer as the log says all the time; the next rebuild finds nothing wrong, and its
// generation has the content that the killed one's would have had.
func TestARebuildThatIsKilledAtAnyStepChangesNoAnswer(t *testing.T) {
	url := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}}
	stores, logs := replicas(t, 2, url, opts)
	third := open(t, url, opts)
	for i := range 40 {
		if _, err := stores[0].Append(t.Context(), one(on(fmt.Sprint(1+i%9)), eventstore.Any, "here")); err != nil {
			t.Fatal(err)
		}
	}
	stop := writers(t, stores)
	defer stop()
	kill := func() {
		execute(t, url, `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and granted and classid = `+fmt.Sprint(lockClass)+`
			and objid = 'views'::regclass::oid and database = (select oid from pg_database where datname = current_database())`)
	}
	done := false
	for at := 0; !done; at++ {
		for _, behind := range []bool{false, true} {
			steps := 0
			_, err := third.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, step func() error) error {
				here := steps == at
				if steps++; here && !behind {
					kill()
				}
				err := step()
				if here && behind {
					kill()
				}
				return err
			}})
			if steps <= at {
				if done = true; err != nil {
					t.Fatalf("there are %d steps, and none was killed: %v", steps, err)
				}
				continue
			}
			last := err == nil && behind // it was killed when everything had happened
			if !last && !errors.Is(err, eventstore.ErrAway) {
				t.Errorf("killed at step %d, behind it: %v: %v", at, behind, err)
			}
			verified(t, logs[at%2])
		}
	}
	stop()
	before := contentOf(t, logs[0])
	for _, log := range append(logs, third) {
		found, err := log.Rebuild(t.Context(), eventstore.Rebuild{})
		if err != nil || found.Tables[0].Differ != 0 || contentOf(t, log) != before {
			t.Errorf("a rebuild found %+v, %v; the content is the same: %v", found, err, contentOf(t, log) == before)
		}
	}
}

// TestARebuildThatAMigrationHasUndoneSaysSo: another program starts with another view,
// which drops what was made green. The rebuild does not claim that it took over.
func TestARebuildThatAMigrationHasUndoneSaysSo(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{Views: []eventstore.View{counted{}}})
	story(t, log)
	steps, last := 0, 0
	rebuild := func(at int) error {
		steps = 0
		_, err := log.Rebuild(t.Context(), eventstore.Rebuild{Between: func(_ context.Context, step func() error) error {
			if steps++; steps == at {
				if err := Migrate(t.Context(), url, MigrateOptions{Views: []eventstore.View{counted{}, tally{}}, Log: quiet()}); err != nil {
					t.Error(err)
				}
			}
			return step()
		}})
		return err
	}
	if err := rebuild(0); err != nil {
		t.Fatal(err)
	}
	last = steps
	execute(t, url, "insert into counted values (99)") // a rebuild would put it right
	if err := rebuild(last); !errors.Is(err, eventstore.ErrRebuilding) {
		t.Errorf("a migration came before the last of %d steps, and the rebuild says %v", last, err)
	}
	if rows, err := log.Select(t.Context(), eventstore.Select{Table: "counted", Column: "id", Equals: 99, Limit: 1}); err != nil || len(rows) != 1 {
		t.Errorf("the old generation does not go on: %v, %v", rows, err)
	}
	if err := rebuild(0); err != nil {
		t.Error(err)
	}
	verified(t, log)
}

// TestARebuildOnASilentLineHoldsCommandsUpForAWhileOnly: the line falls silent within a
// step, between two commits. The step ends, and commands are answered again.
func TestARebuildOnASilentLineHoldsCommandsUpForAWhileOnly(t *testing.T) {
	url := servertest.Postgres(t)
	p, through := newProxy(t, url)
	opts := Options{Views: []eventstore.View{counted{}}, Patience: 200 * time.Millisecond}
	log := open(t, through, opts)
	story(t, log)
	store, err := eventstore.Open(t.Context(), log, eventstore.Options{Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	steps := 0
	_, err = log.Rebuild(context.WithoutCancel(t.Context()), eventstore.Rebuild{Between: func(ctx context.Context, step func() error) error {
		if steps++; steps == 2 {
			p.frozen.Store(true)
		}
		return store.Between(ctx, step)
	}})
	p.frozen.Store(false)
	p.cut() // what was swallowed never comes
	if !errors.Is(err, eventstore.ErrAway) {
		t.Errorf("a rebuild on a silent line says %v", err)
	}
	for err = errors.New("not yet"); err != nil; {
		if _, err = store.Append(t.Context(), one(on("1"), eventstore.Any, "after it")); err != nil && !errors.Is(err, eventstore.ErrAway) {
			t.Fatal(err)
		}
	}
	verified(t, open(t, url, Options{Views: opts.Views}))
}

// TestAReplicaOfTheLastReleaseWorksOnTheNextSchema: a migration has added a column with a
// default, a table and a function, as the next version may. The older program commits,
// reads, rebuilds and verifies; and it does not take the version back.
func TestAReplicaOfTheLastReleaseWorksOnTheNextSchema(t *testing.T) {
	url := servertest.Postgres(t)
	opts := Options{Views: []eventstore.View{counted{}}}
	running := open(t, url, opts)
	story(t, running)
	execute(t, url, "alter table events add column tenant bigint not null default 0", "alter table outcomes add column tenant bigint not null default 0",
		"alter table views add column owner text", "alter table lineage add column place text",
		"create table tenants (id bigint primary key)", "update schema_version set version = version + 1")
	started := open(t, url, opts)
	for i, log := range []*Log{running, started} {
		if _, err := log.Commit(t.Context(), []eventstore.Write{keyed(one(on("9"), eventstore.Any, fmt.Sprint(i)), byte(20+i))}); err != nil {
			t.Errorf("log %d: %v", i, err)
		}
		if found, err := log.Rebuild(t.Context(), eventstore.Rebuild{}); err != nil || found.Tables[0].Differ != 0 {
			t.Errorf("log %d: a rebuild found %+v, %v", i, found, err)
		}
		if _, found, err := log.Outcome(t.Context(), [16]byte{byte(20 + i), 1}); !found || err != nil {
			t.Errorf("log %d: %v, %v", i, found, err)
		}
		verified(t, log)
	}
	if err := Migrate(t.Context(), url, MigrateOptions{Views: opts.Views, Log: quiet()}); err != nil {
		t.Error(err)
	}
	conn := connect(t, url)
	defer hangUp(t.Context(), conn)
	var version int
	if err := conn.QueryRow(t.Context(), "select version from schema_version").Scan(&version); err != nil || version != len(migrations())+1 {
		t.Errorf("the schema has version %d, %v", version, err)
	}
	if got := all(t, started); !slices.Equal(got, []string{"one", "two", "three", "four", "five", "0", "1"}) {
		t.Errorf("the log has %q", got)
	}
}

// TestARoleThatOnlyReadsReads, and is refused a commit for what it is: a missing right.
func TestARoleThatOnlyReadsReads(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	story(t, log)
	reader := role(t, url)
	execute(t, url, "grant usage on schema public to "+userOf(t, reader), "grant select on all tables in schema public to "+userOf(t, reader))
	reads := open(t, reader, Options{})
	if got := all(t, reads); len(got) != 5 {
		t.Errorf("it reads %q", got)
	}
	verified(t, reads)
	_, err := reads.Commit(t.Context(), []eventstore.Write{one(on("1"), eventstore.Any, "x")})
	if err == nil || errors.Is(err, eventstore.ErrAway) || errors.Is(err, eventstore.ErrUnknown) {
		t.Errorf("its commit: %v", err)
	}
	if got := all(t, log); len(got) != 5 {
		t.Errorf("the log has %q", got)
	}
}

// TestALogWhoseDatabaseHasAnotherHistoryGetsAnotherName from its next position on: the
// timeline or the system is not the one that was noted. With no event in between, the
// name is exchanged and not added; names that events have never change.
func TestALogWhoseDatabaseHasAnotherHistoryGetsAnotherName(t *testing.T) {
	url := servertest.Postgres(t)
	log := open(t, url, Options{})
	lineage := lineageAt(t, log)
	for i, c := range []struct {
		was    string // what was noted
		events int    // that came since
		first  eventstore.Position
	}{
		{"timeline = 77", 0, 1}, {"system = 5", 2, 3}, {"timeline = 78", 0, 3}, {"timeline = 79, system = 6", 1, 4}, {"system = 7", 3, 7},
	} {
		for range c.events {
			if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), eventstore.Any, "x")}); err != nil {
				t.Fatal(err)
			}
		}
		execute(t, url, "update lineage set "+c.was+" where first = (select max(first) from lineage)")
		log.disconnect(t.Context())
		if err := log.connectWriter(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, known := lineageAt(t, log), len(lineage)
		if c.events == 0 {
			known--
		}
		if len(got) != known+1 || got[known].First != c.first || !slices.Equal(got[:known], lineage[:known]) || slices.Contains(lineage, got[known]) {
			t.Errorf("change %d, %s: the lineage was %v and is %v", i, c.was, lineage, got)
		}
		lineage = got
		log.disconnect(t.Context())
		if err := log.connectWriter(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again := lineageAt(t, log); !slices.Equal(again, lineage) {
			t.Errorf("change %d: the same history got another name", i)
		}
	}
	execute(t, url, "update lineage set timeline = 80 where first = (select max(first) from lineage)") // a promotion that no connection outlived
	if _, err := log.Commit(t.Context(), []eventstore.Write{one(on("a"), eventstore.Any, "x")}); err != nil {
		t.Fatal(err)
	}
	if got := lineageAt(t, log); got[len(got)-1] == lineage[len(lineage)-1] || got.At(7) == lineage.At(7) || got.At(6) != lineage.At(6) {
		t.Errorf("after a commit on another timeline the lineage is %v, it was %v", got, lineage)
	}
	verified(t, log)
}
